"""What a benchmark is, and how its rows become the splits of a task.

A search uses the rows that the authors' program used, and reports on labelled rows that it did not
use. Where there are none, one labelled split is divided into halves by ``examples.place``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from attention.errors import InputError
from tale_jax.tasks.asking import Row
from tale_jax.tasks.data_sets import Hub, Parse, read_split
from tale_jax.tasks.examples import (
    Example,
    Judge,
    Task,
    UnusableError,
    divide,
    divided_note,
    unlike,
)
from tale_jax.tasks.request import Request


@dataclasses.dataclass(frozen=True)
class Form:
    """A way to ask the rows of a benchmark.

    Attributes:
        ask: makes an example of a row, or None to leave the row out; raises UnusableError for a row
            that nobody can answer.
        instruction: see :class:`~tale_jax.tasks.examples.Task`, as for all that follow.
        description: see there.
        cue: see there.
        chat: see there.
    """

    ask: Parse[Example | None]
    instruction: str = ""
    description: str | None = None
    cue: str = "\nAnswer:"
    chat: bool = True


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """A data set and how its rows become a task.

    Attributes:
        description: one line for the list of tasks.
        hub: where it is on the hub.
        search: the split that is searched on.
        forms: how its rows can be asked; the first is usual.  ``letters`` asks for the letter of an
            option, ``text`` for the option itself; one that has no options has another name.
        first: only the first so many rows are searched on.
        test: the test split; None: the rest of the search split, or half of it.
        shots: the split of the examples that are shown; None, or absent: the test split.
        left_out: says which rows are left out because ``ask`` gives None.
        written: see :class:`~tale_jax.tasks.examples.Task`, as for all that follow.
        judge: see there.
        stop: see there.
        new_tokens: see there.
    """

    description: str
    hub: Hub
    search: str
    forms: Mapping[str, Form]
    first: int | None = None
    test: str | None = None
    shots: str | None = None
    left_out: str = ""
    written: bool = False
    judge: Judge | None = None
    stop: tuple[str, ...] | None = None
    new_tokens: int | None = None

    def form(self, name: str, choices: str | None) -> Form:
        """The form that is asked for, or the usual one.

        Args:
            name: of the benchmark.
            choices: a key of ``forms``, or None.

        Raises:
            InputError: there is no such form.
        """
        if choices is None:
            return next(iter(self.forms.values()))
        if choices not in self.forms:
            raise InputError(f"{name} has no choices in the form of {choices}; leave out --choices")
        return self.forms[choices]


def make_task(benchmark: Benchmark, request: Request) -> Task:
    """The task of a benchmark, from the hub or from local files.

    Raises:
        InputError: there is no such form of it, no data, or a bad row.
    """
    name, form = request.name, benchmark.form(request.name, request.choices)
    rows = _Rows(name, benchmark.hub, request.data, form)
    notes = [f"{name}: {benchmark.left_out}"] if benchmark.left_out else []
    source, halves = benchmark.search, False
    search, test = rows(source), None if benchmark.test is None else rows(benchmark.test)
    if search is None:
        source, search = _other_split(benchmark, rows)
        test, halves = None, True
    elif benchmark.first is not None:
        search, rest = search[: benchmark.first], search[benchmark.first :]
        test = test or rest or None
    if not search:
        raise InputError(f"{name}: no row of split {source} can be asked{rows.why(source)}")
    if test is None:
        halves = True
        search, test = divide(search)
        notes.append(divided_note(name, f"the rows of split {source} are", search, test))
    different = unlike(test, search)
    if lost := len(test) - len(different):
        notes.append(f"{name}: {lost} test rows repeat questions of the search and are left out")
    train = rows(benchmark.shots) if benchmark.shots not in (None, source) else None
    if train is not None and benchmark.shots != "dev":  # its few rows stay: see with_shots
        train = unlike(train, [*search, *different])
    validation = rows("validation") or () if request.split == "validation" else None
    return Task(
        name,
        tuple(search),
        tuple(different) or None,
        None if train is None else tuple(train),
        None if validation is None else tuple(validation),
        instruction=form.instruction,
        description=form.description,
        cue=form.cue,
        chat=form.chat,
        written=benchmark.written,
        judge=benchmark.judge,
        stop=benchmark.stop,
        new_tokens=benchmark.new_tokens,
        halves=halves,
        notes=(*notes, *rows.notes()),
    )


class _Rows:
    """Reads the splits of a benchmark in one form, and counts what nobody can answer."""

    def __init__(self, name: str, hub: Hub, data: Path | None, form: Form):
        self._name, self._hub, self._data, self._form = name, hub, data, form
        self._reasons: dict[str, list[str]] = {}  # by split

    def __call__(self, split: str) -> list[Example] | None:
        """The examples of a split; None if there is no such split."""
        reasons = self._reasons[split] = []

        def ask(row: Row) -> Example | None:
            try:
                return self._form.ask(row)
            except UnusableError as error:
                reasons.append(str(error))
                return None

        read = read_split(self._name, split, self._hub, self._data, ask)
        return None if read is None else [example for example in read if example is not None]

    def why(self, split: str) -> str:
        """Why the first row that was left out cannot be answered, in brackets."""
        return f" ({self._reasons[split][0]})" if self._reasons[split] else ""

    def notes(self) -> list[str]:
        """A line for each split that lost rows."""
        return [
            f"{self._name}: rows of split {split} left out because nobody can answer them: "
            f"{len(reasons)}{self.why(split)}"
            for split, reasons in self._reasons.items()
            if reasons
        ]

    @property
    def where(self) -> str:
        """The place that the rows come from."""
        return self._hub.path if self._data is None else str(self._data / self._name)


def _other_split(benchmark: Benchmark, rows: _Rows) -> tuple[str, list[Example]]:
    """Another labelled split, in place of the search split that is not there."""
    for split in ("test", "validation", "train"):
        if split != benchmark.search and (found := rows(split)) is not None:
            return split, found
    raise InputError(f"{rows.where}: no {benchmark.search}.jsonl or {benchmark.search}.jsonl.gz")
