"""The files of a finished search: written from its journal, and read back.

summary.json       settings, baseline, best and bsba; written last: a run that has it is finished
trajectory.jsonl   an accepted step a line
candidates.csv     every candidate; ``<=123`` for one that was rejected early
predictions.jsonl  the picks' answers to every example
report.html        a page for people
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from matplotlib.figure import Figure

from attention.errors import InputError
from attention.files import (
    Record,
    check_shape,
    read_journal,
    read_json,
    read_json_lines,
    read_settings,
    read_table,
    write_json,
    write_json_lines,
    write_table,
    write_text,
)
from attention.statistics import mcnemar_p_value
from tale_jax.elimination import AtMost, Candidate, Result
from tale_jax.runs.agreement import check_together
from tale_jax.runs.directory import KINDS, Run
from tale_jax.runs.figures import accuracy_curve
from tale_jax.runs.report import render_report
from tale_jax.runs.shapes import Information, Summary
from tale_jax.runs.strata import measure, strata_of
from tale_jax.runs.verdicts import PICKS, changes, summarise
from tale_jax.tasks import Answer, count_cut, count_unparsed
from tale_jax.units import Dropped, parse_unit

SEARCH = "tale search"
SUMMARY, JOURNAL = "summary.json", "journal.jsonl"
COLUMNS = ("iteration", "layer", "correct", "total", "dropped")
INFORMATION = "information.csv"  # of `tale information`, shown in the report if it is there
VOLATILE = ("seconds", "compilations")  # what a repeated run does not reproduce


def finish(
    run: Run,
    result: Result,
    commands: Sequence[str] = (),
    questions: Mapping[str, Sequence[str]] = MappingProxyType({}),
    **facts: Any,
) -> Record:
    """Write the final files of a search.

    The answers to the test examples are those that `Run.evaluate` got for the three picks. A run
    that had finished before keeps its ``seconds`` and ``compilations``.

    Args:
        run: the open run.
        result: of the search.
        commands: command lines that reproduce the run, for the report.
        questions: the text of each example, by split, for the report.
        facts: further keys of the summary, such as ``compilations``, ``seconds``, ``too_long``.

    Returns:
        The contents of ``summary.json``.
    """
    before = _told_before(run.path)
    facts |= {name: before.get(name, facts[name]) for name in VOLATILE if name in facts}
    picks: dict[str, Dropped] = {name: getattr(result, name).dropped for name in PICKS}
    answers = {
        (split, name): given
        for split in ("search", "test")
        for name, dropped in picks.items()
        if (given := run.answers(split, dropped)) is not None
    }
    right: dict[str, dict[Dropped, list[bool]]] = {"search": {}, "test": {}}
    for (split, name), given in answers.items():
        right[split][picks[name]] = [answer.correct for answer in given]
    counts = {"unparsed": count_unparsed, "cut": count_cut}
    for fact, count in counts.items():
        facts[fact] = {name: count(answers.get(("search", name), ())) for name in picks}
    summary = summarise(run.settings, result, right["test"] or None, right["search"], **facts)
    summary["commands"] = list(commands)
    summary["changed"] = changes(answers, questions)
    tasks = tuple(run.settings.get("sizes", {}).get("search", ()))
    trajectory = [_row(step, result.total, run, tasks) for step in result.steps]
    candidates = [
        _row(each, result.total, run, tasks) | {"bound": each.bound} for each in result.candidates
    ]
    page = render_report(summary, trajectory, candidates, _information(run.path))
    write_json_lines(run.path / "trajectory.jsonl", trajectory)
    write_table(run.path / "candidates.csv", list(map(_shown, candidates)), (*COLUMNS, *tasks))
    write_json_lines(run.path / "predictions.jsonl", _predictions(answers, run.settings))
    write_text(run.path / "report.html", page)
    write_json(run.path / SUMMARY, summary)
    return summary


@dataclasses.dataclass(frozen=True)
class FinishedRun:
    """A finished search: the settings of the run, and the contents of its final files."""

    directory: Path
    settings: Record
    summary: Record
    trajectory: list[Record]
    candidates: list[Record]

    def dropped(self, pick: str) -> Dropped:
        """What a pick goes without: ``baseline``, ``best`` or ``bsba``."""
        return tuple(self.summary[pick]["dropped"])

    @property
    def tasks(self) -> tuple[str, ...]:
        """The names of the tasks; of a search for several tasks in their order."""
        return tuple(self.settings.get("sizes", {}).get("search", [self.settings["task"]]))

    def measure(self, row: Record) -> Record:
        """The accuracy of a row of ``trajectory`` or ``candidates``, on the search examples.

        Returns:
            ``correct, total, accuracy, low, high``; of several tasks ``tasks`` too.
        """
        strata = strata_of(self.settings, "search")
        if strata is None or row.get("tasks") is None:
            return measure(row["correct"], row["total"])
        return strata.measure([row["tasks"][name] for name in strata.sizes])


def load_run(directory: str | Path) -> FinishedRun:
    """Read a finished search.

    Raises:
        InputError: the directory holds no search, an unfinished one, or damaged files.
    """
    directory = Path(directory)
    settings = read_settings(directory, SEARCH)
    if not (directory / SUMMARY).is_file():
        raise InputError(f"the run in {directory} has not finished: go on with {SEARCH} --resume")
    try:
        summary = read_json(directory / SUMMARY)
        trajectory = read_json_lines(directory / "trajectory.jsonl")
        tasks = tuple(settings.get("sizes", {}).get("search", ()))
        candidates = [_read(row, tasks) for row in read_table(directory / "candidates.csv")]
        check_together(settings, summary, trajectory, candidates)
        _check_with_journal(directory / JOURNAL, summary, trajectory, candidates)
    except (ValueError, KeyError) as error:
        reason = str(error) if isinstance(error, InputError) else "candidates.csv: no such row"
        raise InputError(
            f"{directory} has damaged files ({reason}): rewrite them with {SEARCH} --resume"
        ) from error
    return FinishedRun(directory, settings, summary, trajectory, candidates)


def _check_with_journal(
    file: Path, summary: Record, trajectory: Sequence[Record], candidates: Sequence[Record]
) -> None:
    """Check the final files against the journal that they follow from, if it is there and whole.

    Raises:
        InputError: they do not follow from it.
    """
    try:
        records, _ = read_journal(file, KINDS)
    except InputError:
        return
    counts = {
        (each["kind"], each["iteration"], str(each["layer"]), tuple(each["dropped"])): each
        for each in records
        if each["kind"] in ("candidate", "accepted")
    }
    rows = [("accepted", row) for row in trajectory]
    rows += [("candidate", row) for row in candidates if not row["bound"]]
    for kind, row in rows:
        held = counts.get((kind, row["iteration"], str(row["layer"]), tuple(row["dropped"])))
        if held is None or held["bound"] or held["correct"] != row["correct"]:
            raise InputError(f"a model of iteration {row['iteration']} is not that of the journal")
    if summary.get("objective"):
        return  # the tests of several tasks are combined
    answers = {
        tuple(each["dropped"]): [answer[1] for answer in each["answers"]]
        for each in records
        if each["kind"] == "evaluated" and each["split"] == "test"
    }
    for pick in (summary[name] for name in PICKS):
        said, base = answers.get(tuple(pick["dropped"])), summary["baseline"]["dropped"]
        if said is None or pick["test"] is None:
            continue
        p_value = mcnemar_p_value(answers[tuple(base)], said)
        if pick["test"]["correct"] != sum(said) or pick["test"]["p_value"] != p_value:
            raise InputError("summary.json has other test answers than the journal")


def rewrite_report(directory: str | Path) -> None:
    """Draw the report of a finished search again, with what was measured since.

    Raises:
        InputError: the directory holds no finished search, or cannot be written.
    """
    run = load_run(directory)
    found = run.summary, run.trajectory, run.candidates, _information(run.directory)
    write_text(run.directory / "report.html", render_report(*found))


def search_figure(directory: str | Path) -> Figure:
    """Draw the accuracy of a finished search against the number of dropped layers.

    Raises:
        InputError: the directory holds no finished search.
    """
    run = load_run(directory)
    return accuracy_curve(run.summary, run.trajectory, run.candidates)


def _told_before(directory: Path) -> Record:
    """What a run that had finished told of itself, as far as it is whole."""
    try:
        check_shape(before := read_json(directory / SUMMARY), Summary, SUMMARY)
    except InputError:
        return {}
    return before


def _information(directory: Path) -> list[dict[str, str]] | None:
    file = directory / INFORMATION
    if not file.is_file():
        return None
    rows = read_table(file)
    check_shape(rows, list[Information], file, texts=True)
    return rows


def _row(candidate: Candidate, total: int, run: Run, tasks: Sequence[str]) -> Record:
    """A line of ``trajectory.jsonl``; of several tasks with the correct answers of each."""
    row = {
        "iteration": candidate.iteration,
        "layer": candidate.layer,
        "correct": candidate.correct,
        "total": total,
        "dropped": list(candidate.dropped),
    }
    counts = run.by_task(candidate) if tasks else None
    if counts is not None:
        row["tasks"] = dict(zip(tasks, counts, strict=True))
    return row


def _shown(row: Record) -> Record:
    """Make a row of ``candidates.csv``; a column of a task has its correct answers."""
    tasks = {name: _at_most(n, isinstance(n, AtMost)) for name, n in row.get("tasks", {}).items()}
    return {**row, **tasks, "correct": _at_most(row["correct"], row["bound"])}


def _at_most(count: int, bound: bool) -> str | int:
    return f"<={count}" if bound else count


def _read(row: Mapping[str, str], tasks: Sequence[str]) -> Record:
    """Read a row of ``candidates.csv``."""
    counts = {name: int(row[name].removeprefix("<=")) for name in tasks if row.get(name)}
    return {
        "iteration": int(row["iteration"]),
        "layer": parse_unit(row["layer"]),
        "correct": int(row["correct"].removeprefix("<=")),
        "total": int(row["total"]),
        "dropped": [parse_unit(layer) for layer in row["dropped"].split()],
        "bound": row["correct"].startswith("<="),
        **({"tasks": counts} if counts else {}),
    }


def _predictions(
    answers: Mapping[tuple[str, str], Sequence[Answer]], settings: Record
) -> Iterator[Record]:
    """Lines of ``predictions.jsonl``: one for each split, pick and example, counted from 0.

    ``cut`` stands there only if it is true, ``task`` only if there are several.
    """
    for (split, pick), given in answers.items():
        strata = strata_of(settings, split)
        tasks = (
            {"": given}
            if strata is None
            else dict(zip(strata.sizes, strata.joint.divide(given), strict=True))
        )
        for task, part in tasks.items():
            for number, answer in enumerate(part):
                said = answer._asdict()
                if not said["cut"]:
                    del said["cut"]
                place = {"split": split, "pick": pick, "example": number}
                yield {**place, **({"task": task} if task else {}), **said}
