"""From rows of different lengths to padded batches of few shapes on the device, and back."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Bool, Int, PyTree

from attention.likelihood.rows import Row
from attention.meshes import put
from attention.processes import gathered

WORTH_SHARING = 16  # tokens; a shorter common beginning is not worth a program
PADDING = 0.25  # share of padding above which another shape is worth a program
SHORT, ALIGNED = 64, 8  # longer rows are padded to a multiple, which accelerators like
PARTS, PART_TOKENS = 8, 1024  # batches of a split, unless they have fewer tokens than this


@dataclasses.dataclass(frozen=True)
class Shape:
    """The shape of a batch.

    Attributes:
        rows: number of rows.
        length: tokens of each row.
        targets: targets of each row.
        places: places of each row that are read.
    """

    rows: int
    length: int
    targets: int
    places: int


class Arrays(NamedTuple):
    """The arrays of a batch, padded on the right; see :class:`Row`.

    A row of padding has one real token, so that everything in it is finite.

    Attributes:
        tokens: of each row.
        branches: the branch of each token; −1 for padding.
        positions: of each token in its text.
        targets: tokens that are asked about.
        owners: the choice that each target belongs to; −1 for padding.
        places: places that are read, each once.
        reads: which of the places predicts each target.
    """

    tokens: Int[Array, "R T"]
    branches: Int[Array, "R T"]
    positions: Int[Array, "R T"]
    targets: Int[Array, "R P"]
    owners: Int[Array, "R P"]
    places: Int[Array, "R U"]
    reads: Int[Array, "R P"]

    @property
    def where(self) -> Bool[Array, "R T"]:
        """True at real tokens."""
        return self.branches >= 0

    @property
    def target_where(self) -> Bool[Array, "R P"]:
        """True at real targets."""
        return self.owners >= 0


class Batch(NamedTuple):
    """A batch on the device.

    Attributes:
        rows: indices of its rows; further rows of the arrays are padding.
        arrays: on the device.
    """

    rows: Int[np.ndarray, " r"]
    arrays: Arrays


def shared_beginning(splits: Sequence[Sequence[Row]]) -> int:
    """Count the tokens that all rows begin with before any place is read; 0 if they are few."""
    rows = [row for split in splits for row in split]
    low, high = min(row.tokens for row in rows), max(row.tokens for row in rows)
    most = min(row.unread for row in rows)
    common = next((i for i in range(most) if low[i] != high[i]), most)
    return common if common >= WORTH_SHARING and len(rows) > 1 else 0


def bucket(length: int) -> int:
    """Round up to 8, 12, … 64, 72, 80, … 128, 144, …: a long row grows by at most an eighth."""
    step = 4
    while length > 16 * step:
        step *= 2
    return max(8, -(-length // step) * step)


def choose_shapes(
    splits: Sequence[Sequence[Row]], batch_tokens: int, multiple: int = 1
) -> list[Shape]:
    """Choose the shapes of batches: as few lengths as leave at most a quarter of padding.

    The length of a shape is that of its longest row; a long one is rounded up to a multiple of 8.
    Rows are divided into as few batches as ``batch_tokens`` allows, but into at least as many as a
    race needs to be quick.  There may be one or two more, if fewer rows then stay empty.

    Args:
        splits: sets of rows that share the shapes; the first decides the number of batches.
        batch_tokens: most tokens in a batch, which has at least one row.
        multiple: the number of rows is a multiple of this, the devices that share a batch.

    Returns:
        The shapes, shortest first.
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


def load_batches(
    rows: Sequence[Row],
    shapes: Sequence[Shape],
    sharding: jax.sharding.Sharding | None = None,
    order: Sequence[int] | None = None,
) -> list[Batch]:
    """Load all rows in batches, the longest first, so that memory runs out at once if it does.

    Args:
        rows: the rows.
        shapes: from ``choose_shapes``.
        sharding: of the rows on several devices; None for one device.
        order: of all rows, the most wanted first; None: as they stand.  Rows are divided into
            batches in this order, and the first batches have the most wanted rows for their tokens.
    """
    lengths = sorted(shape.length for shape in shapes)
    batches = []
    for shape in sorted(shapes, key=lambda shape: -shape.length):
        members = [
            i
            for i in (range(len(rows)) if order is None else order)
            if next(x for x in lengths if x >= len(rows[i].tokens)) == shape.length
        ]
        for start in range(0, len(members), shape.rows):
            chosen = members[start : start + shape.rows]
            arrays = _arrays([rows[i] for i in chosen], shape)
            on_device = Arrays(*(put(array, sharding) for array in arrays))
            batches.append(Batch(np.array(chosen), on_device))
    if order is not None:
        wanted = len(rows) - np.argsort(order)
        batches.sort(key=lambda batch: -wanted[batch.rows].sum() / batch.arrays.tokens.size)
    return batches


def one_row(tokens: Sequence[int]) -> Arrays:
    """Make the arrays ``[R, T]`` of one text without targets, on the host."""
    return _arrays([Row.prompt(tokens)], Shape(1, len(tokens), 1, 1))


def _arrays(rows: Sequence[Row], shape: Shape) -> Arrays:
    sizes = dict.fromkeys(("targets", "owners", "reads"), shape.targets) | {"places": shape.places}
    arrays: dict[str, Any] = {
        name: np.full(
            (shape.rows, sizes.get(name, shape.length)),
            -1 if name in ("branches", "owners") else 0,
            np.int32,
        )
        for name in Arrays._fields
    }
    arrays["branches"][:, 0] = 0
    for i, row in enumerate(rows):
        for name, array in arrays.items():
            values = getattr(row, name)
            array[i, : len(values)] = values
    return Arrays(**arrays)


def fetch(batch: Batch, output: PyTree) -> PyTree:
    """Copy what a program made of a batch to each host, without rows of padding."""
    return jax.tree.map(lambda array: np.asarray(array)[: len(batch.rows)], gathered(output))


def join(batches: Sequence[Batch], outputs: Sequence[PyTree]) -> PyTree:
    """Join what a program made of all batches.

    Args:
        batches: from ``load_batches``.
        outputs: for each batch, a tree of arrays ``[R, …]``.  If their second axes differ, zeros
            fill the shorter ones.

    Returns:
        The tree for all rows, in their order, as NumPy arrays.
    """
    order = np.argsort(np.concatenate([batch.rows for batch in batches]))
    fetched = [fetch(batch, output) for batch, output in zip(batches, outputs, strict=True)]

    def joined(*arrays: np.ndarray) -> np.ndarray:
        if len({array.shape[1:2] for array in arrays}) > 1:
            width = max(array.shape[1] for array in arrays)
            arrays = tuple(
                np.pad(a, ((0, 0), (0, width - a.shape[1]), *((0, 0),) * (a.ndim - 2)))
                for a in arrays
            )
        return np.concatenate(arrays)[order]

    return jax.tree.map(joined, *fetched)
