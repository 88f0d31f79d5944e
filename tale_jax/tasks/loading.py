"""Loads a task by its name, from whichever source has it."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from pathlib import Path

from attention.choices import Choices, nearest, resolve
from attention.errors import InputError
from attention.language.probing import PAIR_SETS
from tale_jax.tasks.benchmark import Benchmark
from tale_jax.tasks.demo_tasks import DEMO_TASKS, read_demo
from tale_jax.tasks.examples import Example, Task
from tale_jax.tasks.file_tasks import is_file_name, read_files, read_folder
from tale_jax.tasks.minimal_pairs import read_pairs
from tale_jax.tasks.official import BENCHMARKS, OFFICIAL, read_benchmark
from tale_jax.tasks.prompts import with_shots
from tale_jax.tasks.request import ChoiceForm, Request, Source, Split

BIG_BENCH = "a task of BIG-Bench Hard, written, such as bbh_boolean_expressions"
LM_EVAL = "a task of lm-eval, or of YAML files in --data (extra eval)"


def _own(function: Callable[[], Task]) -> Source:
    """The source that ``--task module:function`` names; the function returns a task."""
    about = (function.__doc__ or "").partition("\n")[0]

    def read(request: Request) -> Task:
        task = function()
        if not isinstance(task, Task):
            raise InputError(f"{request.name} returned a {type(task).__name__}, not a Task")
        return dataclasses.replace(task, name=request.name)

    return Source(read, lambda: {function.__name__: about})


def _official() -> dict[str, str]:
    described = {name: _described(benchmark) for name, benchmark in OFFICIAL.items()}
    return {**described, "bbh_<name>": BIG_BENCH}


def _described(benchmark: Benchmark) -> str:
    """A line about a benchmark: if it can be asked in two forms, the usual one is the first."""
    forms = f" ({' or '.join(benchmark.forms)})" if len(benchmark.forms) > 1 else ""
    return f"{benchmark.description}{forms}"


def _demos() -> dict[str, str]:
    return {f"demo:{name}": task.description for name, task in DEMO_TASKS.items()}


def _pairs(kind: str) -> Source:
    names = {f"{kind}:<paradigm>": f"minimal pairs, from --data DIR/{kind}"}
    return Source(read_pairs, lambda: names)


SOURCES: Choices[Source] = Choices(
    "task",
    {
        "file": Source(read_files, claims=lambda name, _: is_file_name(name), own_splits=False),
        "folder": Source(read_folder, claims=lambda _, data: data is not None),
        "benchmark": Source(
            read_benchmark,
            _official,
            claims=lambda name, _: name in BENCHMARKS or name.startswith("bbh_"),
            forms=True,
        ),
        "demo": Source(read_demo, _demos),
        **{kind: _pairs(kind) for kind in PAIR_SETS},
        "lm_eval": Source(
            "tale_jax.tasks.lm_eval_tasks:read_lm_eval",
            lambda: {"lm_eval:<name>": LM_EVAL},
            own_shots=True,
        ),
    },
    own=_own,
)
"""A row that is added later is asked first, so that it may take any name."""


def named_tasks() -> dict[str, str]:
    """One line about every task that has a name, and about every pattern of names."""
    found = {name: line for row in SOURCES.values() for name, line in row.names().items()}
    return found | {name: f"from {point.value}" for name, point in SOURCES.installed.items()}


def load_task(
    name: str,
    *,
    test: str | Path | None = None,
    train: str | Path | None = None,
    holdout: float | None = None,
    data: str | Path | None = None,
    split: Split | None = None,
    limit: int | None = None,
    draw: int | None = None,
    choices: ChoiceForm | None = None,
    shots: int = 0,
    seed: int = 0,
) -> Task:
    """Load the task of that name, or the one in a JSONL file (``.gz`` too).

    Args:
        name: one of ``named_tasks()``, a file, which is searched whole, or ``module:function``,
            a function of your own that returns a task.
        test: file of examples to report on.
        train: file of examples to draw shots from.
        holdout: share of the file, between 0 and 1, that becomes the test split: the examples
            whose ``examples.place`` is below it.
        data: folder of local files. A benchmark is the folder ``name`` in it, with the official
            rows as ``split.jsonl[.gz]``; any other name is one with the files ``validation``
            (searched), ``test`` and ``train``, the last two if they are there, of examples.
        split: load this split alone, as the search split; ``validation`` is the official split
            as it stands.
        limit: keep the first so many examples of the search and of the test split.
        draw: search on so many examples, drawn with the seed, before the limit.
        choices: how a multiple-choice benchmark is asked: for the ``letters`` of the options or for
            their ``text``; None: as is usual for it.
        shots: answered examples before every prompt (``prompts.with_shots``).
        seed: draws the shots.

    Raises:
        InputError: there is no such task, file or split, a line is bad, splits are empty, differ
            in kind or share an example, or options contradict each other.
    """
    if data is not None and not Path(data).is_dir():
        raise InputError(f"{data}: no such folder; --data is the parent of the task's folder")
    folder = None if data is None else Path(data)
    request = Request(str(name), folder, test, train, holdout, split, choices, shots, seed)
    source = _source(request)
    if source.own_splits and not (test is train is holdout is None):
        raise InputError(f"task {name} has its own splits; leave out test, train and holdout")
    if choices is not None and not source.forms:
        raise InputError(f"task {name} is asked in one form; leave out --choices")
    task = resolve(source.read)(request)
    if split in ("train", "validation"):
        task = dataclasses.replace(task, search=_rows(task, split))
    if not source.own_shots:
        task = with_shots(task, shots, seed)
    if split is not None:
        rows = _rows(task, split) if split == "test" else task.search
        task = dataclasses.replace(task, search=rows, test=None, halves=False)
    if draw is not None:
        task = dataclasses.replace(task, search=_drawn(task, draw, seed))
    return limited(task, limit)


def _drawn(task: Task, count: int, seed: int) -> tuple[Example, ...]:
    """So many search examples, in their order.

    Raises:
        InputError: the task has fewer.
    """
    if count > len(task.search):
        raise InputError(f"{task.name} has {len(task.search)} search examples: --draw fewer")
    number = random.Random(f"search examples {seed}").random  # the same in every Python version
    ranked = sorted(range(len(task.search)), key=lambda _: number())
    return tuple(task.search[i] for i in sorted(ranked[:count]))


def limited(task: Task, limit: int | None) -> Task:
    """The task with the first ``limit`` examples of the search and of the test split.

    Raises:
        InputError: no example would be left.
    """
    if limit is not None and limit < 1:
        raise InputError(f"limit {limit} leaves no example; give 1 or more")
    return dataclasses.replace(
        task, search=task.search[:limit], test=None if task.test is None else task.test[:limit]
    )


def _source(request: Request) -> Source:
    """The row that a name belongs to.

    Raises:
        InputError: no row has it.
    """
    name = request.name
    places = [Path(name), *([] if request.data is None else [request.data / name])]
    if "," in name and not any(place.exists() for place in places):
        raise InputError(f"{name!r} names several tasks; give one, for this takes one at a time")
    for key, row in reversed(SOURCES.items()):
        if row.claims is None:
            mine = name == key or name.startswith(f"{key}:")
        else:
            mine = row.claims(name, request.data)
        if mine:
            return row
    if ":" in name or name in SOURCES.installed:
        return SOURCES.pick(name)
    names = named_tasks()
    raise InputError(
        f"no task {name!r}{nearest(name, names)}; give a JSONL file, MODULE:FUNCTION of your own "
        f"or one of {', '.join(sorted(names))}"
    )


def _rows(task: Task, split: Split) -> tuple[Example, ...]:
    """The examples of a split; raises InputError if there are none."""
    rows = getattr(task, split)
    if rows is None and split == "validation":
        rows = task.search
    if not rows:
        hint = "; give one by --train" if split == "train" else ""
        raise InputError(f"{task.name} has no {split} split{hint}")
    return rows
