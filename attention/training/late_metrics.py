"""Metrics are read late: while the devices work on, the host asks for as little as it can."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import numpy as np

from attention.errors import InputError
from attention.training.metrics import MetricsLog
from attention.training.step import Metrics, TrainState

AHEAD = 4  # programs that the devices may be given before the host waits for one
MOST = 64  # programs whose metrics may wait


class NonFiniteError(InputError, FloatingPointError):
    """A loss, gradient or update is NaN or infinite; the message names the step and the folder."""


class LateMetrics:
    """The metrics of steps that run or ran, and were not looked at.

    A step that is not finite leaves the state as it was, and so do the steps after it.  It is
    therefore enough to look when a step is to be shown, or a state to be saved.

    Args:
        log: where they are written.
        shown: whether the metrics of a step are logged.
        set_aside: keeps the state before a step that is not finite, and says where.
    """

    def __init__(
        self,
        log: MetricsLog,
        shown: Callable[[int], bool],
        set_aside: Callable[[int, TrainState], str],
    ):
        self._log, self._shown, self._set_aside = log, shown, set_aside
        self._waiting: list[tuple[int, Metrics]] = []
        self._due = False

    def add(self, first: int, metrics: Metrics, state: TrainState) -> None:
        """Note the metrics of a program that was just dispatched; those before may be read.

        Args:
            first: its first step.
            metrics: of its steps.
            state: after it.
        """
        if self._due or len(self._waiting) >= MOST:
            self.read(state)
        self._waiting.append((first, metrics))
        count = metrics["finite"].size
        self._due = any(map(self._shown, range(first, first + count)))
        if len(self._waiting) > AHEAD:
            self._waiting[-AHEAD - 1][1]["finite"].block_until_ready()

    def read(self, state: TrainState) -> None:
        """Log all that waits.

        Raises:
            NonFiniteError: a step was not finite; ``state`` is the one before it.
        """
        waiting, self._waiting, self._due = self._waiting, [], False
        for first, metrics in waiting:
            count = metrics["finite"].size
            show = any(map(self._shown, range(first, first + count)))
            if not show and np.all(metrics["finite"]):  # the rest need not leave the devices
                self._log.write(first + count - 1, {}, False, first + count - 1)
            else:
                self._read(first, metrics, state)

    def _read(self, first: int, metrics: Metrics, state: TrainState) -> None:
        columns = {name: np.atleast_1d(x) for name, x in jax.device_get(metrics).items()}
        last = first + len(columns["finite"]) - 1
        for t, *row in zip(range(first, last + 1), *columns.values(), strict=True):
            values = {name: value.item() for name, value in zip(columns, row, strict=True)}
            finite = values.pop("finite")
            self._log.write(t, values, self._shown(t) or not finite, last)
            if not finite:
                raise NonFiniteError(
                    f"step {t} is not finite (loss {values['loss']:g}, gradient norm "
                    f"{values['grad_norm']:g}): lower the learning rate, or look whether the "
                    f"parameters that it starts from are finite; {self._set_aside(t, state)}"
                )


@contextlib.contextmanager
def profiler(
    folder: Path | None, span: tuple[int, int] | None
) -> Iterator[Callable[[int, int, TrainState], None]]:
    """Yield a function to call before each program, which traces some steps with ``jax.profiler``.

    It gets the steps done, those of the program, and the state.  A program is traced whole.

    Args:
        folder: of the run; the trace is in ``profile``.
        span: the first step to trace, and how many; None: none.

    Raises:
        InputError: there is no folder.
    """
    if span is None:
        yield lambda t, chunk, state: None
        return
    if folder is None:
        raise InputError("a profile is written into the directory of a run: give one")
    first, count = span
    running = [False, False]  # it runs; it is done

    def step(t: int, chunk: int, state: TrainState) -> None:
        if not running[0] and not running[1] and t + chunk > first:
            jax.block_until_ready(state.step)
            jax.profiler.start_trace(str(folder / "profile"))
            running[0] = True
        elif running[0] and t >= first + count:
            jax.block_until_ready(state.step)
            stop()

    def stop() -> None:
        jax.profiler.stop_trace()
        running[:] = [False, True]

    try:
        yield step
    finally:
        if running[0]:
            stop()
