"""Rows of different lengths → few batch shapes."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np


@dataclasses.dataclass(frozen=True)
class Row:
    """Tokens the model reads, and the last tokens it is asked about (none: it is to write)."""

    tokens: list[int]
    targets: list[int]
    example: int


@dataclasses.dataclass(frozen=True)
class Shape:
    """Rows, tokens and targets of a batch."""

    rows: int
    length: int
    targets: int


@dataclasses.dataclass(frozen=True)
class Batch:
    """Arrays of one shape; ``rows`` are the indices of its rows, fewer than the shape's at the end.

    Padding stands on the right; a row of padding alone has one token, so that it stays finite.
    """

    shape: Shape
    rows: np.ndarray
    tokens: np.ndarray
    where: np.ndarray
    targets: np.ndarray
    target_where: np.ndarray


def bucket(length: int) -> int:
    """The next of 8, 16, 24, … 64, 80, 96, 112, 128, 160, …: at most a quarter is padding."""
    step = 8
    while length > 8 * step:
        step *= 2
    return -(-length // step) * step


def plan(splits: Sequence[Sequence[Row]], batch_tokens: int, multiple: int = 1) -> list[Shape]:
    """One shape for each bucket of lengths that occurs in any split.

    Rows are divided evenly over as few batches as ``batch_tokens`` allows, in multiples of
    ``multiple`` (the devices that share a batch).
    """
    counts = Counter(bucket(len(row.tokens)) for row in splits[0])
    targets: dict[int, int] = {}
    for row in (row for split in splits for row in split):
        length = bucket(len(row.tokens))
        targets[length] = max(targets.get(length, 0), len(row.targets))
    shapes = []
    for length in sorted(targets):
        most = max(1, batch_tokens // length)
        count = counts.get(length) or sum(bucket(len(r.tokens)) == length for r in splits[-1])
        rows = -(-count // -(-count // most))
        shapes.append(Shape(-(-rows // multiple) * multiple, length, targets[length]))
    return shapes


def batches(rows: Sequence[Row], shapes: Sequence[Shape]) -> Iterator[Batch]:
    """All rows, in batches of the planned shapes, longest first (memory runs out at once)."""
    for shape in sorted(shapes, key=lambda shape: -shape.length):
        members = [i for i, row in enumerate(rows) if bucket(len(row.tokens)) == shape.length]
        for start in range(0, len(members), shape.rows):
            yield _batch(rows, np.array(members[start : start + shape.rows]), shape)


def _batch(rows: Sequence[Row], members: np.ndarray, shape: Shape) -> Batch:
    tokens = np.zeros((shape.rows, shape.length), np.int32)
    where = np.zeros((shape.rows, shape.length), bool)
    targets = np.zeros((shape.rows, shape.targets), np.int32)
    target_where = np.zeros((shape.rows, shape.targets), bool)
    where[:, 0] = True
    for place, index in enumerate(members):
        row = rows[index]
        tokens[place, : len(row.tokens)] = row.tokens
        where[place, : len(row.tokens)] = True
        targets[place, : len(row.targets)] = row.targets
        target_where[place, : len(row.targets)] = True
    return Batch(shape, members, tokens, where, targets, target_where)
