"""Training a model, whole or without some layers, on a task's train split: ``tale finetune``."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from attention.errors import InputError
from attention.files import RunDirectory, read_json, read_json_lines, write_json
from attention.likelihood import Row, bucket
from attention.training import (
    decayed,
    fit,
    init_lora,
    lora_axes,
    make_mesh,
    make_schedule,
    merge_lora,
    transformer_axes,
)
from attention.transformer import Transformer, TransformerConfig, save_pretrained
from tale_jax.criteria import answer_rows
from tale_jax.models import Model, fingerprint
from tale_jax.opening import model_and_layers
from tale_jax.options import Options, TrainingOptions
from tale_jax.runs import Terminal, layer_list
from tale_jax.scoring import without_layers
from tale_jax.tasks import Task
from tale_jax.units import Dropped, Unit


def finetune(
    model: str | None,
    task: str | None,
    out: str | Path,
    *,
    run: str | Path | None = None,
    pick: str = "best",
    drop: Sequence[Unit] = (),
    training: TrainingOptionsOptions = TrainingOptions(),
    resume: bool = False,
    quiet: bool = True,
    **options: Any,
) -> dict[str, Any]:
    """Train a model on the train split of a task; the loss is on the answers alone.

    Writes ``out/model``, a checkpoint that transformers loads (but for half-layers, which it has
    not), with what was learnt merged into it;
    ``out/training`` holds checkpoints and ``metrics.jsonl``.  A killed run goes on with ``resume``
    to the identical result.

    Args:
        model: a local folder, a hub id, or ``demo``; None: that of the run.
        task: a JSONL file (with ``train``) or a name; None: that of the run.
        out: directory to make.
        run: directory of a finished search.
        pick: of the run: which layers to leave out, for good.
        drop: layers to leave out, in place of a run.
        training: how.
        resume: go on with the training in ``out``.
        quiet: show nothing.
        options: fields of :class:`tale_jax.options.Options`; ``seed`` draws batches and matrices.

    Returns:
        ``out`` (the checkpoint), ``dropped``, ``examples``, ``steps`` and ``loss``, the last one.

    Raises:
        InputError: no train split, or whatever else can be mended.
    """
    asked = (model, task, run, pick, drop, Options(**options))
    opened, loaded, dropped, chosen = model_and_layers(*asked)
    if not loaded.train:
        raise InputError(f"{loaded.name} has no train split; give one by --train")
    rows = training_rows(opened, loaded)
    steps = training.steps or max(1, round(training.epochs * len(rows) / training.batch_size))
    make_schedule(training.schedule, training.learning_rate, steps)  # refused before anything is
    out, terminal = Path(out), Terminal(quiet)
    settings = {
        "fingerprint": fingerprint(opened.folder),
        "dropped": list(dropped),
        "task": loaded.name,
        "train": _digest(rows),
        "dtype": chosen.dtype,
        "seed": chosen.seed,
        "steps": steps,
        **dataclasses.asdict(training),
    }
    result = {"out": str(out / "model"), "dropped": list(dropped), "examples": len(rows)}
    main = jax.process_index() == 0
    with RunDirectory(out, "tale finetune", settings, resume=resume, owner=main):
        if (out / "model").exists():
            terminal.message(f"{out / 'model'} is there already")
            return {**result, **read_json(out / "result.json")}
        config, params = without_layers(opened.config, opened.params, dropped)
        trained = _train(config, params, rows, training, steps, chosen, out / "training", quiet)
        last = read_json_lines(out / "training" / "metrics.jsonl")[-1]
        found = {"steps": steps, "loss": last["loss"]}
        write_json(out / "result.json", found)
        readme = _readme(opened, loaded, dropped, training, found)
        save_pretrained(out / "model", config, trained, source=opened.folder, readme=readme)
        terminal.message(f"{out / 'model'}: {steps} steps, loss {found['loss']:.4g}")
        return {**result, **found}


def training_rows(model: Model, task: Task) -> list[Row]:
    """Train examples that fit: what is read, and the answer's tokens; written ones then end."""
    end = model.tokenizer.eos_token_id
    rows = answer_rows(model, task.train or ())
    if task.generated and end is not None:
        # The answer's last token, until now only predicted, is read to predict the end.
        rows = [Row.text([*r.tokens, r.targets[-1]], [*r.targets, end]) for r in rows]
    fitting = [row for row in rows if len(row.tokens) <= model.config.max_position_embeddings]
    if not fitting:
        raise InputError(f"{task.name}: every train example is longer than the model's positions")
    return fitting


