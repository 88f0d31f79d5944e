"""``attn …``: the transformer and what is inside it."""

from __future__ import annotations

import dataclasses
import math

from attention.command_line import run


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


def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    run("attn", {"describe": describe}, "What is in this model?", arguments)
