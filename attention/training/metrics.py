"""Metrics of a run: one JSON line per logged step, and the terminal."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import jax
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from attention.files import write_text


class MetricsLog:
    """Writes ``{"step": t, "loss": …, …, "steps_per_s": …}``; use it as a context manager.

    A terminal shows a progress bar, anything else gets a plain line per logged step (on stderr);
    ``quiet`` shows nothing.  Only the first process of several writes.

    Args:
        path: the JSONL file, or None.  Lines of steps from ``start`` on, left by a run that was
            killed after its last checkpoint, are removed: each step appears once.
        start: first step of this run.
        steps: total number of steps.
        quiet: nothing on the terminal.
    """

    def __init__(self, path: Path | None, start: int, steps: int, quiet: bool = False):
        self._steps, self._first = steps, start
        self._last: tuple[int, float] | None = None
        self._rate: float | None = None
        main = jax.process_index() == 0
        self._file = None
        if path is not None and main:
            truncate(path, start)
            self._file = path.open("a", encoding="utf-8")
        self._console = Console(stderr=True, quiet=quiet or not main)
        self._progress = Progress(
            TextColumn("step"),
            MofNCompleteColumn(),
            BarColumn(),
            TextColumn("{task.fields[status]}"),
            TimeRemainingColumn(),
            console=self._console,
            disable=self._console.quiet or not self._console.is_terminal,
        )
        self._task = self._progress.add_task("fit", total=steps, completed=start, status="")

    def write(
        self, step: int, metrics: Mapping[str, float], show: bool, reached: int | None = None
    ) -> None:
        """Notes that ``step`` is done; logs its metrics if ``show``.

        ``reached``: the last step done by now, where several are done at once.
        """
        if not show:
            self._progress.update(self._task, completed=step + 1)
            return
        now, done = time.perf_counter(), step if reached is None else reached
        if self._last is not None and done > self._last[0]:
            # the first step's time is that of its compilation
            self._rate = (done - self._last[0]) / (now - self._last[1])
        if self._last is None or done > self._last[0]:
            self._last = (done, now)
        rate = self._rate
        if self._file is not None:
            line = {"step": step, **metrics, "steps_per_s": rate}
            self._file.write(json.dumps({k: _plain(v) for k, v in line.items()}) + "\n")
            self._file.flush()  # before the checkpoint that follows, so that none is missing
        status = f"loss {metrics['loss']:.4g}"
        status += f"  {rate:.3g} steps/s" if rate else ""
        self._progress.update(self._task, completed=step + 1, status=status)
        if self._progress.disable:
            left = f"  {(self._steps - step - 1) / rate:.0f} s left" if rate else ""
            text = f"step {step + 1}/{self._steps}  {status}{left}"
            self._console.print(text, soft_wrap=True, highlight=False)

    def __enter__(self) -> MetricsLog:
        self._progress.start()
        if self._first:
            self._console.print(f"resumed at step {self._first}", soft_wrap=True, highlight=False)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()
        if self._file is not None:
            self._file.close()


def truncate(path: Path, start: int) -> None:
    """Keeps the whole lines of steps before ``start``; the file is replaced atomically."""
    if not path.exists():
        return
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    whole = [line for line in lines if line.endswith("\n")]  # a kill may have cut the last one
    kept = [line for line in whole if json.loads(line)["step"] < start]
    write_text(path, "".join(kept))


def _plain(value: float | int | None) -> float | int | str | None:
    """JSON has no NaN: such values become the strings "nan", "inf", "-inf"."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
