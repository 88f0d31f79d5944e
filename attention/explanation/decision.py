"""One decision of a classifier, and the values that all tables about it need.

A causal language model is a classifier too: `answering_classifier`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import cached_property

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, PyTree

from attention.errors import InputError
from attention.explanation.classifier import Classifier, Gradients, Inputs, softmax
from attention.explanation.layer_attention import LayerAttention
from attention.transformer import TransformerConfig


@dataclasses.dataclass(frozen=True, eq=False)
class Decision:
    """A decision under study; slow values are computed once, when they are first needed.

    Attributes:
        classifier: makes the decision.
        inputs: the text that it reads.
        chosen_LN: layers with attention, and heads, whose attention is replaced.
        seed: of all random draws.
        adversary: a copy of the classifier that is trained to attend elsewhere, or None.
    """

    classifier: Classifier
    inputs: Inputs
    chosen_LN: Bool[np.ndarray, "L N"]
    seed: int = 0
    adversary: Classifier | None = None

    @cached_property
    def _seen(self) -> tuple[Float[np.ndarray, " C"], list[LayerAttention]]:
        return self.classifier.attention(self.inputs)

    @property
    def logits(self) -> Float[np.ndarray, " C"]:
        """The logit of each label."""
        return self._seen[0]

    @property
    def layers(self) -> list[LayerAttention]:
        """The attention of each layer that has any."""
        return self._seen[1]

    @cached_property
    def probabilities(self) -> Float[np.ndarray, " C"]:
        """The probability of each label."""
        return softmax(self.logits)

    @property
    def guess(self) -> int:
        """The label that the classifier gives."""
        return int(self.probabilities.argmax())

    @property
    def real(self) -> int:
        """The number of tokens, without padding."""
        return int(self.inputs.where.sum())

    @property
    def place(self) -> int:
        """The token whose state the head reads."""
        if self.inputs.read is not None:
            return self.inputs.read
        return self.real - 1 if self.classifier.config.causal else 0

    @cached_property
    def gradients(self) -> Gradients:
        """The gradients of the guess by each token."""
        return self.classifier.gradients(self.inputs, self.guess)


def answering_classifier(
    config: TransformerConfig, params: Mapping[str, PyTree], answers: Sequence[int]
) -> tuple[TransformerConfig, dict[str, PyTree]]:
    """Read the logits of some tokens behind a text as those of labels.

        logits_c = h · kernel[answer_c] / logits_scaling

    ``h`` is the state of the last token behind the final norm.

    Args:
        config: of a causal language model.
        params: of the model, stacked or not.
        answers: a token for each label.

    Returns:
        The config with the head ``sequence``, and its parameters.

    Raises:
        InputError: it is no causal language model, its logits are capped, or an answer is missing.
    """
    if config.head != "causal_lm" or config.final_logit_softcapping is not None:
        raise InputError("answers are read from causal language models without a cap on logits")
    missing = [answer for answer in answers if not 0 <= answer < (config.vocab_size or 0)]
    if not answers or missing:
        raise InputError(f"give answers that the vocabulary has, not {missing or 'none'}")
    inner = dict(params)
    kernel_VD = inner["embed"]["embedding"]
    if not config.tie_word_embeddings:
        kernel_VD = inner.pop("lm_head")["kernel"]
    out_DC = jnp.asarray(kernel_VD)[jnp.asarray(answers)].T / (config.logits_scaling or 1)
    inner["head"] = {"out": {"kernel": out_DC}}
    return dataclasses.replace(config, head="sequence", num_labels=len(answers)), inner
