"""Programs over rows of text; where the device runs out of memory, batches are made smaller."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax

from attention.errors import is_out_of_memory
from attention.likelihood.batches import Arrays, Batch, choose_shapes, join, load_batches
from attention.likelihood.rows import Row


@contextlib.contextmanager
def when_memory_runs_out(make_smaller: Callable[[], bool]) -> Iterator[None]:
    """Catch that the device ran out of memory, and make the work smaller, to do it again.

    ::

        while True:
            with when_memory_runs_out(halve):
                return work()

    Args:
        make_smaller: returns false if the work is as small as it can be; the error then goes on.

    Raises:
        jax.errors.JaxRuntimeError: another error, or the smallest work does not fit.
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
        batch_tokens: at most so many tokens a batch, but always one row.
        sharding: how rows lie on several devices; None: on one.

    Attributes:
        rows: as given.
        batch_tokens: tokens in a batch; halved when the device runs out of memory.
        branched: whether any row has branches.
    """

    def __init__(
        self,
        rows: Sequence[Row],
        batch_tokens: int = 4096,
        sharding: jax.sharding.Sharding | None = None,
    ):
        self.rows, self.batch_tokens, self._sharding = rows, batch_tokens, sharding
        self.branched = any(any(row.branches) for row in rows)
        self._batches: list[Batch] = []
        self._load()

    def _load(self) -> None:
        multiple = 1 if self._sharding is None else self._sharding.num_devices
        shapes = choose_shapes([self.rows], self.batch_tokens, multiple)
        self._smallest = all(shape.rows <= multiple for shape in shapes)
        self._batches = load_batches(self.rows, shapes, self._sharding)

    def _halve(self) -> bool:
        if self._smallest:
            return False
        largest = max(batch.arrays.tokens.size for batch in self._batches)
        self._batches = []  # free what they hold
        self.batch_tokens = largest // 2
        self._load()
        return True

    def run(self, program: Callable[[Arrays], Any]) -> Any:
        """What ``program`` makes of every row, in the order of the rows, on the host.

        Where the device runs out of memory, all is done again in batches half as large.

        Args:
            program: gives a tree of arrays ``[R, …]``; is called once a batch, and compiled (by
                ``jax.jit``) once a shape of batches.  Rows of padding are left out.
        """
        while True:
            with when_memory_runs_out(self._halve):
                return join(self._batches, [program(batch.arrays) for batch in self._batches])
