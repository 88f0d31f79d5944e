"""A searched model as a checkpoint, a recipe or a list: ``from tale_jax import export``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from attention.errors import InputError
from attention.files import write_new
from attention.transformer import load_pretrained, save_pretrained
from attention.transformer.huggingface import load_config
from tale_jax import __version__
from tale_jax.models import fingerprint, model_folder
from tale_jax.runs import PICKS, FinishedRun, layer_list, load_run, percent
from tale_jax.scoring import halves_left, without_layers
from tale_jax.units import Dropped, count_layers, has_halves, units_of

Pick = Literal["baseline", "best", "bsba"]
Form = Literal["huggingface", "tale", "mergekit", "list"]


def export(
    run: str | Path,
    pick: Pick,
    out: str | Path,
    *,
    model: str | None = None,
    form: Form = "huggingface",
) -> dict[str, Any]:
    """Write the model that a search picked: whole, as a recipe for mergekit, or as a list.

    Args:
        run: directory of a finished search.
        pick: ``best``, ``bsba`` or ``baseline``.
        out: folder or file to make.
        model: where the searched checkpoint is now, if it moved; it must be the same one.
        form: ``huggingface``: a shorter checkpoint, which transformers loads; ``tale``: the same,
            or, where layers lack a half, one that this project alone loads; ``mergekit``: a YAML
            file for mergekit's method ``passthrough``; ``list``: the dropped layers between commas.

    Returns:
        ``{"out", "dropped", "kept"}``.

    Raises:
        InputError: no finished run, another checkpoint, something there already, or half-layers in
            a form that has whole ones alone.
    """
    if pick not in PICKS:
        raise InputError(f"unknown pick {pick!r}; there are {', '.join(PICKS)}")
    found = load_run(run)
    return export_layers(found, pick, found.summary[pick], out, model=model, form=form)


def export_layers(
    run: FinishedRun,
    pick: str,
    chosen: Mapping[str, Any],
    out: str | Path,
    *,
    model: str | None = None,
    form: str = "huggingface",
) -> dict[str, Any]:
    """Like ``export``, for any model of the run, given as a measurement with its ``dropped``."""
    name, out = model or run.settings["model"], Path(out)
    folder = searched_folder(run, model)
    dropped = tuple(chosen["dropped"])
    kept = what_is_kept(folder, dropped, form)
    if form in ("huggingface", "tale"):
        config, params = without_layers(*load_pretrained(folder, None), dropped)
        readme = _provenance(run, pick, chosen, kept)
        save_pretrained(out, config, params, source=folder, readme=readme)
    elif form == "mergekit":
        source = str(folder) if name == "demo" else name
        write_new(out, mergekit_recipe(source, kept, run.settings["dtype"]))
    else:
        write_new(out, ",".join(map(str, dropped)) + "\n")
    return {"out": str(out), "dropped": list(dropped), "kept": list(kept)}


def what_is_kept(folder: Path, dropped: Dropped, form: str) -> Dropped:
    """The layers, and halves of layers, that are left of a checkpoint.

    Raises:
        InputError: no such form, or half-layers in one that has whole ones alone.
    """
    if form not in get_args(Form):
        raise InputError(f"unknown format {form!r}; there are {', '.join(get_args(Form))}")
    kept = units_of(halves_left(load_config(folder), dropped))
    if has_halves(kept) and form in ("huggingface", "mergekit"):
        halves = [unit for unit in kept if isinstance(unit, str)]
        raise InputError(
            f"only whole layers export to {form}, and of {len(halves)} half is left, such as "
            f"{halves[0]}: give --format tale, a checkpoint for tale and attn, or --format list"
        )
    return kept


def described(exported: Mapping[str, Any]) -> str:
    """One line about what ``export`` returned."""
    kept = exported["kept"]
    return f"{exported['out']}: {count_layers(kept):g} layers ({layer_list(kept)} of the original)"


def searched_folder(run: FinishedRun, model: str | None = None) -> Path:
    """The checkpoint that a run searched.

    Raises:
        InputError: it is not there, or another one is.
    """
    name = model or run.settings["model"]
    folder = model_folder(name, run.settings["revision"])
    if fingerprint(folder) != run.settings["fingerprint"]:
        raise InputError(
            f"{name} is not the checkpoint that {run.directory} searched; give it by --model"
        )
    return folder


def mergekit_recipe(model: str, kept: Sequence[Any], dtype: str) -> str:
    """YAML for ``mergekit-yaml``: the kept layers as ranges, the end not included."""
    ranges: list[list[int]] = []
    for layer in kept:
        if ranges and ranges[-1][1] == layer:
            ranges[-1][1] += 1
        else:
            ranges.append([layer, layer + 1])
    lines = ["slices:"]
    for low, high in ranges:
        # JSON strings are YAML strings, whatever is in the name
        lines += ["  - sources:", f"      - model: {json.dumps(model)}"]
        lines.append(f"        layer_range: [{low}, {high}]")
    return "\n".join([*lines, "merge_method: passthrough", f"dtype: {dtype}", ""])


def _provenance(run: FinishedRun, pick: str, chosen: Mapping[str, Any], kept: Dropped) -> str:
    """README.md of an exported checkpoint."""
    summary, settings = run.summary, run.settings
    full = summary["baseline"]
    lines = [
        f"# {Path(settings['model']).name} without layers {layer_list(chosen['dropped'])}",
        "",
        f"Made by tale-jax {__version__}: greedy layer elimination for a task, without retraining "
        "(TELL-TALE, arXiv 2510.22767).",
        "",
        f"- Model: `{settings['model']}` (revision {settings['revision'] or 'unspecified'}, "
        f"fingerprint {settings['fingerprint']}), {summary['num_layers']} layers",
        f"- Layers dropped (0-based): {layer_list(chosen['dropped'])}",
        f"- Layers kept, in order: {layer_list(kept)}",
        f"- Picked as: {pick}",
        f"- Task: `{settings['task']}`, {summary['examples']} examples, protocol "
        f"{summary['protocol']}, {settings['shots']} shots",
        f"- Run: `{run.directory.name}`, epsilon {summary['epsilon']}, floor {summary['floor']}",
        f"- Accuracy on the examples searched on: {percent(chosen)} "
        f"(full model {percent(full)}); optimistic, for the layers were chosen on them",
    ]
    if chosen.get("test") is not None:
        lines.append(
            f"- Accuracy on held-out examples: {percent(chosen['test'])} "
            f"(full model {percent(full['test'])})"
        )
    if has_halves(kept):
        lines.append(
            "- Some layers lack a half (`layer_halves` in config.json): only tale-jax loads it"
        )
    return "\n".join(lines) + "\n"
