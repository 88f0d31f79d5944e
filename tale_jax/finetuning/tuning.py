"""Trains a model, whole or without some layers, on the train split of a task."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import optax

from attention import processes
from attention.errors import InputError
from attention.files import Record, RunDirectory, read_json, write_json
from attention.likelihood import Row
from attention.meshes import SHARDINGS, make_mesh
from attention.terminal import Terminal
from attention.training import (
    decayed,
    fit,
    init_lora,
    lora_axes,
    make_schedule,
    merge_lora,
    read_metrics,
    transformer_axes,
)
from attention.transformer import TransformerConfig, save_pretrained
from tale_jax.finetuning.batches import Batches, answer_loss, training_rows
from tale_jax.models import fingerprint
from tale_jax.opening import Opened, dated, render_task
from tale_jax.options import Options, TrainingOptions
from tale_jax.runs import layer_list
from tale_jax.scoring import without_layers

RESULT = "result.json"
ENDS = 2**20  # bytes of a file's start and end that tell it from another of the same size


def tune(
    opened: Opened,
    training: TrainingOptions,
    out: Path,
    *,
    resume: bool = False,
    quiet: bool = False,
) -> Record:
    """Train a model on a task; the loss is on the answers alone.

    The examples have the form in which the task is evaluated: the same function puts shots and
    instruction before them, and renders the chat template.

    Args:
        opened: the model, the layers to leave out for good, and the task, whose search split is
            trained on (``open_subject`` with the split "train").
        training: how it is trained.
        out: directory to make. ``out/model`` becomes the checkpoint, with what was learnt merged
            into it; ``out/training`` holds what a killed training goes on from.
        resume: go on with the training in ``out``, to the identical result.
        quiet: show nothing.

    Returns:
        ``out`` (the checkpoint), ``dropped``, ``examples``, ``steps`` and ``loss``, the last one.

    Raises:
        InputError: the schedule is unknown, or the directory holds something else.
    """
    model, terminal = opened.model, Terminal(quiet or not processes.is_main())
    options = dated(opened.options, opened.task, model, out)
    task = render_task(model, opened.task, options)
    for note in task.notes:
        terminal.message(note)
    rows = training_rows(model, task)
    steps = training.steps or max(1, round(training.epochs * len(rows) / training.batch_size))
    make_schedule(training.schedule, training.learning_rate, steps)  # refused before anything is
    settings = {
        "fingerprint": fingerprint(model.folder),
        "dropped": list(opened.dropped),
        "task": task.name,
        "train": _digest(rows),
        "template_date": options.template_date,
        "dtype": options.dtype,
        "seed": options.seed,
        **dataclasses.asdict(training),
        "steps": steps,
    }
    for name in ("profile", "remat"):  # they decide nothing
        del settings[name]
    made = out / "model"
    result = {"out": str(made), "dropped": list(opened.dropped), "examples": len(rows)}
    owner = processes.is_main()
    with RunDirectory(out, "tale finetune", settings, resume=resume, owner=owner):
        if made.exists():
            terminal.message(f"{made} is there already")
            return {**result, **_finished(out, steps)}
        config, params = without_layers(model.config, model.params, opened.dropped)
        how = dataclasses.replace(training, steps=steps)
        trained = _train(config, params, rows, how, options, out / "training", quiet)
        trained = processes.gathered(trained)
        processes.wait_for_all("trained")  # the first process has written its metrics
        last = read_metrics(out / "training")[-1]
        found = {"steps": steps, "loss": last["loss"]}
        if owner:
            write_json(out / RESULT, found)
            readme = _readme(opened, how, last["loss"])
            save_pretrained(made, config, trained, source=model.folder, readme=readme)
            write_json(out / RESULT, {**found, "model": _print_of(made)})
        processes.wait_for_all("saved")
        return {**result, **found}


def _finished(out: Path, steps: int) -> Record:
    """The steps and the last loss of a training that has ended.

    Raises:
        InputError: the files that tell so do not agree, or the checkpoint is not what was written.
    """
    found, lines = read_json(out / RESULT), read_metrics(out / "training")
    mark = found.pop("model", None)
    if not lines or found != {"steps": steps, "loss": lines[-1].get("loss")}:
        raise InputError(f"{out / RESULT} is damaged: train again in a new --out")
    if mark is not None and mark != _print_of(out / "model"):
        raise InputError(f"{out / 'model'} was changed: remove it, and --resume writes it again")
    return found


def _print_of(folder: Path) -> str:
    """A hash of the files of a folder: of their names, sizes and ends."""
    digest = hashlib.blake2b(digest_size=8)
    for file in sorted(file for file in folder.iterdir() if file.is_file()):
        size = file.stat().st_size
        digest.update(f"{file.name} {size} ".encode())
        with file.open("rb") as stream:
            digest.update(stream.read(ENDS))
            stream.seek(max(0, size - ENDS))
            digest.update(stream.read(ENDS))
    return digest.hexdigest()


def _train(
    config: TransformerConfig,
    params: Any,
    rows: Sequence[Row],
    training: TrainingOptions,
    options: Options,
    directory: Path,
    quiet: bool,
) -> Any:
    """The trained parameters, merged; the number of steps is known."""
    config = dataclasses.replace(config, remat=training.remat)
    key, steps = jax.random.key(options.seed), training.steps or 1
    schedule = make_schedule(training.schedule, training.learning_rate, steps)
    adamw = optax.adamw(schedule, weight_decay=training.weight_decay, mask=decayed)
    axes = transformer_axes(params)
    scale = training.lora_alpha / training.lora_rank
    if training.full:
        # Small updates would be lost in bfloat16: parameters and moments are float32.
        config = dataclasses.replace(config, param_dtype="float32")
        params = jax.tree.map(lambda leaf: leaf.astype("float32"), params)
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

    state = fit(
        loss,
        params,
        optimizer,
        Batches(rows, training.batch_size, options.seed),
        steps=steps,
        key=key,
        clip=training.clip,
        mesh=make_mesh(devices=None, **options.axes),
        rules=SHARDINGS.pick(options.sharding).rules,
        axes=axes,
        directory=directory,
        save_every=training.save_every,
        profile=training.profile,
        quiet=quiet,
    )
    if training.full:
        return state.params
    return merge_lora(state.params["base"], state.params["lora"], scale)


def _digest(rows: Sequence[Row]) -> str:
    content = json.dumps([[row.tokens, row.targets] for row in rows]).encode()
    return hashlib.blake2b(content, digest_size=8).hexdigest()


def _readme(opened: Opened, training: TrainingOptions, loss: float) -> str:
    model, task = Path(opened.model.name).name, Path(opened.task.name).name
    how = "all parameters" if training.full else f"LoRA of rank {training.lora_rank}, merged"
    return (
        f"# {model} fine-tuned on {task}\n\n"
        f"Made by tale-jax: {how}; {training.steps} steps of {training.batch_size} examples, "
        f"`{training.schedule}` up to {training.learning_rate}; last loss {loss:.4g}. "
        f"Layers dropped before: {layer_list(opened.dropped)}.\n"
    )
