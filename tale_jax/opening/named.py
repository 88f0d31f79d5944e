"""Opens a task, and a model that is asked its questions, as the options say."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from attention.errors import InputError
from attention.files import SETTINGS, Record, read_settings
from attention.terminal import Terminal
from tale_jax.models import LoadedModel, fingerprint
from tale_jax.options import AskingOptions, ModelOptions, Options, TaskOptions
from tale_jax.scoring import SPLITS, JointScorer, Scorer
from tale_jax.tasks import Split, Task, choose_template, load_task, render, template_date


def read_task(name: str, options: TaskOptions, split: Split | None = None) -> Task:
    """The task with its shots before every prompt.

    Args:
        name: of the task.
        options: where its examples are, how many are used, and how many are shown.
        split: the only split that is wanted; None: search and test.

    Raises:
        InputError: there is no such task or split, or options contradict each other.
    """
    names = [field.name for field in dataclasses.fields(TaskOptions)]
    return load_task(name, split=split, **{name: getattr(options, name) for name in names})


def render_task(model: LoadedModel, task: Task, options: AskingOptions) -> Task:
    """The task as a model is asked it: through its chat template, or as plain text.

    Raises:
        InputError: the template cannot be used.
    """
    how = options.template, options.template_variables, options.template_date
    rendered = render(task, model.tokenizer, *how)
    return dataclasses.replace(rendered, end_tokens=model.end_tokens)


def open_scorer(
    model: LoadedModel, task: Task, options: AskingOptions, terminal: Terminal
) -> Scorer:
    """The model, ready to be scored on a task; the terminal shows notes.

    Raises:
        InputError: the protocol does not go with the task, or no example fits the model.
    """
    if options.batch_tokens < 1:
        raise InputError(f"a batch needs at least 1 token, not {options.batch_tokens}")
    rendered = render_task(model, task, options)
    for note in rendered.notes:
        terminal.message(note)
    scorer = Scorer(
        model.config,
        model.params,
        model.tokenizer,
        rendered,
        protocol=options.protocol,
        batch_tokens=options.batch_tokens,
        max_new_tokens=options.max_new_tokens,
        cache_gib=options.cache_gib,
        batch_sharding=model.batch_sharding,
        placement=model.placement,
        on_message=terminal.message,
    )
    for note in scorer.notes:
        terminal.message(note)
    if scorer.too_long:
        terminal.message(
            f"{scorer.too_long} examples are longer than the model's "
            f"{model.config.longest_text} positions and are left out"
        )
    return scorer


def open_scorers(
    model: LoadedModel,
    tasks: Mapping[str, Task],
    objective: str,
    options: AskingOptions,
    terminal: Terminal,
) -> Scorer | JointScorer:
    """The model, ready to be scored on one task, or on several as if they were one.

    Args:
        model: that is asked.
        tasks: by their names.
        objective: what is made of several tasks; a key of `tale_jax.elimination.OBJECTIVES`.
        options: how the model is asked; the tasks share the cache.
        terminal: shows notes.

    Raises:
        InputError: a protocol does not go with its task, or no example fits the model.
    """
    if len(tasks) == 1:
        return open_scorer(model, next(iter(tasks.values())), options, terminal)
    each = dataclasses.replace(options, cache_gib=options.cache_gib / len(tasks))
    scorers = {name: open_scorer(model, task, each, terminal) for name, task in tasks.items()}
    return JointScorer(scorers, objective)


def identify(model: LoadedModel, options: ModelOptions) -> Record:
    """What tells a model from other models, for the settings of a run."""
    return {
        "model": model.name,
        "revision": options.revision,
        "fingerprint": fingerprint(model.folder),
        "num_layers": model.config.num_hidden_layers,
        "dtype": options.dtype,
        "weights": options.weights,
        "precision": model.config.precision,
    }


def identify_task(
    name: str, task: Task, model: LoadedModel, scorer: Scorer, options: AskingOptions
) -> Record:
    """What tells a task from another, and how it is asked, in the settings of a run."""
    return {
        "task": name,
        **fingerprints(task, model, options),
        "template": options.template,
        "template_variables": options.template_variables,
        "template_date": options.template_date,
        "protocol": scorer.protocol.name,
        "new_tokens": scorer.protocol.new_tokens,
        "examples": len(scorer.examples["search"]),
    }


def identify_tasks(
    tasks: Mapping[str, Task],
    model: LoadedModel,
    scorer: Scorer | JointScorer,
    options: AskingOptions,
) -> Record:
    """As :func:`identify_task`, of all tasks of a search.

    Of several tasks it has ``objective``, ``sizes`` (the examples of each task of each split),
    and ``tasks``, which has what identifies each.
    """
    if not isinstance(scorer, JointScorer):
        [(name, task)] = tasks.items()
        return identify_task(name, task, model, scorer, options)
    each = {
        name: identify_task(name, task, model, scorer.scorers[name], options)
        for name, task in tasks.items()
    }
    return {
        "task": ",".join(tasks),
        "objective": scorer.joint.objective,
        "sizes": scorer.splits,
        "protocol": scorer.protocols,
        "template_date": options.template_date,
        "examples": sum(scorer.joint.sizes),
        "tasks": each,
    }


def fingerprints(task: Task, model: LoadedModel, options: AskingOptions) -> dict[str, str | None]:
    """What tells the rows of a task, with their shots, and its template from any others.

    Neither depends on the day: the date that a template writes is a setting of its own.
    """
    chosen = choose_template(task, model.tokenizer, options.template, options.template_variables)
    rows = {
        split: [dataclasses.astuple(example) for example in given]
        for split in SPLITS
        if (given := getattr(task, split)) is not None
    }
    return {
        "task_fingerprint": _hash(json.dumps(rows)),
        "template_fingerprint": None if chosen is None else _hash(chosen.source),
    }


def dated(options: Options, task: Task, model: LoadedModel, run: Path) -> Options:
    """The options with the day that the chat template is told, where it asks for the date.

    Args:
        options: of the command; a day that they name stays.
        task: that is asked.
        model: whose tokenizer may bring the template.
        run: the directory of a run; if it has begun before, its day is taken again.

    Raises:
        InputError: the template cannot be read, or the run's settings are damaged.
    """
    how = options.template, options.template_variables, options.template_date
    chosen = choose_template(task, model.tokenizer, *how)
    date = None if chosen is None else template_date(chosen, model.tokenizer)
    if date is not None and options.template_date is None and (run / SETTINGS).is_file():
        date = read_settings(run).get("template_date", date)
    return dataclasses.replace(options, template_date=date)


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
