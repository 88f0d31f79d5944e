"""Kneser-Ney models of one, two or three tokens: what a language model must beat.

    p(w | u v) = max(c(u v w) − D, 0) / c(u v) + D · N(u v ·) / c(u v) · p(w | v)

``c`` counts in the highest order; in a lower order it counts the different tokens that stand before
(continuation counts). ``N(u v ·)`` is how many different tokens follow, and ``D`` is n₁/(n₁ + 2n₂)
of the order, with n₁ and n₂ the n-grams counted once and twice. The unigram is interpolated with
1/V, so that every token of the vocabulary has a probability.

Markers that are never predicted stand before a sequence; nothing stands behind it.

Source: Kneser and Ney (1995), "Improved backing-off for m-gram language modeling"; interpolated as
by Chen and Goodman (1999), "An empirical study of smoothing techniques for language modeling".
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from attention.choices import Choices
from attention.errors import InputError

FLOORS: Choices[int] = Choices("floor", {"unigram": 1, "bigram": 2, "trigram": 3})
"""Orders of the n-gram models that stand beside a score."""
USUAL_DISCOUNT = 0.5  # where a text is too short to tell


class Level(NamedTuple):
    """The n-grams of one order; a key is the tokens' number in base V + 1.

    Attributes:
        keys: of the n-grams that occur, ascending.
        shares: max(c − D, 0) / c(context) of each.
        contexts: keys of their contexts, ascending.
        left: D · N(context ·) / c(context): the weight of the lower order.
    """

    keys: Int[np.ndarray, " n"]
    shares: Float[np.ndarray, " n"]
    contexts: Int[np.ndarray, " c"]
    left: Float[np.ndarray, " c"]


@dataclasses.dataclass(frozen=True)
class NgramModel:
    """An interpolated Kneser-Ney model.

    Attributes:
        vocab_size: tokens are below it.
        levels: of the orders 1, 2, …
    """

    vocab_size: int
    levels: tuple[Level, ...]

    @classmethod
    def fit(
        cls, sequences: Sequence[Int[np.ndarray, " T"]], vocab_size: int, order: int = 3
    ) -> NgramModel:
        """Count the n-grams of a text.

        Args:
            sequences: tokens of each document, paragraph or sentence; none sees another.
            vocab_size: tokens are below it.
            order: tokens of an n-gram.

        Raises:
            InputError: there is no token, or one is not below ``vocab_size``.
        """
        if (vocab_size + 1) ** order >= 2**63:
            raise InputError(f"{order}-grams of {vocab_size:,} tokens have too large numbers")
        keys = _keys(sequences, vocab_size, order)[-1]
        if not len(keys):
            raise InputError("the text of the n-grams has no token")
        levels: list[Level] = []
        for n in range(order, 0, -1):
            found, counts = np.unique(keys, return_counts=True)
            levels.append(_level(found, counts, vocab_size + 1))
            keys = found % (vocab_size + 1) ** (n - 1)  # each n-gram counts once in the order below
        return cls(vocab_size, tuple(levels[::-1]))

    def log_probs(
        self, sequences: Sequence[Int[np.ndarray, " T"]]
    ) -> list[Float[np.ndarray, " T"]]:
        """Compute ``log p(token | tokens before)`` of every token, in nats.

        Raises:
            InputError: a token is not below ``vocab_size``.
        """
        keys = _keys(sequences, self.vocab_size, len(self.levels))
        probability = np.full(len(keys[0]), 1 / self.vocab_size)
        for level, key in zip(self.levels, keys, strict=True):
            place, known = _find(level.contexts, key // (self.vocab_size + 1))
            weight = np.where(known, level.left[place], 1.0)
            place, known = _find(level.keys, key)
            probability = np.where(known, level.shares[place], 0.0) + weight * probability
        ends = np.cumsum([len(sequence) for sequence in sequences])
        return np.split(np.log(probability), ends[:-1]) if len(sequences) else []

    def perplexity(self, sequences: Sequence[Int[np.ndarray, " T"]]) -> float:
        """Compute ``exp(−mean log p)`` over all tokens of some sequences."""
        return float(np.exp(-np.mean(np.concatenate(self.log_probs(sequences)))))


def _keys(
    sequences: Sequence[Int[np.ndarray, " T"]], vocab_size: int, order: int
) -> list[Int[np.ndarray, " tokens"]]:
    """The keys of the 1-, 2-, … ``order``-grams that end at each token."""
    lengths = np.array([len(sequence) for sequence in sequences], np.int64)
    tokens = np.concatenate([np.zeros(0, np.int64), *sequences]).astype(np.int64)
    if len(tokens) and not 0 <= tokens.min() <= tokens.max() < vocab_size:
        raise InputError(f"tokens of the text are not among the {vocab_size:,} of the vocabulary")
    before = np.repeat(np.arange(1, len(lengths) + 1) * (order - 1), lengths)
    places = np.arange(len(tokens)) + before
    marked = np.full(len(tokens) + len(lengths) * (order - 1), vocab_size, np.int64)
    marked[places] = tokens
    keys = [tokens]
    for n in range(1, order):
        keys.append(marked[places - n] * (vocab_size + 1) ** n + keys[-1])
    return keys


def _level(keys: Int[np.ndarray, " n"], counts: Int[np.ndarray, " n"], base: int) -> Level:
    once, twice = int(np.sum(counts == 1)), int(np.sum(counts == 2))
    discount = once / (once + 2 * twice) if once and twice else USUAL_DISCOUNT
    contexts, first = np.unique(keys // base, return_index=True)
    types = np.diff(first, append=len(keys))
    totals = np.add.reduceat(counts, first).astype(np.float64)
    shares = (counts - discount) / np.repeat(totals, types)
    return Level(keys, shares, contexts, discount * types / totals)


def _find(
    table: Int[np.ndarray, " n"], keys: Int[np.ndarray, " k"]
) -> tuple[Int[np.ndarray, " k"], np.ndarray]:
    """The place of each key in an ascending table, and whether it is there."""
    place = np.minimum(np.searchsorted(table, keys), len(table) - 1)
    return place, table[place] == keys


def fit_floors(
    sequences: Sequence[Int[np.ndarray, " T"]], vocab_size: int
) -> dict[str, NgramModel]:
    """Fit every row of ``FLOORS`` to a text."""
    return {name: NgramModel.fit(sequences, vocab_size, order) for name, order in FLOORS.items()}
