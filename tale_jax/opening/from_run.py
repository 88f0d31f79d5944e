"""A finished run's model and task, opened again to ask them something else."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from attention.errors import InputError
from tale_jax.exporting import searched_folder
from tale_jax.models import Model
from tale_jax.opening.named import open_model, open_scorer, read_task, task_fingerprint
from tale_jax.options import Options
from tale_jax.runs import PICKS, FinishedRun, Terminal, load_run
from tale_jax.scoring import Scorer
from tale_jax.tasks import Task
from tale_jax.units import Dropped, Unit, check_layers

MEMORY = ("batch_tokens", "cache_gib", "mesh", "compilation_cache")  # options that change no answer


def run_options(run: FinishedRun) -> Options:
    """The options that the search was given."""
    return Options.from_json(run.summary["options"])


def reopen_model(run: FinishedRun, model: str | None = None) -> Model:
    """The checkpoint that was searched; ``model`` is where it is now, if it moved."""
    searched_folder(run, model)
    return open_model(model or run.settings["model"], run_options(run))


def reopen_scorer(
    run: FinishedRun, opened: Model, terminal: Terminal, limit: int | None = None
) -> Scorer:
    """The task as it was searched, or the first ``limit`` examples of each of its splits.

    Raises:
        InputError: its examples have changed since.
    """
    options = run_options(run)
    scorer = open_scorer(opened, read_task(run.settings["task"], options), options, terminal)
    if task_fingerprint(scorer) != run.settings["task_fingerprint"]:
        raise InputError(
            f"{run.settings['task']} no longer has the examples that {run.directory} searched"
        )
    if limit is None or (options.limit is not None and options.limit <= limit):
        return scorer
    fewer = dataclasses.replace(options, limit=limit)
    return open_scorer(opened, read_task(run.settings["task"], fewer), fewer, Terminal(quiet=True))


def chosen_layers(run: str | Path, pick: str) -> tuple[FinishedRun, Dropped]:
    """A finished run, and the layers that one of its picks goes without."""
    if pick not in PICKS:
        raise InputError(f"unknown pick {pick!r}; there are {', '.join(PICKS)}")
    found = load_run(run)
    return found, found.dropped(pick)


def model_and_layers(
    model: str | None,
    task: str | None,
    run: str | Path | None,
    pick: str,
    drop: Sequence[Unit],
    options: Options,
) -> tuple[Model, Task, Dropped, Options]:
    """What a command is to look at: a model, a task and the layers to leave out.

    Args:
        model: local folder, hub id or ``demo``; None: that of the run.
        task: JSONL file or name; None: that of the run.
        run: directory of a finished search.
        pick: of the run: which layers to leave out.
        drop: layers to leave out, in place of a run.
        options: of the model and the task; with the run's task they are the run's own.

    Raises:
        InputError: neither a run nor both a model and a task, or a run as well as layers
            or as options of its task.
    """
    if run is None:
        if model is None or task is None:
            raise InputError("give --run, or both --model and --task")
        opened = open_model(model, options)
        dropped = check_layers(drop, opened.config.num_hidden_layers, opened.missing)
        return opened, read_task(task, options), dropped, options
    if drop:
        raise InputError("a run says which layers to drop: leave out --drop")
    found, dropped = chosen_layers(run, pick)
    if task is None:
        usual = dataclasses.asdict(Options())
        given = [
            name for name, value in dataclasses.asdict(options).items() if value != usual[name]
        ]
        memory = {name: getattr(options, name) for name in given if name in MEMORY}
        options = dataclasses.replace(run_options(found), **memory)
        if given := [name for name in given if name not in MEMORY]:
            flags = ", ".join("--" + name.replace("_", "-") for name in given)
            raise InputError(f"the run says how it is asked: leave out {flags}, or give --task")
    asked = read_task(task or found.settings["task"], options)
    return reopen_model(found, model), asked, dropped, options
