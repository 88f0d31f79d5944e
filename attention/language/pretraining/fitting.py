"""Pretraining: from options to a run with a model, its held-out loss and what it learned.

The loop, its checkpoints and its metrics are `attention.training.fit`.  Several seeds are trained
as one model by ``vmap``, each with its own rows, masks, gradient norm and optimizer.
"""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import jax
from jax.sharding import Mesh
from jaxtyping import PyTree

from attention import files
from attention.language.corpora import Shares, tokenizer_digest
from attention.language.labelled_texts import Split
from attention.language.pretraining import held_out
from attention.language.pretraining.consequences import (
    check_objective,
    checked_recipe,
    settings_of,
)
from attention.language.pretraining.experiment import COMMAND, Changes, Pretraining, Text, Work
from attention.language.pretraining.loss import loss_of
from attention.language.pretraining.material import Material, prepare
from attention.language.pretraining.starting import (
    Start,
    computed,
    first_model,
    optimizer_of,
    parts_of,
)
from attention.meshes import SHARDINGS, make_mesh
from attention.options import Devices
from attention.terminal import Terminal
from attention.training import (
    fit,
    learned_values,
    transformer_axes,
)
from attention.transformer import (
    TransformerConfig,
    save_pretrained,
)

MODEL, SUMMARY, SETTINGS = "model", "summary.json", "settings.json"
LAST_ROWS = 8  # times the rows of a look at the validation split


def pretrain(
    out: Path,
    *,
    text: Text = Text(),
    shares: Shares = Shares(),
    pretraining: Pretraining = Pretraining(),
    changes: Changes = Changes(),
    work: Work = Work(),
    devices: Devices = Devices(),
    quiet: bool = False,
) -> dict[str, Any]:
    """Pretrain a language model, or go on with the run in ``out``.

    Args:
        out: directory of the run.
        text: the corpus and its tokenizer.
        shares: what is held out.
        pretraining: what is trained.
        changes: of its recipe.
        work: how the work is done.
        devices: where, and in which type products are computed; parameters are float32.
        quiet: show nothing on the terminal.

    Returns:
        What ``summary.json`` says, by seed.

    Raises:
        InputError: the options do not fit together or to the corpus, or ``out`` holds another run.
    """
    recipe, objective = checked_recipe(pretraining, changes)
    _mesh(devices)  # too few devices are refused before text becomes tokens
    material = prepare(text, shares, recipe, pretraining.init)
    if material.warning is not None:
        Terminal(quiet).message(material.warning)
    start = first_model(pretraining, recipe, material, devices.dtype)
    check_objective(objective, start.config.causal, recipe, pretraining.init or pretraining.recipe)
    about = {
        "corpus": material.files.corpus,
        "corpus_hash": material.files.corpus_digest,
        "tokenizer_hash": tokenizer_digest(material.tokenizer),
        "vocabulary": material.files.vocabulary,
        "tokens": material.files.counts["train"]["tokens"],
        "dtype": devices.dtype,
    }
    settings = settings_of(text, shares, pretraining, recipe, about)
    settings["normalizer"] = start.config.normalizer
    owner = jax.process_index() == 0
    with files.RunDirectory(out, COMMAND, settings, resume=True, owner=owner):
        below = held_out.floors(material) if owner else {}
        if found := below.get("validation"):
            counted = ", ".join(f"{name} {value:.1f}" for name, value in found.items())
            Terminal(quiet).message(f"held-out perplexity of counts alone: {counted}")
        state = _fitted(out, start, material, pretraining, work, devices, quiet)
        if not owner:
            return {}
        return _finish(out, start.config, state.params, material, pretraining, work, below)


