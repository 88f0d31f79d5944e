"""Models and tasks, opened as the options say, and what tells them from others."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any

from attention.errors import InputError
from tale_jax.models import Model, fingerprint, load_model
from tale_jax.options import Options
from tale_jax.runs import Terminal
from tale_jax.scoring import Scorer
from tale_jax.tasks import Task, load_task, render


def read_task(name: str, options: Options) -> Task:
    """The task with its shots in front of every prompt."""
    sources = ("test", "train", "holdout", "data", "limit", "shots", "seed")
    return load_task(name, **{source: getattr(options, source) for source in sources})


def open_model(name: str, options: Options) -> Model:
    """The model, as the options say."""
    return load_model(name, options)


def open_scorer(loaded: Model, task: Task, options: Options, terminal: Terminal) -> Scorer:
    """The model, ready to be scored on a task."""
    if options.batch_tokens < 1:
        raise InputError(f"a batch needs at least 1 token, not {options.batch_tokens}")
    for note in task.notes:
        terminal.message(note)
    scorer = Scorer(
        loaded.config,
        loaded.params,
        loaded.tokenizer,
        render(task, loaded.tokenizer, options.template),
        protocol=options.protocol,
        batch_tokens=options.batch_tokens,
        max_new_tokens=options.max_new_tokens,
        cache_gib=options.cache_gib,
        batch_sharding=loaded.batch_sharding,
        on_message=terminal.message,
    )
    if scorer.too_long:
        terminal.message(
            f"{scorer.too_long} examples are longer than the model's "
            f"{loaded.config.max_position_embeddings} positions and are left out"
        )
    return scorer


def identify(loaded: Model, options: Options) -> dict[str, Any]:
    """What tells a model from another, in the settings of a run."""
    return {
        "model": loaded.name,
        "revision": options.revision,
        "fingerprint": fingerprint(loaded.folder),
        "num_layers": loaded.config.num_hidden_layers,
        "dtype": options.dtype,
        "precision": loaded.config.precision,
    }


def task_fingerprint(scorer: Scorer) -> str:
    """Tells the examples of a task, with their shots, from any others."""
    examples = {
        split: [dataclasses.astuple(example) for example in given]
        for split, given in scorer.examples.items()
    }
    return hashlib.blake2b(json.dumps(examples).encode(), digest_size=8).hexdigest()
