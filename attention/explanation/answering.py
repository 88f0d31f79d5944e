"""A causal language model as a classifier: the logits of some tokens behind a text."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import jax.numpy as jnp
from jaxtyping import PyTree

from attention.errors import InputError
from attention.transformer import TransformerConfig


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
