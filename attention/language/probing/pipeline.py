"""From the names of a model and tasks to a directory of results."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from attention.choices import resolve
from attention.errors import InputError
from attention.files import SETTINGS, RecordKind, RunDirectory
from attention.language.probing.measured import Found, Subject
from attention.language.probing.ngram_floors import count_floors
from attention.language.probing.opening import OpenedModel, open_model
from attention.language.probing.options import Asked
from attention.language.probing.report import write_report
from attention.language.probing.rules import WORDS, pick_rule
from attention.language.probing.tasks import PROBES
from attention.options import Devices
from attention.terminal import Terminal

KINDS = {
    "task": RecordKind(key=("task",), shape="attention.language.probing.measured:Found"),
}
JOURNAL = "tasks.jsonl"
Measure = Callable[[str, Subject], Found]


def probe_model(
    model: str,
    tasks: Sequence[str],
    out: Path | None = None,
    asked: Asked = Asked(),
    *,
    devices: Devices = Devices(),
    revision: str | None = None,
    resume: bool = False,
    quiet: bool = True,
) -> dict[str, Any]:
    """Ask a language model some tasks, and write what it knows to a directory.

    Args:
        model: what ``load_pretrained`` opens.
        tasks: keys of ``PROBES``.
        out: directory of the results; None: ``probe`` in the directory of the run that is probed.
        asked: how the tasks are asked.
        devices: that hold the model.
        revision: of a model on the hub.
        resume: go on with the probing in ``out``; tasks that are done are not asked again.
        quiet: show no progress.

    Returns:
        The values in ``summary.json``, and the directory as ``out``.

    Raises:
        InputError: the model or the data cannot be read, a task is not for the model, or ``out``
            cannot be used.
    """
    tasks = tuple(dict.fromkeys(tasks))
    settings = {"model": model, "tasks": list(tasks), "dtype": devices.dtype}
    settings |= dataclasses.asdict(asked)
    for name in ("data", "batch_tokens"):  # they do not decide the results
        del settings[name]
    with RunDirectory(_directory(model, out), "attn probe", settings, resume=resume) as run:
        journal = run.journal(KINDS, JOURNAL)
        left = [task for task in tasks if journal.get("task", task) is None]
        if left:
            terminal = Terminal(quiet)
            _check_data(left, asked.folder)
            opened = open_model(model, devices, revision)
            _check_model(left, opened, asked.rule)
            subject = Subject(opened, asked, count_floors(opened, asked.floors), terminal.steps)
            for task in left:
                measure: Measure = resolve(PROBES.pick(task).measure)
                journal.append("task", task=task, **dataclasses.asdict(measure(task, subject)))
        found = {task: _found(journal.get("task", task)) for task in tasks}
        return {**write_report(run.path, settings, found), "out": str(run.path)}


def _found(record: Mapping[str, Any] | None) -> Found:
    assert record is not None  # it has just been written
    return Found(**{field.name: record[field.name] for field in dataclasses.fields(Found)})


def _directory(model: str, out: Path | None) -> Path:
    """The directory of the results.

    Raises:
        InputError: none is given, and the model is no run.
    """
    if out is not None:
        return out
    if not (Path(model) / SETTINGS).is_file():
        raise InputError(f"{model} is no run, in which results could lie: give --out DIR")
    return Path(model) / "probe"


def _check_data(tasks: Sequence[str], data: Path) -> None:
    """Raise InputError before long work if the folder of a task is missing."""
    for task in tasks:
        folders = [data / folder for folder in PROBES.pick(task).folders or (task,)]
        if not any(folder.is_dir() for folder in folders):
            places = " or ".join(map(str, folders))
            raise InputError(
                f"{task}: there is no {places}; --data is the folder that holds it "
                "(--data sample has a few pairs of blimp and zorro)"
            )


def _check_model(tasks: Sequence[str], model: OpenedModel, rule: str) -> None:
    """Raise InputError before long work if a task or the rule is not for a model of this kind."""
    head = model.config.head
    for task in tasks:
        row = PROBES.pick(task)
        if head not in row.heads:
            fit = " and ".join(WORDS.get(each, each) for each in row.heads)
            raise InputError(
                f"{task} is for {fit} models, and {model.name} is {WORDS.get(head, head)}: "
                "leave it out"
            )
        if row.scored:
            pick_rule(rule, head)
