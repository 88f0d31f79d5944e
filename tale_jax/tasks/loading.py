"""What is asked of a model: tasks with a name, tasks in a file, and their splits."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from attention.errors import InputError
from tale_jax.tasks import demo_tasks
from tale_jax.tasks.benchmarks import BENCHMARKS, find_benchmark, read_benchmark
from tale_jax.tasks.examples import Example, Task, divide, read_examples, shown
from tale_jax.tasks.minimal_pairs import SETS, read_pairs
from tale_jax.tasks.prompts import with_shots
from tale_jax.tasks.sources import local_file

PATTERNS = {
    "bbh_<name>": "a task of BIG-Bench Hard, written, such as bbh_boolean_expressions",
    "blimp:<paradigm>": "minimal pairs, from --data DIR/blimp",
    "zorro:<paradigm>": "minimal pairs, from --data DIR/zorro",
    "lm_eval:<name>": "a task of lm-eval, or of YAML files in --data (extra eval)",
}


def named_tasks() -> dict[str, str]:
    """A line about every task that has a name, and about every kind of name."""
    return {
        **{f"demo:{name}": task.description for name, task in demo_tasks.DEMO_TASKS.items()},
        **{name: benchmark.description for name, benchmark in BENCHMARKS.items()},
        **PATTERNS,
    }


def load_task(
    name: str,
    *,
    test: str | Path | None = None,
    train: str | Path | None = None,
    holdout: float | None = None,
    data: str | Path | None = None,
    limit: int | None = None,
    shots: int = 0,
    seed: int = 0,
) -> Task:
    """The task of that name, or the one in a JSONL file (``.gz`` too).

    Args:
        name: one of ``named_tasks()``, or a file, which is searched whole.
        test: file of examples to report on.
        train: file of examples to draw shots from.
        holdout: share of the file, between 0 and 1, that becomes the test split: the examples
            whose ``examples.place`` is below it.
        data: folder of local files.  A benchmark is the folder ``name`` in it, with the official
            rows as ``split.jsonl[.gz]``; any other name is one with the files ``validation``
            (searched), ``test`` and ``train``, the last two if they are there, of examples.
        limit: keep the first so many examples of the search and of the test split.
        shots: answered examples before every prompt (``prompts.with_shots``).
        seed: draws the shots.

    Raises:
        InputError: no such task or file, a bad line, splits that are empty, differ in kind or
            share an example, or options that contradict each other.
    """
    given = not (test is train is holdout is None)
    if data is not None and not Path(data).is_dir():
        raise InputError(f"{data}: no such folder; --data is the parent of the task's folder")
    name, folder = str(name), None if data is None else Path(data)
    if name.startswith("lm_eval:"):
        from tale_jax.tasks.lm_eval_tasks import read_lm_eval

        _check_not(given, name)
        return limited(read_lm_eval(name, folder, shots, seed), limit)  # shots are its own
    if (task := _known(name, folder, given)) is not None:
        pass
    elif data is not None:
        if given:
            raise InputError("data names all splits; leave out test, train and holdout")
        task = _folder_task(name, Path(data))
    else:
        task = _file_task(name, test, train, holdout)
    return limited(with_shots(task, shots, seed), limit)


def limited(task: Task, limit: int | None) -> Task:
    """The task with the first ``limit`` examples of the search and of the test split.

    Raises:
        InputError: none would be left.
    """
    if limit is not None and limit < 1:
        raise InputError(f"limit {limit} leaves no example; give 1 or more")
    return dataclasses.replace(
        task, search=task.search[:limit], test=None if task.test is None else task.test[:limit]
    )


def _known(name: str, data: Path | None, given: bool) -> Task | None:
    """The task, if its name is one of ``named_tasks()``."""
    demo = name.removeprefix("demo:")
    kind = name.partition(":")[0]
    is_demo = data is None and name.startswith("demo:") and demo in demo_tasks.DEMO_TASKS
    benchmark = find_benchmark(name)
    if not is_demo and benchmark is None and not (":" in name and kind in SETS):
        return None
    _check_not(given, name)
    if benchmark is not None:
        return read_benchmark(name, benchmark, data)
    if kind in SETS:
        return read_pairs(name, data)

    def split(which: demo_tasks.Split) -> tuple[Example, ...]:
        return tuple(demo_tasks.demo_examples(demo, which, demo_tasks.SIZES[which]))

    return Task(name, split("validation"), split("test"), split("train"))


def _check_not(given: bool, name: str) -> None:
    if given:
        raise InputError(f"task {name} has its own splits; leave out test, train and holdout")


def _folder_task(name: str, data: Path) -> Task:
    files = {
        split: local_file(data / name, split, ".jsonl") for split in ("validation", "test", "train")
    }
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
            f"no task {name!r}; give a JSONL file or one of {', '.join(sorted(named_tasks()))}"
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
        task = _with_holdout(task, holdout)
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
    if shared := [e for e in split if e in known]:
        raise InputError(
            f"{source}: {len(shared)} of {len(split)} examples are in {where} as well, "
            f"such as {shown(shared[0].prompt)}; remove them"
        )
