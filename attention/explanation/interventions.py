"""Replacements of attention, which show whether the prediction depends on it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from attention.choices import Choices
from attention.explanation.adversary import adversarial_attention
from attention.explanation.decision import Decision
from attention.explanation.layer_attention import LayerAttention, Weights

DRAWS = 5  # of each random replacement
DIRECTIONS = 10  # that an effective shift tries
STILL = 1e-6  # length of a move; a shorter one is not followed
AllWeights = Float[np.ndarray, "L N T S"]


@dataclasses.dataclass(frozen=True)
class Intervention:
    """One way to replace attention.

    Attributes:
        make: makes the weights of all layers, from a decision and the number of a draw.
        description: what replaces attention, in a few words.
        exact: whether the output cannot change, by construction.  Any other row is evidence.
        draws: the number of replacements; more than one if they are random.
        signed: whether rows may have entries below zero, and so are no distributions.
        adversary: whether the trained adversary is needed.
    """

    make: Callable[[Decision, int], AllWeights]
    description: str
    exact: bool = False
    draws: int = 1
    signed: bool = False
    adversary: bool = False

    def replacements(self, decision: Decision) -> Float[np.ndarray, "L B N T S"]:
        """Make the replacements of every layer's weights, one for each draw."""
        return np.stack([self.make(decision, draw) for draw in range(self.draws)], 1)


def by_layer(
    make: Callable[[LayerAttention, np.random.Generator], Weights],
) -> Callable[[Decision, int], AllWeights]:
    """Make a replacement layer by layer.

    Args:
        make: makes distributions from the attention of one layer; they get the sums of its rows.

    Returns:
        A function for ``Intervention.make``.
    """

    def every(decision: Decision, draw: int) -> AllWeights:
        new = []
        for i, layer in enumerate(decision.layers):
            generator = np.random.default_rng([decision.seed + i, draw])
            new.append(layer.sums * make(layer, generator))
        return np.stack(new)

    return every


def _uniform(layer: LayerAttention, _: np.random.Generator) -> Weights:
    seen = layer.seen.astype(np.float64)
    return seen / np.maximum(seen.sum(-1, keepdims=True), 1)


def _permuted(layer: LayerAttention, generator: np.random.Generator) -> Weights:
    out = layer.rows.copy()
    for place in np.ndindex(out.shape[:-1]):
        seen = layer.seen[place]
        out[place][seen] = generator.permutation(out[place][seen])
    return out


def _random(layer: LayerAttention, generator: np.random.Generator) -> Weights:
    """Softmax of standard normal scores."""
    grown = np.where(layer.where, np.exp(generator.normal(size=layer.weights.shape)), 0)
    return grown / np.maximum(grown.sum(-1, keepdims=True), 1e-300)


def _identity(layer: LayerAttention, _: np.random.Generator) -> Weights:
    out = np.zeros_like(layer.weights)
    places = np.arange(out.shape[-1])
    out[:, places, places] = 1
    return np.where(layer.where, out, 0)


def _longest(row: np.ndarray, move: np.ndarray) -> np.ndarray:
    """How far each row can go in a direction and stay non-negative."""
    share = np.where(move < -1e-15, -row / np.where(move < -1e-15, move, -1), np.inf)
    longest = share.min(-1, keepdims=True)
    return np.where(np.isfinite(longest), longest, 0)


def _null_shift(layer: LayerAttention, _: np.random.Generator) -> Weights:
    """Go as far as possible on the line through the row and its efficient attention.

    Both ends of the line have the same output as the row.  The farther end is taken.  A row that is
    efficient already stays: its line would be one of rounding errors.
    """
    rows = layer.rows
    move = layer.efficient - rows
    move = np.where(np.linalg.norm(move, axis=-1, keepdims=True) > STILL, move, 0)
    forth, back = _longest(rows, move), _longest(rows, -move)
    return np.maximum(np.where(forth >= back, rows + forth * move, rows - back * move), 0)


