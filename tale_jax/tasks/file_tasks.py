"""Tasks in the user's own JSONL files."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from attention.errors import InputError
from tale_jax.tasks.data_sets import local_file
from tale_jax.tasks.examples import Example, Task, divide, read_examples, shown
from tale_jax.tasks.request import Request


def is_file_name(name: str) -> bool:
    """Whether a task's name is that of a file, be it there or not."""
    return name.endswith((".jsonl", ".gz", ".json")) or "/" in name or _exists(name)


def _exists(name: str) -> bool:
    try:
        return Path(name).exists()
    except (OSError, ValueError):  # too long, or with a zero byte
        return False


def read_folder(request: Request) -> Task:
    """The task whose files ``validation``, ``test`` and ``train`` are in a folder of its name.

    Raises:
        InputError: there is no file to search on, or one is bad.
    """
    assert request.data is not None  # or another source has the name
    folder = request.data / request.name
    search, test, train = (
        local_file(folder, split, ".jsonl") for split in ("validation", "test", "train")
    )
    if search is None:
        raise InputError(f"{folder}: no validation.jsonl or validation.jsonl.gz to search on")
    task = read_files(Request(str(search), test=test, train=train))
    return dataclasses.replace(task, name=request.name)


def read_files(request: Request) -> Task:
    """The task in a file, with the splits of other files, or with a share of it as test split.

    Raises:
        InputError: a file is bad, or splits differ in kind or share an example.
    """
    name, test, train = request.name, request.test, request.train
    examples = read_examples(name)
    task = Task(
        name,
        examples,
        None if test is None else read_examples(test),
        None if train is None else read_examples(train),
        validation=examples,
    )
    if request.holdout is not None:
        if test is not None:
            raise InputError("holdout makes a test split and test names one; give only one of them")
        task = _with_holdout(task, request.holdout)
    for source, split in ((test, task.test), (train, task.train)):
        if split is not None and source is not None:
            _check_kind(str(source), split, task)
            _check_disjoint(str(source), split, task.search, name)
    if train is not None and task.train is not None:
        _check_disjoint(str(train), task.train, task.test or (), "the test split")
    return task


def _with_holdout(task: Task, holdout: float) -> Task:
    if not 0 < holdout < 1:
        raise InputError(f"holdout {holdout} is not between 0 and 1")
    search, test = divide(task.search, holdout)
    if not search or not test:
        raise InputError(
            f"{task.name}: holdout {holdout} of {len(task.search)} examples leaves a split empty; "
            "give another share or more examples"
        )
    return dataclasses.replace(task, search=tuple(search), test=tuple(test))


def _check_kind(source: str, split: Sequence[Example], task: Task) -> None:
    if (split[0].choices is None) != task.generated:
        raise InputError(
            f"{source}: one of this file and {task.name} has choices, the other has none; "
            "give files of one kind"
        )


def _check_disjoint(
    source: str, split: Sequence[Example], others: Sequence[Example], where: str
) -> None:
    known = set(others)
    if shared := [example for example in split if example in known]:
        raise InputError(
            f"{source}: {len(shared)} of {len(split)} examples are in {where} as well, "
            f"such as {shown(shared[0].prompt)}; remove them"
        )