def _fitted(
    out: Path,
    start: Start,
    material: Material,
    pretraining: Pretraining,
    work: Work,
    devices: Devices,
    quiet: bool,
) -> Any:
    """The state after the last update."""
    recipe, seeds = material.recipe, pretraining.all_seeds
    config = computed(start.config, work.attention, work.remat)
    train, validation = material.rows("train"), material.rows("validation")
    terminal = Terminal(quiet)

    def evaluate(step: int, params: PyTree) -> float:
        losses = []
        for seed, own in each_model(params, seeds).items():
            found = held_out.evaluate(config, own, material, validation, work.evaluate_rows)
            if jax.process_index() == 0:
                tokens = step * recipe.batch * recipe.length
                held_out.note(folder_of(out, seed, seeds), step, {"tokens": tokens, **found})
                name = f"seed {seed}: " if len(seeds) > 1 else ""
                terminal.message(f"step {step}: {name}{held_out.as_line(found)}")
            losses.append(found["loss"])
        return sum(losses) / len(losses)

    return fit(
        loss_of(config, recipe.z_loss, seeds, recipe.dropout),
        start.params,
        optimizer_of(recipe, len(seeds)),
        lambda step: material.batch_of_seeds(train, seeds, step),
        steps=recipe.steps,
        key=jax.random.key(pretraining.seed),
        accumulate=work.accumulate or parts_of(recipe, config, len(seeds)),
        mesh=_mesh(devices),
        rules=SHARDINGS.pick(devices.sharding).rules,
        axes=transformer_axes(start.params) if len(seeds) == 1 else None,
        directory=out,
        save_every=work.save_every,
        keep_seconds=None if work.keep_minutes is None else 60 * work.keep_minutes,
        keep_best=work.keep_best,
        log_every=work.log_every,
        watch=learned_values(config) if len(seeds) == 1 else None,
        evaluate=evaluate,
        evaluate_every=work.evaluate_every,
        profile=work.profile,
        quiet=quiet,
    )


def _mesh(devices: Devices) -> Mesh | None:
    """The mesh; None: one device.  Several processes share all of their devices by default.

    Raises:
        InputError: there are too few devices.
    """
    if not devices.mesh and jax.process_count() > 1:
        return make_mesh()
    sizes = devices.axes
    if max(sizes.values()) == 1 and min(sizes.values()) >= 0:
        return None
    return make_mesh(devices=None, **sizes)


def each_model(params: PyTree, seeds: range) -> dict[int, PyTree]:
    """The parameters of each seed."""
    if len(seeds) == 1:
        return {seeds[0]: params}
    return {seed: jax.tree.map(lambda x, i=i: x[i], params) for i, seed in enumerate(seeds)}


def folder_of(out: Path, seed: int, seeds: range) -> Path:
    """Where the results of a seed lie: the run, or a folder of it for each of several seeds."""
    return out if len(seeds) == 1 else out / f"seed-{seed}"


def _finish(
    out: Path,
    config: TransformerConfig,
    params: PyTree,
    material: Material,
    pretraining: Pretraining,
    work: Work,
    floors: dict[Split, dict[str, float]],
) -> dict[str, Any]:
    """Judge the models, and write them, their settings and their summaries."""
    seeds, rows = pretraining.all_seeds, LAST_ROWS * work.evaluate_rows
    fast, found = computed(config, work.attention), {}
    counts = material.files.counts
    split: Split = "test" if counts["test"]["tokens"] > material.recipe.length + 1 else "validation"
    for seed, own in each_model(params, seeds).items():
        folder = folder_of(out, seed, seeds)
        summary: dict[str, Any] = {"seed": seed, "floors": floors.get(split, {})}
        places = {
            "in_domain": (material.files, split),
            "out_of_domain": (material.elsewhere, "test"),
        }
        for name, (where, part) in places.items():
            summary[name] = None
            if where is not None:
                values = held_out.evaluate(fast, own, material, material.rows(part, where), rows)
                about = {"corpus": where.corpus, "split": part, **where.counts[part]}
                summary[name] = about | values
        if len(seeds) > 1:
            settings = {"command": COMMAND} | files.read_settings(out, COMMAND)
            files.write_json(folder / SETTINGS, settings | {"seed": seed, "seeds": 1})
        _write_model(folder / MODEL, config, own, material)
        files.write_json(folder / SUMMARY, summary)
        found[str(seed)] = summary
    return found


def _write_model(
    folder: Path, config: TransformerConfig, params: PyTree, material: Material
) -> None:
    """Write a checkpoint with its tokenizer; one of before may be damaged, and is replaced."""
    shutil.rmtree(folder, ignore_errors=True)
    # How values were drawn is no part of a checkpoint.
    plain = dataclasses.replace(config, initializer="normal", dtype="float32")
    with files.new_folder(folder) as scratch:
        save_pretrained(scratch, plain, jax.device_get(params))
        material.tokenizer.save_pretrained(scratch)
