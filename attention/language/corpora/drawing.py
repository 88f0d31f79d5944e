"""Rows of tokens, and which of them a step reads: pure functions of the seed and the step."""

from __future__ import annotations

import dataclasses
import functools
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int

from attention.errors import InputError
from attention.language.corpora.kinds import Layout
from attention.language.corpora.token_files import TokenFiles
from attention.language.labelled_texts import Split

WIDTHS = 4  # widths of a batch of sentences; each is compiled
PADDING = -1  # the segment of padding


class Rows(NamedTuple):
    """Some rows of a split, each with one token more than a causal model reads.

    Attributes:
        tokens: token ids.
        segments: which unit of its row each token belongs to, from 0; ``PADDING`` at padding.
    """

    tokens: Int[np.ndarray, "B T+1"]
    segments: Int[np.ndarray, "B T+1"]

    @property
    def real(self) -> Bool[np.ndarray, "B T+1"]:
        """True at tokens of the text."""
        return self.segments != PADDING


@dataclasses.dataclass(frozen=True)
class RowSource:
    """The rows of one split.

    Attributes:
        files: the tokens.
        split: which part of them.
        length: tokens that a model reads of a row, T.
        layout: how rows are cut.
        pad: token id of padding.

    Raises:
        InputError: the split has not one whole row, or its files hold other units than the layout
            needs.
    """

    files: TokenFiles
    split: Split
    length: int
    layout: Layout
    pad: int = 0

    def __post_init__(self) -> None:
        needed = "sentence" if self.layout == "sentence" else "document"
        if self.files.unit != needed:
            raise InputError(f"the layout {self.layout} needs tokens of a {needed} each")
        if len(self) < 1:
            tokens = self.files.counts[self.split]["tokens"]
            raise InputError(
                f"the {self.split} split of {self.files.corpus} has {tokens} tokens, fewer than "
                f"one row of {self.length + 1}: take more text, smaller documents (--by), another "
                "share or a smaller --length"
            )

    def __len__(self) -> int:
        """Number of rows; a rest that is no whole row is left out."""
        counts = self.files.counts[self.split]
        if self.layout == "sentence":
            return counts["units"]
        return max(0, counts["tokens"] - 1) // self.length

    @functools.cached_property
    def _starts(self) -> Int[np.ndarray, " U+1"]:
        return self.files.units(self.split)

    @functools.cached_property
    def _tokens(self):
        return self.files.tokens(self.split)

    def read(self, which: Int[np.ndarray, " B"]) -> Rows:
        """Read rows by their numbers."""
        return self._sentences(which) if self.layout == "sentence" else self._stream(which)

    def draw(self, seed: int, step: int, batch: int) -> Rows:
        """Draw the rows of a step.

        Each epoch reads all rows once, in an order of its own.  Row i of step t is number ``t ·
        batch + i`` of the order that the seed gives.
        """
        return self.read(self.numbers(seed, step, batch))

    def numbers(self, seed: int, step: int, batch: int) -> Int[np.ndarray, " B"]:
        """The numbers of the rows of a step."""
        places = np.arange(step * batch, (step + 1) * batch)
        epochs, inside = np.divmod(places, len(self))
        return np.array(
            [
                _order(seed, int(epoch), len(self))[place]
                for epoch, place in zip(epochs, inside, strict=True)
            ]
        )

    def _stream(self, which: np.ndarray) -> Rows:
        first_B1 = which[:, None] * self.length
        places_BT = first_B1 + np.arange(self.length + 1)
        tokens = np.stack([self._tokens[i : i + self.length + 1] for i in first_B1[:, 0]])
        if self.layout == "stream":
            return Rows(tokens, np.zeros_like(tokens))
        units_BT = np.searchsorted(self._starts, places_BT, side="right")
        return Rows(tokens, (units_BT - units_BT[:, :1]).astype(np.int32))

    def _sentences(self, which: np.ndarray) -> Rows:
        starts, ends = self._starts[which], self._starts[which + 1]
        sizes = np.minimum(ends - starts, self.length + 1)
        step = max(1, -(-self.length // WIDTHS))
        width = min(self.length, step * -(-max(1, int(sizes.max()) - 1) // step)) + 1
        tokens = np.full((len(which), width), self.pad, np.int32)
        segments = np.full((len(which), width), PADDING, np.int32)
        for row, (start, size) in enumerate(zip(starts, sizes, strict=True)):
            tokens[row, :size] = self._tokens[int(start) : int(start + size)]
            segments[row, :size] = 0
        return Rows(tokens, segments)


@functools.lru_cache(maxsize=16)
def _order(seed: int, epoch: int, rows: int) -> Int[np.ndarray, " R"]:
    """The order of the rows in an epoch."""
    return np.random.default_rng([seed, epoch]).permutation(rows)
