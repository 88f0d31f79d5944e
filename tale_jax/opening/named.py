"""Opens a task, and a model that is asked its questions, by what the options say."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any

from attention.errors import InputError
from attention.terminal import Terminal
from tale_jax.models import LoadedModel, fingerprint
from tale_jax.options import AskingOptions, ModelOptions, TaskOptions
from tale_jax.scoring import Scorer
from tale_jax.tasks import Split, Task, load_task, render


def read_task(name: str, options: TaskOptions, split: Split | None = None) -> Task:
    """The task with its shots before every prompt.

    Args:
        name: of the task.
        options: where its examples are, how many are used, and how many are shown.
        split: the one split that is wanted; None: search and test.

    Raises:
        InputError: there is no such task or split, or options contradict each other.
    """
    names = [field.name for field in dataclasses.fields(TaskOptions)]
    return load_task(name, split=split, **{name: getattr(options, name) for name in names})


def open_scorer(
    model: LoadedModel, task: Task, options: AskingOptions, terminal: Terminal
) -> Scorer:
    """The model, ready to be scored on a task; the terminal shows what there is to note.

    Raises:
        InputError: the protocol does not go with the task, or no example fits the model.
    """
    if options.batch_tokens < 1:
        raise InputError(f"a batch needs at least 1 token, not {options.batch_tokens}")
    for note in task.notes:
        terminal.message(note)
    scorer = Scorer(
        model.config,
        model.params,
        model.tokenizer,
        render(task, model.tokenizer, options.template),
        protocol=options.protocol,
        batch_tokens=options.batch_tokens,
        max_new_tokens=options.max_new_tokens,
        cache_gib=options.cache_gib,
        batch_sharding=model.batch_sharding,
        on_message=terminal.message,
    )
    if scorer.too_long:
        terminal.message(
            f"{scorer.too_long} examples are longer than the model's "
            f"{model.config.max_position_embeddings} positions and are left out"
        )
    return scorer


def identify(model: LoadedModel, options: ModelOptions) -> dict[str, Any]:
    """What tells a model from another, in the settings of a run."""
    return {
        "model": model.name,
        "revision": options.revision,
        "fingerprint": fingerprint(model.folder),
        "num_layers": model.config.num_hidden_layers,
        "dtype": options.dtype,
        "precision": model.config.precision,
    }


def identify_task(name: str, scorer: Scorer) -> dict[str, Any]:
    """What tells a task from another, and how it is asked, in the settings of a run."""
    return {
        "task": name,
        "task_fingerprint": task_fingerprint(scorer),
        "protocol": scorer.protocol.name,
        "new_tokens": scorer.protocol.new_tokens,
        "examples": len(scorer.examples["search"]),
    }


def task_fingerprint(scorer: Scorer) -> str:
    """What tells the examples of a task, with their shots, from any others."""
    examples = {
        split: [dataclasses.astuple(example) for example in given]
        for split, given in scorer.examples.items()
    }
    return hashlib.blake2b(json.dumps(examples).encode(), digest_size=8).hexdigest()
