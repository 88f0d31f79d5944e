"""Shows a search on the terminal: its progress, and its result."""

from __future__ import annotations

import contextlib
import datetime
import time
from collections.abc import Iterator, Sequence

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from attention.files import Record
from attention.terminal import Terminal, plain_table
from tale_jax.elimination import Candidate
from tale_jax.runs.directory import Run
from tale_jax.runs.strata import strata_of
from tale_jax.runs.verdicts import (
    LABELS,
    NOISE,
    PICKS,
    damage_rows,
    interval,
    layer_list,
    p_text,
    verdict,
)
from tale_jax.units import Unit, Units


def describe_search(
    summary: Record, speeds: Sequence[float] | None = None
) -> Iterator[str | Table | Text]:
    """Describe a finished search: a table of the three picks, and the verdict in sentences.

    Args:
        summary: the contents of ``summary.json``.
        speeds: of the picks, as multiples of the baseline's; None: they were not measured.
    """
    columns = ["", "layers dropped", "search accuracy", "test accuracy", "p"]
    rows = [_row(LABELS[pick], summary[pick]) for pick in PICKS]
    if speeds is not None:
        columns.append("speed")
        rows = [[*row, f"{speed:.2f}x"] for row, speed in zip(rows, speeds, strict=True)]
    yield plain_table(columns, rows, words=5)
    if summary.get("objective"):
        yield from _by_task(summary)
    yield ""
    yield from map(Text, verdict(summary))
    if damage := summary.get("damage"):
        yield "\ngeneral damage (* p < 0.05 against the baseline)"
        yield plain_table(["", *(LABELS[name] for name in PICKS)], damage_rows(damage), words=1)
    said = {"unparsed": "Unparsed answers, counted as wrong", "cut": "Answers cut off at their end"}
    for fact, words in said.items():
        if any(summary[fact].values()):
            counts = (f"{LABELS[pick]} {summary[fact][pick]}" for pick in PICKS)
            yield f"{words}: {', '.join(counts)}."


def _by_task(summary: Record) -> Iterator[str | Table]:
    """The accuracy of each task, on its test examples if it has some."""
    yield (
        f"\naccuracy by task, on test examples where there are some "
        f"(objective {summary['objective']}; * p < 0.05)"
    )
    rows = []
    for task in summary["best"]["tasks"]:
        cells = [task]
        for name in PICKS:
            held_out = (summary[name]["test"] or {}).get("tasks", {}).get(task)
            part = held_out or summary[name]["tasks"][task]
            star = name != "baseline" and part.get("p_value", 1) < NOISE
            cells.append(interval(part) + "*" * star)
        rows.append(cells)
    yield plain_table(["", *(LABELS[name] for name in PICKS)], rows, words=1)


def _row(label: str, pick: Record) -> list[str]:
    start, test = [label, layer_list(pick["dropped"]), interval(pick)], pick["test"]
    if test is None:
        return [*start, "no held-out data", ""]
    p_value = p_text(test["p_value"])[2:].removeprefix("= ")  # the heading says p
    return [*start, interval(test), "" if label == LABELS["baseline"] else p_value]


@contextlib.contextmanager
def show_search(run: Run, terminal: Terminal) -> Iterator[SearchProgress]:
    """Show a search while it runs: a line for each step, and a bar where there is a terminal.

    Args:
        run: the open run; its settings say how large the search is.
        terminal: shows the lines.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=14),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[whole]}"),
    )
    with terminal.bar(*columns) as bar:
        yield SearchProgress(run, bar, terminal)


class SearchProgress:
    """Shows each candidate as it is scored, and keeps it in the journal.

    Args:
        run: the open run.
        bar: the display.
        terminal: shows lines.
    """

    def __init__(self, run: Run, bar: Progress, terminal: Terminal):
        self._run, self._bar, self._terminal = run, bar, terminal
        num_layers, granularity = run.settings["num_layers"], run.settings["granularity"]
        strata = strata_of(run.settings, "search")
        self._total = run.settings["examples"] if strata is None else strata.joint.total
        self._weighted, self._max_drops = strata is not None, run.settings["max_drops"]
        self._units = Units(num_layers, granularity).every
        # what every candidate runs besides, in units
        self._rest = num_layers if granularity in ("attention", "mlp") else 0
        self._task = bar.add_task(
            f"compiling the search for {num_layers} layers, then the baseline", total=1, whole=""
        )
        self._best: Candidate | None = None
        self._iteration = self._asked = self._work = 0
        self._start = self._baseline_done = time.monotonic()

    def candidate(self, candidate: Candidate) -> None:
        """One more candidate has been scored."""
        self._run.candidate(candidate)
        if self._best is None:
            self._best = candidate
            self._baseline_done = time.monotonic()
            took = f"{self._baseline_done - self._start:.0f} s, with compilation"
            if (candidate.iteration, candidate.dropped) in self._run.known:
                took = "as before"
            self._terminal.message(f"baseline: {self._share(candidate)} ({took})")
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
        """The time left if no iteration stops the search; a candidate costs its layers."""
        last = 1 if self._max_drops is None else max(1, kept + self._iteration - self._max_drops)
        left = (kept + 1 - self._asked) * (kept + self._rest)
        left += sum((n + 1) * (n + self._rest) for n in range(last, kept))
        seconds = (time.monotonic() - self._baseline_done) / self._work * left
        return str(datetime.timedelta(seconds=round(seconds)))

    def accepted(self, candidate: Candidate) -> None:
        """A layer has been dropped or put back."""
        self._run.accepted(candidate)
        if self._best is None or candidate.correct > self._best.correct:
            self._best = candidate
        did = "dropped" if candidate.layer in candidate.dropped else "put back"
        self._say(
            f"iteration {candidate.iteration}: {did} {_named(candidate.layer)}, "
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
        share = f"{candidate.correct / self._total:.1%}"
        return share if self._weighted else f"{candidate.correct}/{self._total} = {share}"


def _named(unit: Unit | None) -> str:
    return unit if isinstance(unit, str) else f"layer {unit}"
