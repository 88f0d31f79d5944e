"""Rows of different lengths → padded batches of few shapes on the device, and back to rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Bool, Int

from attention.likelihood.rows import Row

WORTH_SHARING = 16  # a common beginning of fewer tokens is not worth a program
PADDING = 0.25  # share of tokens that may be padding before another shape is worth a program
SHORT, ALIGNED = 64, 8  # a longer row is filled to a multiple, which accelerators multiply faster
PARTS, PART_TOKENS = 8, 1024  # a split has so many batches, unless they would be shorter


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

    tokens: Int[Array, "R T"]
    branches: Int[Array, "R T"]  # −1 for padding
    positions: Int[Array, "R T"]
    targets: Int[Array, "R P"]
    owners: Int[Array, "R P"]  # −1 for padding
    places: Int[Array, "R U"]  # that are read, each once
    reads: Int[Array, "R P"]  # which of the places predicts each target

    @property
    def where(self) -> Bool[Array, "R T"]:
        """True at real tokens."""
        return self.branches >= 0

    @property
    def target_where(self) -> Bool[Array, "R P"]:
        """True at real targets."""
        return self.owners >= 0


class Batch(NamedTuple):
    """Arrays on the device; ``rows`` are the indices of the rows, fewer than fit in the last batch.

    Rows behind them are padding.
    """

    rows: Int[np.ndarray, " r"]
    arrays: Arrays


def shared_beginning(splits: Sequence[Sequence[Row]]) -> int:
    """Number of tokens that all rows begin with and that nobody is asked about; 0 if few."""
    rows = [row for split in splits for row in split]
    low, high = min(row.tokens for row in rows), max(row.tokens for row in rows)
    most = min(row.unread for row in rows)
    common = next((i for i in range(most) if low[i] != high[i]), most)
    return common if common >= WORTH_SHARING and len(rows) > 1 else 0


def bucket(length: int) -> int:
    """The next of 8, 12, … 64, 72, 80, … 128, 144, …: a long row is padded by an eighth at most."""
    step = 4
    while length > 16 * step:
        step *= 2
    return max(8, -(-length // step) * step)


def choose_shapes(
    splits: Sequence[Sequence[Row]], batch_tokens: int, multiple: int = 1
) -> list[Shape]:
    """As few lengths as leave at most a quarter of padding, and the shape of a batch of each.

    A length is that of the longest row, or for long ones the next multiple of 8.

    Rows are divided over as few batches as ``batch_tokens`` allows, but no fewer than a race is
    quick with, or one or two more where these leave fewer rows empty.

    Args:
        splits: sets of rows that share the shapes; the first decides the number of batches.
        batch_tokens: at most so many tokens a batch, but always one row.
        multiple: the number of rows is a multiple of this: the devices that share a batch.

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
    """All rows in batches of the given shapes, longest first: memory runs out at once.

    Args:
        rows: what the batches hold.
        shapes: of ``choose_shapes``.
        sharding: how rows lie on several devices.
        order: of the rows of one shape; None: as they come.
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
            on_device = Arrays(*(jax.device_put(array, sharding) for array in arrays))
            batches.append(Batch(np.array(chosen), on_device))
    return batches


def one_row(tokens: Sequence[int]) -> Arrays:
    """A batch of one text, about which nothing is asked; on the host."""
    return _arrays([Row.prompt(tokens)], Shape(1, len(tokens), 1, 1))


def _arrays(rows: Sequence[Row], shape: Shape) -> Arrays:
    asked: list[str] = ["targets", "owners", "reads"]
    sizes = dict.fromkeys(asked, shape.targets) | {"places": shape.places}
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


def fetch(batch: Batch, output: Any) -> Any:
    """What a program made of the rows of a batch, without padding, on the host."""
    return jax.tree.map(lambda array: np.asarray(array)[: len(batch.rows)], output)


def join(batches: Sequence[Batch], outputs: Sequence[Any]) -> Any:
    """What a program made of all rows, in the order of the rows, on the host.

    Args:
        batches: of ``load_batches``.
        outputs: of each batch, trees of arrays ``[R, …]``; where the second axis has different
            sizes, the narrower arrays are filled with zeros.
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