@dataclasses.dataclass(frozen=True)
class Batches:
    """Batches as a pure function of the step: each epoch is a permutation drawn from the seed."""

    rows: Sequence[Row]
    batch_size: int
    seed: int

    def __call__(self, step: int) -> dict[str, np.ndarray]:
        """``tokens``, ``where``, ``targets`` and ``weights``, ``[batch, length]``."""
        places = range(step * self.batch_size, (step + 1) * self.batch_size)
        drawn = [self._row(place) for place in places]
        length = bucket(max(len(row.tokens) for row in drawn))
        shape = (self.batch_size, length)
        tokens, targets = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
        where, weights = np.zeros(shape, bool), np.zeros(shape, np.float32)
        for i, row in enumerate(drawn):
            end = len(row.tokens)
            tokens[i, :end], where[i, :end] = row.tokens, True
            targets[i, end - len(row.targets) : end] = row.targets
            weights[i, end - len(row.targets) : end] = 1
        return {"tokens": tokens, "where": where, "targets": targets, "weights": weights}

    def _row(self, place: int) -> Row:
        epoch, index = divmod(place, len(self.rows))
        return self.rows[_permutation(self.seed, epoch, len(self.rows))[index]]


@functools.lru_cache(maxsize=4)
def _permutation(seed: int, epoch: int, count: int) -> np.ndarray:
    return np.random.default_rng((seed, epoch)).permutation(count)


def answer_loss(config: TransformerConfig, params: Any, batch: Any) -> tuple[Any, Any]:
    """``(−Σ log p(answer tokens), their number)``."""
    logits_BTV: Any = Transformer(config).apply(
        {"params": params}, batch["tokens"], where=batch["where"]
    )
    losses_BT = optax.softmax_cross_entropy_with_integer_labels(logits_BTV, batch["targets"])
    return jnp.sum(losses_BT * batch["weights"]), jnp.sum(batch["weights"])


def _train(
    config: TransformerConfig,
    params: Any,
    rows: Sequence[Row],
    training: TrainingOptions,
    steps: int,
    options: Options,
    directory: Path,
    quiet: bool,
) -> Any:
    """The trained parameters, merged."""
    key = jax.random.key(options.seed)
    schedule = make_schedule(training.schedule, training.learning_rate, steps)
    adamw = optax.adamw(schedule, weight_decay=training.weight_decay, mask=decayed)
    axes = transformer_axes(params)
    scale = training.lora_alpha / training.lora_rank
    if training.full:
        optimizer = adamw

        def loss(params: Any, batch: Any, key: Any) -> Any:
            del key
            return answer_loss(config, params, batch)
    else:
        lora = init_lora(params, training.lora_rank, jax.random.fold_in(key, 0))
        axes = {"base": axes, "lora": lora_axes(axes)}
        params = {"base": params, "lora": lora}
        # what is frozen has no moments, and its gradients are constants that compile to nothing
        optimizer = optax.multi_transform(
            {"learnt": adamw, "frozen": optax.set_to_zero()}, {"base": "frozen", "lora": "learnt"}
        )

        def loss(params: Any, batch: Any, key: Any) -> Any:
            base = jax.lax.stop_gradient(params["base"])
            merged = merge_lora(base, params["lora"], scale, training.lora_dropout, key)
            return answer_loss(config, merged, batch)

    mesh = make_mesh(**options.axes)
    state = fit(
        loss,
        params,
        optimizer,
        Batches(rows, training.batch_size, options.seed),
        steps=steps,
        key=key,
        clip=training.clip,
        mesh=mesh,
        axes=axes,
        directory=directory,
        save_every=training.save_every,
        quiet=quiet,
    )
    if training.full:
        return state.params
    return merge_lora(state.params["base"], state.params["lora"], scale)


def _digest(rows: Sequence[Row]) -> str:
    content = json.dumps([[row.tokens, row.targets] for row in rows]).encode()
    return hashlib.blake2b(content, digest_size=8).hexdigest()


def _readme(
    model: Model, task: Task, dropped: Dropped, training: TrainingOptions, found: dict[str, Any]
) -> str:
    how = "all parameters" if training.full else f"LoRA of rank {training.lora_rank}, merged"
    return (
        f"# {Path(model.name).name} fine-tuned on {Path(task.name).name}\n\n"
        f"Made by tale-jax: {how}; {found['steps']} steps of {training.batch_size} examples, "
        f"`{training.schedule}` up to {training.learning_rate}; last loss {found['loss']:.4g}. "
        f"Layers dropped before: {layer_list(dropped)}.\n"
    )
