"""What a person sees while a search runs and when it ends; nothing at all if quiet."""

from __future__ import annotations

import contextlib
import datetime
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from tale_jax.elimination import Candidate
from tale_jax.runs.directory import Run
from tale_jax.runs.verdicts import PICKS, layer_list, p_text, percent, verdict
from tale_jax.units import Unit, Units


class Terminal:
    """Lines, a progress bar and tables on standard error and output."""

    def __init__(self, quiet: bool):
        self._out = Console(quiet=quiet, highlight=False, soft_wrap=False)
        self._err = Console(quiet=quiet, highlight=False, stderr=True)

    def message(self, line: str) -> None:
        """One line about something that happened."""
        self._err.print(escape(line), soft_wrap=True)

    def table(
        self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], words: int = 2
    ) -> None:
        """A table with a line above it; what follows the columns of words stands on the right."""
        table = Table(box=None, pad_edge=False)
        for number, column in enumerate(columns):
            table.add_column(column, overflow="fold", justify="left" if number < words else "right")
        for row in rows:
            table.add_row(*map(escape, row))
        self._out.print(escape(title))
        self._out.print(table)

    @contextlib.contextmanager
    def steps(self, description: str, total: int) -> Iterator[Callable[[], None]]:
        """A bar; the function yielded advances it."""
        hidden = not self._err.is_terminal
        with Progress(console=self._err, transient=True, disable=hidden) as bar:
            task = bar.add_task(escape(description), total=total)
            yield lambda: bar.advance(task)

    @contextlib.contextmanager
    def progress(self, run: Run, settings: Mapping[str, Any]) -> Iterator[SearchProgress]:
        """The display of a search; its methods also write to the run's journal."""
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=14),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[whole]}"),
        )
        hidden = not self._err.is_terminal  # a log gets the lines alone
        with Progress(*columns, console=self._err, transient=True, disable=hidden) as bar:
            yield SearchProgress(run, settings, bar, self)

    def summary(self, summary: Mapping[str, Any], speeds: Sequence[float], out: Path) -> None:
        """The three picks in a table, the verdict in words, and where the report is."""
        table = Table(box=None, pad_edge=False, title_justify="left")
        table.add_column("")
        table.add_column("layers dropped", overflow="fold")
        table.add_column("search accuracy", no_wrap=True)
        table.add_column("test accuracy", no_wrap=True)
        table.add_column("speed", justify="right", no_wrap=True)
        for pick, speed in zip(PICKS, speeds, strict=True):
            found = summary[pick]
            table.add_row(
                pick if pick == "baseline" else pick.upper(),
                layer_list(found["dropped"]),
                _accuracy(found),
                _accuracy(found["test"]),
                f"{speed:.2f}x",
            )
        self._out.print()
        self._out.print(table)
        self._out.print()
        for line in verdict(summary):
            self._out.print(escape(line))
        if any(summary["unparsed"].values()):
            named = ((p if p == "baseline" else p.upper(), p) for p in PICKS)
            counts = (f"{name} {summary['unparsed'][pick]}" for name, pick in named)
            self._out.print(f"Unparsed answers, counted as wrong: {', '.join(counts)}.")
        self._out.print(
            f"Stopped: {summary['stop_reason']}. Report: {out / 'report.html'}",
            markup=False,
            soft_wrap=True,
        )

    def evaluation(self, found: Mapping[str, Any]) -> None:
        """What ``tale evaluate`` found, a line a split."""
        dropped = layer_list(found["dropped"])
        self._out.print(f"layers dropped: {dropped}; protocol {found['protocol']}", markup=False)
        for split in ("search", "test", "all"):
            if (part := found[split]) is None:
                continue
            line = f"{split:6}  {percent(part)}, {part['correct']} of {part['total']}"
            if part["unparsed"]:
                line += f", {part['unparsed']} unparsed"
            if "full" in part:
                line += f"; full model {part['full']}, McNemar {p_text(part['p_value'])}"
            self._out.print(line, markup=False, soft_wrap=True)


class SearchProgress:
    """Shows each candidate as it is scored, and journals it."""

    def __init__(
        self, run: Run, settings: Mapping[str, Any], bar: Progress, terminal: Terminal
    ) -> None:
        self._run, self._bar, self._terminal = run, bar, terminal
        granularity, self._total = settings.get("granularity", "layer"), settings["examples"]
        self._units = Units(settings["num_layers"], granularity).every
        # what every candidate runs besides, in units
        self._rest = settings["num_layers"] if granularity in ("attention", "mlp") else 0
        self._max_drops = settings["max_drops"]
        self._task = bar.add_task("baseline", total=1, whole="")
        self._best: Candidate | None = None
        self._iteration = self._asked = self._work = 0
        self._start = self._baseline_done = time.monotonic()

    def candidate(self, candidate: Candidate) -> None:
        """One more candidate has been scored."""
        self._run.candidate(candidate)
        if self._best is None:
            self._best = candidate
            self._baseline_done = time.monotonic()
            self._say(f"baseline: {self._share(candidate)}")
            return
        kept = sum(unit not in candidate.dropped for unit in self._units)
        if candidate.iteration != self._iteration:
            self._iteration, self._asked = candidate.iteration, 0
            self._bar.reset(self._task, total=kept + 1)
        self._asked += 1
        place = candidate.iteration, candidate.dropped
        if place not in self._run.known:  # those of a journal took no time
            self._work += kept + self._rest
        self._bar.update(
            self._task,
            advance=1,
            description=f"iteration {candidate.iteration} · {_named(candidate.layer)} · "
            f"best {self._share(self._best)}",
            whole=f"all ≤ {self._most_left(kept)}" if self._work else "",
        )

    def _most_left(self, kept: int) -> str:
        """Time the search takes if no iteration stops it; a candidate costs its layers."""
        last = 1 if self._max_drops is None else max(1, kept + self._iteration - self._max_drops)
        left = (kept + 1 - self._asked) * (kept + self._rest)
        left += sum((n + 1) * (n + self._rest) for n in range(last, kept))
        seconds = (time.monotonic() - self._baseline_done) / self._work * left
        return str(datetime.timedelta(seconds=round(seconds)))

    def accepted(self, candidate: Candidate) -> None:
        """A layer has been dropped for good."""
        self._run.accepted(candidate)
        if self._best is None or candidate.correct > self._best.correct:
            self._best = candidate
        self._say(
            f"iteration {candidate.iteration}: dropped {_named(candidate.layer)}, "
            f"{self._share(candidate)}"
        )

    def shuffles(self, done: int, count: int) -> None:
        """So many of the searches on shuffled answers are done."""
        self._bar.update(
            self._task, completed=done, total=count, description="null control", whole=""
        )

    def _say(self, line: str) -> None:
        self._terminal.message(f"{line} ({time.monotonic() - self._start:.0f} s)")

    def _share(self, candidate: Candidate) -> str:
        return f"{candidate.correct}/{self._total} = {candidate.correct / self._total:.1%}"


def _named(unit: Unit | None) -> str:
    return unit if isinstance(unit, str) else f"layer {unit}"


def _accuracy(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "no held-out data"
    low, high = (f"{100 * found[end]:.1f}" for end in ("low", "high"))
    p_value = f" {p_text(found['p_value'])}" if found.get("p_value", 1) < 1 else ""
    return f"{100 * found['accuracy']:.1f} [{low}, {high}]{p_value}"
