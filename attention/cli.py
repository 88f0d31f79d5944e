"""``attn …``: the transformer and what is inside it."""

from __future__ import annotations

import dataclasses
import math
from json import dumps as dump
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


def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    commands = {"describe": describe, "bench": bench}
    run("attn", commands, "What is in this model, and how fast is attention?", arguments)
