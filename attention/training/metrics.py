"""The metrics of a run: one JSON line for each logged step, and what the terminal shows."""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Self

import jax
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

from attention.choices import resolve
from attention.errors import InputError
from attention.files import read_bytes, tell, write_text
from attention.terminal import Terminal

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class MetricsLog:
    """Writes ``{"step": t, "loss": …, …, "steps_per_s": …}``; use it as a context manager.

    A terminal shows a progress bar.  Elsewhere each logged step gets a line on the standard error.
    Only the first of several processes writes.

    Args:
        path: the JSONL file, or None for no file.  It may hold steps from ``start`` on, if a run
            was killed after its last checkpoint.  Their lines are removed: each step appears once.
        start: first step of this run.
        steps: total number of steps.
        quiet: show nothing on the terminal.
    """

    def __init__(self, path: Path | None, start: int, steps: int, quiet: bool = False):
        self._path, self._start, self._steps = path, start, steps
        self._main = jax.process_index() == 0
        self._terminal = Terminal(quiet or not self._main)
        self._last: tuple[int, float] | None = None  # a logged step, and when it was done
        self._rate: float | None = None  # steps per second

    def __enter__(self) -> Self:
        columns = (
            TextColumn("step"),
            MofNCompleteColumn(),
            BarColumn(),
            TextColumn("{task.fields[status]}"),
            TimeRemainingColumn(),
        )
        with contextlib.ExitStack() as stack:
            self._file = None
            if self._path is not None and self._main:
                truncate(self._path, self._start)
                self._file = stack.enter_context(self._path.open("a", encoding="utf-8"))
            self._progress = stack.enter_context(self._terminal.bar(*columns, stays=True))
            self._stack = stack.pop_all()
        self._task = self._progress.add_task(
            "fit", total=self._steps, completed=self._start, status=""
        )
        if self._start:
            self._terminal.message(f"resumed at step {self._start}")
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def write(self, step: int, metrics: Mapping[str, float], show: bool, reached: int) -> None:
        """Note that a step is done.

        Args:
            step: its number.
            metrics: of the step.
            show: whether its metrics are logged.
            reached: the last step that is done by now; several may be done at once.
        """
        if not show:
            self._progress.update(self._task, completed=step + 1)
            return
        now = time.perf_counter()
        if self._last is None or reached > self._last[0]:
            if self._last is not None:  # the time before the first one is that of its compilation
                self._rate = (reached - self._last[0]) / (now - self._last[1])
            self._last = (reached, now)
        rate = self._rate
        if self._file is not None:
            line = {"step": step, **metrics, "steps_per_s": rate}
            self._file.write(json.dumps({k: _plain(v) for k, v in line.items()}) + "\n")
            self._file.flush()  # before the checkpoint that follows, so that no line is missing
        if self._main:
            tell("metrics", {**metrics, "steps_per_s": rate}, step)
        status = f"loss {metrics['loss']:.4g}"
        status += f"  {rate:.3g} steps/s" if rate else ""
        self._progress.update(self._task, completed=step + 1, status=status)
        if self._progress.disable:
            left = f"  {(self._steps - step - 1) / rate:.0f} s left" if rate else ""
            self._terminal.message(f"step {step + 1}/{self._steps}  {status}{left}")


def loss_figure(run: str | Path) -> Figure:
    """Draw the loss of a run against its steps, from ``metrics.jsonl``.

    Raises:
        InputError: the directory has no metrics.
    """
    from matplotlib.figure import Figure

    lines = resolve("attention.training.metric_lines:read_metrics")(run)
    figure = Figure(figsize=(6, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.plot([line["step"] + 1 for line in lines], [float(line["loss"]) for line in lines])
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    return figure


def truncate(path: Path, start: int) -> None:
    """Keep the whole lines of steps before ``start``; the file is replaced at once."""
    if not path.exists():
        return
    lines = read_bytes(path).decode(errors="replace").splitlines(keepends=True)
    whole = [line for line in lines if line.endswith("\n")]  # a kill may have cut the last one
    kept = [line for number, line in enumerate(whole, 1) if _step(path, number, line) < start]
    write_text(path, "".join(kept))


def _step(path: Path, number: int, line: str) -> int:
    """The step of a line.

    Raises:
        InputError: the line is damaged.
    """
    try:
        step = json.loads(line)["step"]
    except (ValueError, KeyError, TypeError, RecursionError):
        step = None
    if type(step) is not int or step < 0:
        raise InputError(f"{path}:{number}: not a line of metrics; remove it to go on")
    return step


def _plain(value: float | None) -> float | str | None:
    """NaN and infinity, which JSON does not have, as the texts "nan", "inf" and "-inf"."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
