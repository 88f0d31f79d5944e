"""Low-rank adaptation (LoRA) of every matrix of every layer.

    W' = W + (α / r) · A B        A [in, r] normal with variance 1/in, B [r, out] zero at first

The sum is formed before each pass, so that the transformer itself stays as it is.  Dropout sets
input features of A to zero: one draw for each matrix and step, shared by all tokens.  The learned
parameters of a normalizer are a handful of numbers: they are trained as they are.

Source: Hu et al. 2021, arXiv 2106.09685.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from attention.transformer import INPUT_AXES, normalizer_params, with_normalizer_params

Adapters = dict[str, dict[str, Array]]


def init_lora(params: Mapping[str, Any], rank: int, key: Key[Array, ""]) -> Adapters:
    """What LoRA trains: A and B of each matrix, and the normalizer's learned parameters.

    Args:
        params: of the transformer, stacked.
        rank: r.
        key: of the draws.

    Returns:
        By the matrix's path, such as ``attention/query``: ``a`` ``[layer, *in, r]`` and ``b``
        ``[layer, r, *out]``, float32.  By ``normalizer``, if it learns: a copy of its parameters.
    """
    found: Adapters = {}
    for number, (path, kernel) in enumerate(_kernels(params["layers"]).items()):
        split = 1 + INPUT_AXES[path.split("/")[-1]]
        depth, inputs, outputs = kernel.shape[0], kernel.shape[1:split], kernel.shape[split:]
        scale = 1 / math.sqrt(math.prod(inputs))
        drawn = jax.random.normal(jax.random.fold_in(key, number), (depth, *inputs, rank))
        found[path] = {"a": scale * drawn, "b": jnp.zeros((depth, rank, *outputs), jnp.float32)}
    learned = normalizer_params(params)
    return {**found, "normalizer": dict(learned)} if learned else found


def merge_lora(
    params: Mapping[str, Any],
    lora: Mapping[str, Any],
    scale: float,
    dropout: float = 0.0,
    key: Key[Array, ""] | None = None,
) -> dict[str, Any]:
    """The parameters with ``scale · A B`` added to each matrix, in the matrix's own dtype.

    Args:
        params: of the transformer, stacked.
        lora: as ``init_lora`` made it, trained.
        scale: α / r.
        dropout: share of input features of each A that are set to zero.
        key: of the dropout, which needs it.
    """
    layers = params["layers"]
    merged = {half: dict(tree) for half, tree in layers.items()}
    for number, (path, kernel) in enumerate(_kernels(layers).items()):
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
    whole = {**params, "layers": merged}
    return with_normalizer_params(whole, lora["normalizer"]) if "normalizer" in lora else whole


def lora_axes(axes: Mapping[str, Any]) -> dict[str, Any]:
    """Logical axes of what LoRA trains.

    A and B have those of the matrix on their own side, and none for the rank.

    Args:
        axes: of the parameters, as ``transformer_axes`` gives them.
    """
    found: dict[str, Any] = {}
    for path, of_kernel in _kernels(axes["layers"]).items():
        split = 1 + INPUT_AXES[path.split("/")[-1]]
        layer, inputs, outputs = of_kernel[:1], of_kernel[1:split], of_kernel[split:]
        found[path] = {"a": (*layer, *inputs, None), "b": (*layer, None, *outputs)}
    learned = normalizer_params(axes)
    return {**found, "normalizer": dict(learned)} if learned else found


def _kernels(layers: Mapping[str, Any]) -> dict[str, Any]:
    """The matrices of stacked layers (or what stands in their place), by ``attention/query``."""
    return {
        f"{half}/{name}": projection["kernel"]
        for half in ("attention", "mlp")
        for name, projection in layers.get(half, {}).items()
        if name in INPUT_AXES
    }
