"""One decision of a classifier, and the values that all tables about it need."""

from __future__ import annotations

import dataclasses
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float

from attention.explanation.classifier import Classifier, Gradients, Inputs, softmax
from attention.explanation.layer_attention import LayerAttention


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
