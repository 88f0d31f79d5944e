"""Programs over rows of text, with smaller batches when the device runs out of memory."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
from jaxtyping import PyTree

from attention.errors import is_out_of_memory
from attention.likelihood.batches import Arrays, Batch, choose_shapes, join, load_batches
from attention.likelihood.rows import Row


@contextlib.contextmanager
def when_memory_runs_out(make_smaller: Callable[[], bool]) -> Iterator[None]:
    """Make the work smaller when the device runs out of memory, so that it can be done again.

    ::

        while True:
            with when_memory_runs_out(halve):
                return work()

    Args:
        make_smaller: returns false if the work cannot be smaller; the error is then raised.

    Raises:
        jax.errors.JaxRuntimeError: it is another error, or the smallest work does not fit.
    """
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if not is_out_of_memory(error) or not make_smaller():
            raise


class RowBatches:
    """Rows in padded batches on the device, ready for any number of programs.

    Args:
        rows: what the programs read.
        batch_tokens: most tokens in a batch, which has at least one row.
        sharding: of the rows on several devices; None for one device.

    Attributes:
        rows: as given.
        batch_tokens: tokens in a batch; halved when the device runs out of memory.
        branched: whether any row has branches.
        advance: if set, it is called when a batch is done, to show progress.
    """

    def __init__(
        self,
        rows: Sequence[Row],
        batch_tokens: int = 4096,
        sharding: jax.sharding.Sharding | None = None,
    ):
        self.rows, self.batch_tokens, self._sharding = rows, batch_tokens, sharding
        self.branched = any(any(row.branches) for row in rows)
        self.advance: Callable[[], None] | None = None
        self._batches: list[Batch] = []
        self._load()

    def __len__(self) -> int:
        """The number of batches."""
        return len(self._batches)

    def _load(self) -> None:
        multiple = 1 if self._sharding is None else self._sharding.num_devices
        shapes = choose_shapes([self.rows], self.batch_tokens, multiple)
        self._smallest = all(shape.rows <= multiple for shape in shapes)
        self._batches = load_batches(self.rows, shapes, self._sharding)

    def _halve(self) -> bool:
        if self._smallest:
            return False
        largest = max(batch.arrays.tokens.size for batch in self._batches)
        self._batches = []  # frees their arrays
        self.batch_tokens = largest // 2
        self._load()
        return True

    def run(self, program: Callable[[Arrays], PyTree]) -> Any:
        """Run a program over all rows.

        If the device runs out of memory, all is done again in batches of half the size.

        Args:
            program: returns a tree of arrays ``[R, …]``.  It is called for each batch; give a
                jitted function, which is compiled for each shape.

        Returns:
            The tree for all rows, in their order and without padding, as NumPy arrays.

        Raises:
            jax.errors.JaxRuntimeError: the smallest batch does not fit.
        """
        while True:
            with when_memory_runs_out(self._halve):
                return join(self._batches, [self._ran(program, b) for b in self._batches])

    def _ran(self, program: Callable[[Arrays], PyTree], batch: Batch) -> PyTree:
        found = program(batch.arrays)
        if self.advance is not None:
            jax.block_until_ready(found)
            self.advance()
        return found
