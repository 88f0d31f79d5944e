"""Writes a model as a checkpoint, a recipe or a list."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from attention.files import write_new
from attention.transformer import load_pretrained, save_pretrained
from attention.transformer.huggingface import save_gguf
from tale_jax.formats.card import model_card
from tale_jax.formats.export import Export
from tale_jax.scoring import without_layers


def write_checkpoint(export: Export, out: Path) -> None:
    """Write a checkpoint at the depth that is left, with a model card."""
    config, params = without_layers(*load_pretrained(export.folder, None), export.dropped)
    readme = model_card(export, export.name or str(out))
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
