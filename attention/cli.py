"""``attn …``: the transformer and what is inside it."""

from __future__ import annotations

import dataclasses
import math
from json import dumps as dump
from pathlib import Path
from typing import Literal

from attention.command_line import run
from attention.errors import InputError


def describe(*, model: str, revision: str | None = None) -> None:
    """Config, parameters and bytes of a checkpoint, part by part; no weights are read.

    Args:
        model: local folder, or hub id
        revision: branch, tag or commit on the hub
    """
    import jax
    import numpy as np

    from attention.transformer import TransformerConfig, abstract_params
    from attention.transformer.hf_config import from_hf
    from attention.transformer.safetensor_files import checkpoint_folder, read_json

    config = from_hf(read_json(checkpoint_folder(model, revision) / "config.json"))
    usual = {field.name: field.default for field in dataclasses.fields(TransformerConfig)}
    for name, value in dataclasses.asdict(config).items():
        if value != usual[name]:
            print(f"{name:26}{value}")
    print()
    params = abstract_params(config)
    layers = params["layers"]
    parts = {name: tree for name, tree in params.items() if name != "layers"}
    parts |= {f"layers/{name}": tree for name, tree in layers.items()}
    total = 0
    for name, tree in parts.items():
        count = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))
        total += count
        print(f"{name:26}{count:>16,}")
    size = np.dtype(config.dtype).itemsize * total
    print(f"{'parameters':26}{total:>16,}   {size / 2**30:.2f} GiB as {config.dtype}")


def bench(
    *,
    lengths: str = "1024,2048,4096",
    normalizers: str = "softmax,ssa",
    batch: int = 1,
    heads: int = 8,
    kv_heads: int = 8,
    head_size: int = 64,
    dtype: Literal["float32", "bfloat16"] = "float32",
    rounds: int = 5,
    json: bool = False,
) -> None:
    """Time causal attention: each implementation and normalizer, and its rivals, in one run.

    Args:
        lengths: tokens, between commas
        normalizers: names or specifications, between commas
        batch: sequences
        heads: query heads
        kv_heads: key/value heads
        head_size: of each head
        dtype: of queries, keys and values
        rounds: times each is run; medians count
        json: end with one line of JSON
    """
    from attention.benchmark import Shape, measure

    try:
        counts = [int(length) for length in lengths.split(",")]
    except ValueError:
        raise InputError(f"lengths are numbers between commas, not {lengths!r}") from None
    found = []
    print(f"{'':24}{'tokens':>8}{'forward':>11}{'+ backward':>12}{'GFLOP/s':>9}{'memory':>10}")
    for count in counts:
        shape = Shape(batch, count, heads, kv_heads, head_size, dtype)
        for case in measure(shape, normalizers.split(","), rounds):
            found.append(dataclasses.asdict(case))
            memory = case.temporary_bytes
            print(
                f"{case.name:24}{count:>8}"
                f"{1e3 * case.forward:>8.1f} ms{1e3 * case.backward:>9.1f} ms"
                f"{shape.flops / case.forward / 1e9:>9.1f}"
                + ("" if memory is None else f"{memory / 2**20:>6.0f} MiB")
            )
    if json:
        print(dump(found))


def explain(
    *,
    model: str,
    data: str,
    out: Path,
    layers: str = "all",
    heads: str = "all",
    limit: int = 50,
    show: int = 3,
    split: Literal["train", "validation", "test"] = "test",
    data_folder: Path = Path("data"),
    cut: bool = False,
    x64: bool = False,
    untrained: bool = False,
    resume: bool = False,
    seed: int = 0,
) -> None:
    """What of attention reaches the output, and whether it explains a classifier's decisions.

    Args:
        model: folder or hub id of an encoder or decoder that classifies, or "demo"
        data: snli, ner, pos, reviews, demo, or a JSONL file
        out: directory of the results; must be new unless --resume
        layers: whose attention is replaced: all, or 0-based numbers between commas
        heads: the same of heads
        limit: decisions, drawn from the split
        show: examples that the report shows
        split: of the data
        data_folder: where the named sets are
        cut: cut texts that are longer than the model
        x64: run the model in float64
        untrained: the control: the same model with random weights
        resume: go on with the run in --out
        seed: of all that is drawn
    """
    from attention.explanation.explain import explain

    explain(
        model, data, out, layers=layers, heads=heads, limit=limit, show=show, split=split,
        data_folder=data_folder, cut=cut, x64=x64, untrained=untrained, resume=resume, seed=seed,
    )  # fmt: skip
    print(f"report: {out / 'report.html'}")


def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    commands = {"describe": describe, "bench": bench, "explain": explain}
    run("attn", commands, "What is in this model, and how fast is attention?", arguments)
