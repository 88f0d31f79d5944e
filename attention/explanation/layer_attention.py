"""The attention of one layer on one text, and its decompositions."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cached_property
from operator import attrgetter

import numpy as np
from jaxtyping import Bool, Float

from attention.choices import Choices
from attention.explanation.efficient import (
    effective_attention,
    efficient_attention,
    projection,
)
from attention.explanation.head_matrices import heads, with_ones

Weights = Float[np.ndarray, "N T S"]


@dataclasses.dataclass(frozen=True, eq=False)
class LayerAttention:
    """Attention of one layer on one text, in float64.

    Attributes:
        layer: the number of the layer.
        weights: the attention weights, as the normalizer gave them.
        values: the value of each token.
        where: true at the tokens that a query may see.
    """

    layer: int
    weights: Weights
    values: Float[np.ndarray, "K S H"]
    where: Bool[np.ndarray, "#N T S"]

    @cached_property
    def sums(self) -> Float[np.ndarray, "N T 1"]:
        """The sum of each row: one, unless the normalizer allows less."""
        return self.weights.sum(-1, keepdims=True)

    @cached_property
    def rows(self) -> Weights:
        """The rows as distributions."""
        return self.weights / np.where(self.sums > 0, self.sums, 1)

    @cached_property
    def seen(self) -> Bool[np.ndarray, "N T S"]:
        """What each query of each head may see."""
        return np.broadcast_to(self.where, self.weights.shape)

    @cached_property
    def within(self) -> Callable[[Weights], Weights]:
        """The projection of rows onto the column space of ``[V, 1]``, which reaches the output."""
        given = heads(self.rows, self.values, self.where)
        project = projection(with_ones(given), given.where_MRS)
        return lambda rows: project(rows.reshape(given.weights_MRS.shape)).reshape(rows.shape)

    @cached_property
    def effective(self) -> Weights:
        """Effective attention; see :func:`~attention.explanation.effective_attention`."""
        return effective_attention(self.weights, self.values, self.where)

    @cached_property
    def efficient(self) -> Weights:
        """Efficient attention; see :func:`~attention.explanation.efficient_attention`."""
        return efficient_attention(self.weights, self.values, self.where)

    @cached_property
    def vertex(self) -> Weights:
        """Efficient attention of the kind ``min_support``."""
        return efficient_attention(self.weights, self.values, self.where, "min_support")


@dataclasses.dataclass(frozen=True)
class Decomposition:
    """One way to show attention.

    Attributes:
        compute: computes the weights.
        description: what they are, in a few words.
        signed: whether rows may have entries below zero, and so are no distributions.
    """

    compute: Callable[[LayerAttention], Weights]
    description: str
    signed: bool = False


DECOMPOSITIONS = Choices(
    "decomposition",
    {
        "raw": Decomposition(attrgetter("rows"), "as the model has it"),
        "effective": Decomposition(attrgetter("effective"), "the part seen", signed=True),
        "efficient": Decomposition(attrgetter("efficient"), "least norm"),
        "vertex": Decomposition(attrgetter("vertex"), "least support"),
    },
)
