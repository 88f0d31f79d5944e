"""Writes a model as a checkpoint, a recipe or a list."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from attention.files import write_new
from attention.transformer import load_pretrained, save_pretrained
from attention.transformer.huggingface import save_gguf
from tale_jax import __version__
from tale_jax.formats.export import Export
from tale_jax.runs import layer_list, percent
from tale_jax.scoring import without_layers


def write_checkpoint(export: Export, out: Path) -> None:
    """Write a checkpoint at the depth that is left, with a README that says where it came from."""
    config, params = without_layers(*load_pretrained(export.folder, None), export.dropped)
    readme = "\n".join(_provenance(export)) + "\n"
    save_pretrained(out, config, params, source=export.folder, readme=readme)


def write_half_gguf(export: Export, out: Path) -> None:
    """Write a GGUF file whose matrices are float16."""
    _write_gguf(export, out, "f16")


def write_full_gguf(export: Export, out: Path) -> None:
    """Write a GGUF file of float32."""
    _write_gguf(export, out, "f32")


def _write_gguf(export: Export, out: Path, dtype: Literal["f16", "f32"]) -> None:
    config, params = without_layers(*load_pretrained(export.folder, None), export.dropped)
    save_gguf(out, config, params, source=export.folder, dtype=dtype)


def write_recipe(export: Export, out: Path) -> None:
    """Write a YAML file for the method ``passthrough`` of mergekit."""
    model = str(export.folder) if export.model == "demo" else export.model
    kept = [int(layer) for layer in export.kept]
    write_new(out, mergekit_recipe(model, kept, export.run.settings.get("dtype", "float32")))


def write_list(export: Export, out: Path) -> None:
    """Write the dropped layers, as ``--drop`` takes them."""
    write_new(out, ",".join(map(str, export.dropped)) + "\n")


def mergekit_recipe(model: str, kept: Sequence[int], dtype: str) -> str:
    """YAML for ``mergekit-yaml``: the kept layers as ranges whose end is not included."""
    ranges: list[list[int]] = []
    for layer in kept:
        if ranges and ranges[-1][1] == layer:
            ranges[-1][1] += 1
        else:
            ranges.append([layer, layer + 1])
    lines = ["slices:"]
    for low, high in ranges:
        # a JSON string is a YAML string, whatever is in the name
        lines += ["  - sources:", f"      - model: {json.dumps(model)}"]
        lines.append(f"        layer_range: [{low}, {high}]")
    return "\n".join([*lines, "merge_method: passthrough", f"dtype: {dtype}", ""])


def _provenance(export: Export) -> Iterator[str]:
    """The lines of README.md."""
    summary, settings, chosen = export.run.summary, export.run.settings, export.measured
    full, dropped = summary["baseline"], layer_list(export.dropped)
    yield f"# {Path(settings['model']).name} without layers {dropped}"
    yield ""
    yield (
        f"Made by tale-jax {__version__}: greedy layer elimination for a task, without retraining "
        "(TELL-TALE, arXiv 2510.22767)."
    )
    yield ""
    yield (
        f"- Model: `{settings['model']}` (revision {settings['revision'] or 'unspecified'}, "
        f"fingerprint {settings['fingerprint']}), {summary['num_layers']} layers"
    )
    yield f"- Layers dropped (0-based): {dropped}"
    yield f"- Layers kept, in order: {layer_list(export.kept)}"
    yield f"- Picked as: {export.pick}"
    yield (
        f"- Task: `{settings['task']}`, {summary['examples']} examples, protocol "
        f"{summary['protocol']}, {settings['shots']} shots"
    )
    yield (
        f"- Run: `{export.run.directory.name}`, epsilon {summary['epsilon']}, floor "
        f"{summary['floor']}"
    )
    yield (
        f"- Accuracy on the examples searched on: {percent(chosen)} (full model {percent(full)}); "
        "optimistic, because the layers were chosen on them"
    )
    if chosen.get("test") is not None:
        test = percent(chosen["test"])
        yield f"- Accuracy on held-out examples: {test} (full model {percent(full['test'])})"
    if export.has_halves:
        yield "- Some layers lack a half (`layer_halves` in config.json): only tale-jax loads it"