def _effective_shift(layer: LayerAttention, generator: np.random.Generator) -> Weights:
    """Move as far as the null shift, but within the space that reaches the output.

    Ten random directions in the column space of ``[V, 1]`` that keep the sum are tried.  The one
    that leads farthest is taken.  The row stays a distribution, so it may not come as far.
    """
    rows = layer.rows
    size = np.linalg.norm(_null_shift(layer, generator) - rows, axis=-1, keepdims=True)
    ones = layer.within(layer.seen.astype(float))  # in the space; moves along it change the sums
    best, far = rows, np.full(size.shape, -1.0)
    for _ in range(DIRECTIONS):
        move = layer.within(np.where(layer.seen, generator.normal(size=rows.shape), 0))
        share = move.sum(-1, keepdims=True) / np.maximum(ones.sum(-1, keepdims=True), 1)
        move = move - ones * share
        length = np.linalg.norm(move, axis=-1, keepdims=True)
        move = move / np.where(length > 1e-12, length, np.inf)
        step = np.minimum(_longest(rows, move), size)
        best, far = np.where(step > far, rows + step * move, best), np.maximum(step, far)
    return np.maximum(best, 0)


def _without(
    rank: Callable[[Weights], Weights],
) -> Callable[[LayerAttention, np.random.Generator], Weights]:
    """Take the token that ranks first out of the vertex; the others grow by the same factor."""

    def make(layer: LayerAttention, _: np.random.Generator) -> Weights:
        rows: Weights = layer.vertex
        several = (rows > 0).sum(-1, keepdims=True) > 1  # a single token stays
        first = np.arange(rows.shape[-1]) == rank(rows).argmax(-1)[..., None]
        left = np.where(several & first, 0, rows)
        total = left.sum(-1, keepdims=True)
        return left / np.where(total > 0, total, 1)

    return make


def _of_the_trained_adversary(decision: Decision, _: int) -> AllWeights:
    assert decision.adversary is not None  # the row needs it
    return np.stack([layer.weights for layer in decision.adversary.attention(decision.inputs)[1]])


def _of_an_adversary(decision: Decision, _: int) -> AllWeights:
    return adversarial_attention(decision.classifier, decision.inputs, decision.chosen_LN)


_efficient = by_layer(lambda layer, _: layer.efficient)
_vertex = by_layer(lambda layer, _: layer.vertex)
_effective = by_layer(lambda layer, _: layer.effective)
_without_heaviest = by_layer(_without(lambda rows: rows))
_without_lightest = by_layer(_without(lambda rows: np.where(rows > 0, -rows, -np.inf)))
INTERVENTIONS = Choices(
    "intervention",
    {
        "min_norm": Intervention(_efficient, "efficient attention", exact=True),
        "min_support": Intervention(_vertex, "efficient attention, a vertex", exact=True),
        "effective": Intervention(_effective, "effective attention", exact=True, signed=True),
        "null shift": Intervention(by_layer(_null_shift), "a move without effect", exact=True),
        "effective shift": Intervention(by_layer(_effective_shift), "as far, seen", draws=DRAWS),
        "uniform": Intervention(by_layer(_uniform), "the same weight on every token"),
        "permuted": Intervention(by_layer(_permuted), "its weights, permuted", draws=DRAWS),
        "random": Intervention(by_layer(_random), "weights of random scores", draws=DRAWS),
        "identity": Intervention(by_layer(_identity), "all weight on the token itself"),
        "support - heaviest": Intervention(_without_heaviest, "the vertex without its heaviest"),
        "support - lightest": Intervention(_without_lightest, "the vertex without its lightest"),
        "adversarial": Intervention(_of_an_adversary, "an adversary for this decision"),
        "trained adversary": Intervention(
            _of_the_trained_adversary, "an adversary for all decisions", adversary=True
        ),
    },
)
