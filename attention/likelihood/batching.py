"""Rows of different lengths → few batch shapes, and the text that all rows begin with."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

SHARED = 16  # a common beginning of fewer tokens is not worth a program
PADDING = 0.25  # share of tokens that may be padding before another shape is worth a program
SHORT, ALIGNED = 64, 8  # a longer row is filled to a multiple, which accelerators multiply faster
PARTS, PART_TOKENS = 8, 1024  # a split has so many batches, unless they would be shorter


@dataclasses.dataclass(frozen=True)
class Row:
    """What the model reads of one example: its prompt and, side by side, what follows it.

    Attributes:
        tokens: the prompt, then the branches, one behind the other.
        example: index of the example.
        branches: 0 for the tokens of the prompt, b > 0 for those of a branch, which see the prompt
            and their own branch.
        positions: of each token, in the text that it stands in.
        targets: tokens that the model is asked about.
        read_at: the place that predicts each of them.
        owners: the branch, from 0, that each belongs to.
    """

    tokens: list[int]
    example: int
    branches: list[int] = dataclasses.field(default_factory=list)
    positions: list[int] = dataclasses.field(default_factory=list)
    targets: list[int] = dataclasses.field(default_factory=list)
    read_at: list[int] = dataclasses.field(default_factory=list)
    owners: list[int] = dataclasses.field(default_factory=list)

    @classmethod
    def prompt(cls, tokens: Sequence[int], example: int) -> Row:
        """A text that the model is to go on with."""
        return cls(list(tokens), example, [0] * len(tokens), list(range(len(tokens))))

    @classmethod
    def text(cls, tokens: Sequence[int], targets: Sequence[int], example: int) -> Row:
        """A text that is read, the last places of which predict the targets."""
        row = cls.prompt(tokens, example)
        row.targets.extend(targets)
        row.read_at.extend(range(len(tokens) - len(targets), len(tokens)))
        row.owners.extend([0] * len(targets))
        return row

    @classmethod
    def choices(cls, texts: Sequence[tuple[Sequence[int], int]], example: int) -> Row:
        """A prompt with each of its choices: ``(tokens, how many of the last are the choice's)``.

        The last token of a choice is only predicted, never read.
        """
        first = texts[0][0]
        common = min(len(tokens) for tokens, _ in texts) - 1
        common = next((i for i in range(common) if any(t[i] != first[i] for t, _ in texts)), common)
        row = cls.prompt(first[:common], example)
        for owner, (tokens, count) in enumerate(texts):
            own = range(common, len(tokens) - 1)
            start = len(row.tokens) - common
            row.targets.extend(tokens[-count:])
            places = range(len(tokens) - count - 1, len(tokens) - 1)
            row.read_at.extend(p if p < common else start + p for p in places)
            row.owners.extend([owner] * count)
            row.tokens.extend(tokens[common:-1])
            row.branches.extend([owner + 1] * len(own))
            row.positions.extend(own)
        return row

    @property
    def needed(self) -> int:
        """Tokens from the first place that is read on, or the last token: no shared text."""
        first = min(self.read_at, default=len(self.tokens) - 1)
        return min(first, self.branches.count(0) - 1)

    @property
    def places(self) -> list[int]:
        """Those of ``read_at``, each once: the first tokens of all choices are read at one."""
        return sorted(set(self.read_at))

    @property
    def reads(self) -> list[int]:
        """Which of the ``places`` predicts each target."""
        number = {place: i for i, place in enumerate(self.places)}
        return [number[place] for place in self.read_at]

    def of(self, example: int) -> Row:
        """The same row as that of another example."""
        return dataclasses.replace(self, example=example)

    def without(self, shared: int) -> Row:
        """The row behind the first ``shared`` tokens."""
        return dataclasses.replace(
            self,
            tokens=self.tokens[shared:],
            branches=self.branches[shared:],
            positions=self.positions[shared:],
            read_at=[place - shared for place in self.read_at],
        )


@dataclasses.dataclass(frozen=True)
class Shape:
    """Rows, tokens, targets and places that are read of a batch."""

    rows: int
    length: int
    targets: int
    places: int


class Arrays(NamedTuple):
    """What a program is given of a batch; padding stands on the right.

    A row of padding alone has one token, so that it stays finite.
    """

    tokens: np.ndarray  # [R, T]
    branches: np.ndarray  # [R, T], −1 for padding
    positions: np.ndarray  # [R, T]
    targets: np.ndarray  # [R, P]
    read_at: np.ndarray  # [R, P]
    owners: np.ndarray  # [R, P], −1 for padding
    places: np.ndarray  # [R, U], those of read_at, each once
    reads: np.ndarray  # [R, P], which of the places is that of read_at


@dataclasses.dataclass(frozen=True)
class Batch:
    """Arrays of one shape; ``rows`` are the indices of its rows, in the last batch fewer."""

    shape: Shape
    rows: np.ndarray
    arrays: Arrays


def shared_beginning(splits: Sequence[Sequence[Row]]) -> int:
    """Number of tokens that all rows begin with and that nobody is asked about; 0 if few."""
    rows = [row for split in splits for row in split]
    low, high = min(row.tokens for row in rows), max(row.tokens for row in rows)
    most = min(row.needed for row in rows)
    common = next((i for i in range(most) if low[i] != high[i]), most)
    return common if common >= SHARED and len(rows) > 1 else 0


def bucket(length: int) -> int:
    """The next of 8, 12, … 64, 72, 80, … 128, 144, …: a long row is padded by an eighth at most."""
    step = 4
    while length > 16 * step:
        step *= 2
    return max(8, -(-length // step) * step)


def plan(splits: Sequence[Sequence[Row]], batch_tokens: int, multiple: int = 1) -> list[Shape]:
    """As few lengths as leave at most a quarter of padding, and the shape of a batch of each.

    A length is that of the longest row, or for long ones the next multiple of 8.

    Rows are divided over as few batches as ``batch_tokens`` allows, but no fewer than a race is
    quick with, or one or two more where these leave fewer rows empty; in multiples of ``multiple``
    (the devices that share a batch).
    """
    lengths = sorted((bucket(len(r.tokens)) for split in splits for r in split), reverse=True)
    tops = [lengths[0]]
    used = padded = 0
    for length in lengths:
        used, padded = used + length, padded + tops[-1]
        if padded - used > PADDING * padded:
            tops.append(length)
            used = padded = length
    shapes = []
    parts = sum(len(row.tokens) for row in splits[0]) // PARTS
    for i, length in enumerate(tops):
        shorter = tops[i + 1] if i + 1 < len(tops) else 0
        members = [
            [r for r in split if shorter < bucket(len(r.tokens)) <= length] for split in splits
        ]
        count = len(members[0]) or max(map(len, members))
        longest = max(len(r.tokens) for split in members for r in split)
        length = max(8, longest if longest <= SHORT else -(-longest // ALIGNED) * ALIGNED)
        most = max(1, min(batch_tokens, max(PART_TOKENS, parts)) // length)
        fewest = -(-count // most)
        rows = min((-(-count // n) for n in range(fewest, fewest + 3)), key=lambda r: -count % r)
        targets = max(len(r.targets) for split in members for r in split)
        places = max(len(r.places) for split in members for r in split)
        shapes.append(Shape(-(-rows // multiple) * multiple, length, targets, places))
    return shapes[::-1]


def batches(
    rows: Sequence[Row], shapes: Sequence[Shape], order: Sequence[int] | None = None
) -> Iterator[Batch]:
    """All rows, in batches of the planned shapes, longest first (memory runs out at once).

    Rows of one shape come in the order given.
    """
    lengths = sorted(shape.length for shape in shapes)
    for shape in sorted(shapes, key=lambda shape: -shape.length):
        members = [
            i
            for i in (range(len(rows)) if order is None else order)
            if next(x for x in lengths if x >= len(rows[i].tokens)) == shape.length
        ]
        for start in range(0, len(members), shape.rows):
            yield _batch(rows, np.array(members[start : start + shape.rows]), shape)


def one_row(tokens: Sequence[int]) -> Arrays:
    """A text alone, about which nothing is asked."""
    shape = Shape(1, len(tokens), 1, 1)
    return _batch([Row.prompt(tokens, 0)], np.array([0]), shape).arrays


def _batch(rows: Sequence[Row], members: np.ndarray, shape: Shape) -> Batch:
    long, short = (shape.rows, shape.length), (shape.rows, shape.targets)
    fills = ((long, 0), (long, -1), (long, 0), (short, 0), (short, 0), (short, -1))
    fills += ((shape.rows, shape.places), 0), (short, 0)
    arrays = Arrays(*(np.full(size, value, np.int32) for size, value in fills))
    arrays.branches[:, 0] = 0
    for place, index in enumerate(members):
        for name in Arrays._fields:
            values = getattr(rows[index], name)
            getattr(arrays, name)[place, : len(values)] = values
    return Batch(shape, members, arrays)
