"""What an attention matrix is replaced by, to see whether the prediction depends on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from attention.explanation.efficient import (
    Kind,
    effective_attention,
    efficient_attention,
    projected,
)
from attention.explanation.head_matrices import heads, with_ones

DRAWS = 5  # of each random replacement
Weights = Float[np.ndarray, "N T S"]


class Layer(NamedTuple):
    """Attention of one layer on one example, in float64; rows as the normalizer gave them."""

    weights: Weights
    values: Float[np.ndarray, "K S H"]
    where: Bool[np.ndarray, "#N T S"]

    @property
    def sums(self) -> Float[np.ndarray, "N T 1"]:
        """What rows sum to: one, but for normalizers that let them sum to less."""
        return self.weights.sum(-1, keepdims=True)

    @property
    def rows(self) -> Weights:
        """The rows as distributions."""
        return self.weights / np.where(self.sums > 0, self.sums, 1)


class Intervention(NamedTuple):
    """``make(layer, generator)`` gives distributions, which get the sums of the original rows.

    ``exact``: the output cannot move, by construction; anything else is evidence.
    """

    make: Callable[[Layer, np.random.Generator], Weights]
    exact: bool = False
    random: bool = False


def _efficient(kind: Kind) -> Callable[[Layer, np.random.Generator], Weights]:
    return lambda layer, _: efficient_attention(layer.weights, layer.values, layer.where, kind)


def _effective(layer: Layer, _) -> Weights:
    return effective_attention(layer.rows, layer.values, layer.where)


def _uniform(layer: Layer, _) -> Weights:
    seen = np.broadcast_to(layer.where, layer.weights.shape).astype(np.float64)
    return seen / np.maximum(seen.sum(-1, keepdims=True), 1)


def _permuted(layer: Layer, generator: np.random.Generator) -> Weights:
    """Each row's weights over the tokens that it sees, in a random order."""
    out, seen = layer.rows.copy(), np.broadcast_to(layer.where, layer.weights.shape)
    for place in np.ndindex(out.shape[:-1]):
        out[place][seen[place]] = generator.permutation(out[place][seen[place]])
    return out


def _random(layer: Layer, generator: np.random.Generator) -> Weights:
    """Softmax of standard normal scores."""
    grown = np.where(layer.where, np.exp(generator.normal(size=layer.weights.shape)), 0)
    return grown / np.maximum(grown.sum(-1, keepdims=True), 1e-300)


def _identity(layer: Layer, _) -> Weights:
    out = np.zeros_like(layer.weights)
    places = np.arange(out.shape[-1])
    out[:, places, places] = 1
    return np.where(layer.where, out, 0)


def _longest(row: np.ndarray, move: np.ndarray) -> np.ndarray:
    """How far each row can go in a direction and stay non-negative."""
    share = np.where(move < -1e-15, -row / np.where(move < -1e-15, move, -1), np.inf)
    longest = share.min(-1, keepdims=True)
    return np.where(np.isfinite(longest), longest, 0)


def _null_shift(layer: Layer, _) -> Weights:
    """As far as it goes along the line through the row and its efficient attention.

    Both ends have the same output as the row; the farther one is taken.
    """
    rows = layer.rows
    move = efficient_attention(rows, layer.values, layer.where) - rows
    forth, back = _longest(rows, move), _longest(rows, -move)
    return np.maximum(np.where(forth >= back, rows + forth * move, rows - back * move), 0)


def _effective_shift(layer: Layer, generator: np.random.Generator) -> Weights:
    """As large a move as the null-space shift's, but within the space that reaches the output.

    Of ten random directions in the columns of ``[V, 1]`` that keep the sum the longest feasible
    one counts; a row stays a distribution, so that it may go less far.
    """
    rows = layer.rows
    size = np.linalg.norm(_null_shift(layer, generator) - rows, axis=-1, keepdims=True)
    seen = np.broadcast_to(layer.where, rows.shape)
    given = heads(rows, layer.values, layer.where)
    space = with_ones(given)
    best, far = rows, np.full(size.shape, -1.0)
    for _ in range(10):
        noise = np.where(seen, generator.normal(size=rows.shape), 0)
        shape = given.weights_MRS.shape
        move = projected(noise.reshape(shape), space, given.where_MRS).reshape(rows.shape)
        ones = projected(seen.astype(float).reshape(shape), space, given.where_MRS)
        ones = ones.reshape(rows.shape)  # the ones are in the space: moves along them change sums
        move = move - ones * move.sum(-1, keepdims=True) / np.maximum(
            ones.sum(-1, keepdims=True), 1
        )
        length = np.linalg.norm(move, axis=-1, keepdims=True)
        move = move / np.where(length > 1e-12, length, np.inf)
        step = np.minimum(_longest(rows, move), size)
        best, far = np.where(step > far, rows + step * move, best), np.maximum(step, far)
    return np.maximum(best, 0)


def _without(heaviest: bool) -> Callable[[Layer, np.random.Generator], Weights]:
    def make(layer: Layer, _) -> Weights:
        """The vertex without one token of its support; the others' weights grow alike."""
        rows = efficient_attention(layer.weights, layer.values, layer.where, "min_support")
        order = rows if heaviest else np.where(rows > 0, -rows, -np.inf)
        several = (rows > 0).sum(-1, keepdims=True) > 1  # a lone token stays
        first = np.arange(rows.shape[-1]) == order.argmax(-1)[..., None]
        left = np.where(several & first, 0, rows)
        total = left.sum(-1, keepdims=True)
        return left / np.where(total > 0, total, 1)

    return make


INTERVENTIONS: dict[str, Intervention] = {
    "min_norm": Intervention(_efficient("min_norm"), exact=True),
    "min_support": Intervention(_efficient("min_support"), exact=True),
    "effective": Intervention(_effective, exact=True),
    "null shift": Intervention(_null_shift, exact=True),
    "effective shift": Intervention(_effective_shift, random=True),
    "uniform": Intervention(_uniform),
    "permuted": Intervention(_permuted, random=True),
    "random": Intervention(_random, random=True),
    "identity": Intervention(_identity),
    "support - heaviest": Intervention(_without(True)),
    "support - lightest": Intervention(_without(False)),
}


def replacements(name: str, layer: Layer, seed: int) -> list[Weights]:
    """One replacement of a layer's weights, or ``DRAWS`` where it is random."""
    row = INTERVENTIONS[name]
    draws = range(DRAWS if row.random else 1)
    return [layer.sums * row.make(layer, np.random.default_rng([seed, i])) for i in draws]
