"""Low-rank adaptation of every matrix of every layer.

    W' = W + (α / r) · A B        A [in, r] normal with variance 1/in, B [r, out] zero at first

The sum is formed before each pass, so that the transformer itself is left as it is.  Dropout sets
input features of A to zero, one draw a matrix and step shared by all tokens.  Source: LoRA,
arXiv 2106.09685.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

PyTree = Any
INPUT_AXES = {"query": 1, "key": 1, "value": 1, "out": 2, "gate": 1, "up": 1, "down": 1}
"""Axes of each kernel, behind that of the layer, that are summed over."""


def init_lora(layers: Mapping[str, Any], rank: int, key: jax.Array) -> dict[str, Any]:
    """A and B of each matrix of stacked layers, by its path, in float32."""
    found = {}
    for number, (path, kernel) in enumerate(kernels(layers).items()):
        split = 1 + INPUT_AXES[path.split("/")[-1]]
        depth, inputs, outputs = kernel.shape[0], kernel.shape[1:split], kernel.shape[split:]
        scale = 1 / math.sqrt(math.prod(inputs))
        drawn = jax.random.normal(jax.random.fold_in(key, number), (depth, *inputs, rank))
        found[path] = {"a": scale * drawn, "b": jnp.zeros((depth, rank, *outputs), jnp.float32)}
    return found


def kernels(layers: Mapping[str, Any]) -> dict[str, jax.Array]:
    """The matrices of stacked layers, such as ``attention/query``."""
    return {
        f"{half}/{name}": projection["kernel"]
        for half in ("attention", "mlp")
        for name, projection in layers.get(half, {}).items()
        if name in INPUT_AXES
    }


def merge(
    layers: Mapping[str, Any],
    lora: Mapping[str, Any],
    scale: float,
    dropout: float = 0.0,
    key: jax.Array | None = None,
) -> dict[str, Any]:
    """The layers with ``scale · A B`` added to each matrix, in the matrix's own dtype."""
    merged = {half: dict(tree) for half, tree in layers.items()}
    for number, (path, kernel) in enumerate(kernels(layers).items()):
        half, name = path.split("/")
        a, b = lora[path]["a"], lora[path]["b"]
        if dropout:
            assert key is not None  # dropout comes with its key
            draw = jax.random.fold_in(key, number)
            kept = jax.random.bernoulli(draw, 1 - dropout, a.shape[:-1])
            a = jnp.where(kept[..., None], a / (1 - dropout), 0)
        low_rank = a.reshape(a.shape[0], -1, a.shape[-1])
        update = jnp.einsum(
            "LIR,LRO->LIO", low_rank, b.reshape(*b.shape[:2], -1), precision="highest"
        )
        changed = kernel.astype(jnp.float32) + scale * update.reshape(kernel.shape)
        merged[half][name] = {**layers[half][name], "kernel": changed.astype(kernel.dtype)}
    return merged


def lora_axes(lora: Mapping[str, Any], layer_axes: Mapping[str, Any]) -> dict[str, Any]:
    """Logical axes of A and B: those of the matrix on its own side, none for the rank."""
    found = {}
    for path, axes in kernels(layer_axes).items():
        split = 1 + INPUT_AXES[path.split("/")[-1]]
        layer, inputs, outputs = axes[:1], axes[1:split], axes[split:]
        found[path] = {"a": (*layer, *inputs, None), "b": (*layer, None, *outputs)}
    assert found.keys() == lora.keys()
    return found
