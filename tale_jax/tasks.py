"""What is asked of a model: tasks with a name, tasks in a file, and their splits."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from attention.errors import InputError
from tale_jax import demo_tasks
from tale_jax.examples import Example, read_examples, shown


@dataclasses.dataclass(frozen=True)
class Task:
    """Examples to search on, to report on (``test``) and to show in the prompt (``train``).

    The splits share no example, and all examples have choices or none has.
    """

    name: str
    search: tuple[Example, ...]
    test: tuple[Example, ...] | None = None
    train: tuple[Example, ...] | None = None

    @property
    def generated(self) -> bool:
        """Whether answers are written rather than chosen."""
        return self.search[0].choices is None


class Benchmark(NamedTuple):
    """A task known by name."""

    description: str
    read: Callable[[], Task]


def benchmarks() -> dict[str, Benchmark]:
    """Every task that has a name."""

    def reader(name: str) -> Callable[[], Task]:
        def split(which: demo_tasks.Split) -> tuple[Example, ...]:
            return tuple(demo_tasks.examples(name, which, demo_tasks.SIZES[which]))

        return lambda: Task(f"demo:{name}", split("validation"), split("test"), split("train"))

    return {
        f"demo:{name}": Benchmark(demo.description, reader(name))
        for name, demo in demo_tasks.DEMO_TASKS.items()
    }


def load_task(
    name: str,
    *,
    test: str | Path | None = None,
    train: str | Path | None = None,
    holdout: float | None = None,
    data: str | Path | None = None,
    limit: int | None = None,
) -> Task:
    """The task of that name, or the one in a JSONL file (``.gz`` too).

    Args:
        name: one of ``benchmarks()``, or a file, which is searched whole.
        test: file of examples to report on.
        train: file of examples to draw shots from.
        holdout: share of the file, between 0 and 1, that becomes the test split: the examples
            whose BLAKE2b-64 hash of prompt and choices, over 2⁶⁴, is below it.
        data: folder that holds the task as a folder ``name`` with the files ``validation``
            (searched), ``test`` and ``train``, the last two if they are there.
        limit: keep the first so many examples of the search and of the test split.

    Raises:
        InputError: no such task or file, a bad line, splits that are empty, differ in kind or
            share an example, or options that contradict each other.
    """
    if limit is not None and limit < 1:
        raise InputError(f"limit {limit} leaves no example; give 1 or more")
    if data is not None:
        if not (test is train is holdout is None):
            raise InputError("data names all splits; leave out test, train and holdout")
        task = _folder_task(name, Path(data))
    elif (known := benchmarks().get(str(name))) is not None:
        if not (test is train is holdout is None):
            raise InputError(f"task {name} has its own splits; leave out test, train and holdout")
        task = known.read()
    else:
        task = _file_task(str(name), test, train, holdout)
    return dataclasses.replace(
        task, search=task.search[:limit], test=None if task.test is None else task.test[:limit]
    )


def _folder_task(name: str, data: Path) -> Task:
    files: dict[str, Path | None] = {}
    for split in ("validation", "test", "train"):
        found = (data / name / f"{split}{end}" for end in (".jsonl", ".jsonl.gz"))
        files[split] = next((file for file in found if file.is_file()), None)
    if files["validation"] is None:
        raise InputError(f"{data / name}: no validation.jsonl or validation.jsonl.gz to search on")
    task = _file_task(str(files["validation"]), files["test"], files["train"], None)
    return dataclasses.replace(task, name=name)


def _file_task(
    name: str, test: str | Path | None, train: str | Path | None, holdout: float | None
) -> Task:
    if (
        not name.endswith((".jsonl", ".gz", ".json"))
        and "/" not in name
        and not Path(name).exists()
    ):
        raise InputError(
            f"no task {name!r}; give a JSONL file or one of {', '.join(sorted(benchmarks()))}"
        )
    task = Task(
        name,
        read_examples(name),
        None if test is None else read_examples(test),
        None if train is None else read_examples(train),
    )
    if holdout is not None:
        if test is not None:
            raise InputError("holdout makes a test split and test names one; give only one of them")
        task = _divide(task, holdout)
    for source, split in ((test, task.test), (train, task.train)):
        if split is not None and source is not None:
            _check_kind(str(source), split, task)
            _check_disjoint(str(source), split, task.search, name)
    if train is not None and task.train is not None:
        _check_disjoint(str(train), task.train, task.test or (), "the test split")
    return task


def _divide(task: Task, holdout: float) -> Task:
    if not 0 < holdout < 1:
        raise InputError(f"holdout {holdout} is not between 0 and 1")
    search = tuple(e for e in task.search if _place(e) >= holdout)
    test = tuple(e for e in task.search if _place(e) < holdout)
    if not search or not test:
        raise InputError(
            f"{task.name}: holdout {holdout} of {len(task.search)} examples leaves a split empty; "
            "give another share or more examples"
        )
    return dataclasses.replace(task, search=search, test=test)


def _place(example: Example) -> float:
    """A number in [0, 1) that depends on the question alone: copies stay in one split."""
    question = json.dumps([example.prompt, example.choices]).encode()
    return int.from_bytes(hashlib.blake2b(question, digest_size=8).digest(), "big") / 2**64


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
    if shared := [e for e in split if e in known]:
        raise InputError(
            f"{source}: {len(shared)} of {len(split)} examples are in {where} as well, "
            f"such as {shown(shared[0].prompt)}; remove them"
        )
