"""Low-rank adaptation (LoRA) of every matrix of every layer.

    W' = W + (α / r) · A B        A [in, r] normal with variance 1/in, B [r, out] zero at first

The sum is formed before each pass, so the transformer does not change.  Dropout sets input features
of A to zero: one draw for each matrix and step, shared by all tokens.  A normalizer has only a few
learned parameters: they are trained themselves.  The experts of a mixture stay as they are.

Source: Hu et al. 2021, arXiv 2106.09685.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key, PyTree

from attention.transformer import INPUT_AXES, normalizer_params, with_normalizer_params

Adapters = dict[str, dict[str, Array]]


def init_lora(params: Mapping[str, PyTree], rank: int, key: Key[Array, ""]) -> Adapters:
    """Make what LoRA trains: A and B of each matrix, and the normalizer's learned parameters.

    Args:
        params: of the transformer, stacked.
        rank: r.
        key: of the draws.

    Returns:
        For the path of each matrix, such as ``attention/query``: ``a`` ``[layer, *in, r]`` and
        ``b`` ``[layer, r, *out]`` in float32.  For ``normalizer``, if it learns: a copy of its
        parameters.
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
    params: Mapping[str, PyTree],
    lora: Mapping[str, PyTree],
    scale: float,
    dropout: float = 0.0,
    key: Key[Array, ""] | None = None,
) -> dict[str, PyTree]:
    """Add ``scale · A B`` to each matrix, in the dtype of the matrix.

    Args:
        params: of the transformer, stacked.
        lora: what ``init_lora`` made, trained.
        scale: α / r.
        dropout: share of the input features of each A that are set to zero.
        key: of the dropout.

    Returns:
        The parameters with what was trained in them.
    """
    layers = params["layers"]
    merged = {half: dict(tree) for half, tree in layers.items()}
    for number, (path, kernel) in enumerate(_kernels(layers).items()):
        half, name = path.split("/")
        a, b = lora[path]["a"], lora[path]["b"]
        if dropout:
            assert key is not None  # dropout needs one
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


def lora_axes(axes: Mapping[str, PyTree]) -> dict[str, PyTree]:
    """Find the logical axes of what LoRA trains.

    A has the axes of the matrix's inputs, B those of its outputs; the rank has none.

    Args:
        axes: of the parameters, as ``transformer_axes`` gives them.
    """
    found: dict[str, PyTree] = {}
    for path, of_kernel in _kernels(axes["layers"]).items():
        split = 1 + INPUT_AXES[path.split("/")[-1]]
        layer, inputs, outputs = of_kernel[:1], of_kernel[1:split], of_kernel[split:]
        found[path] = {"a": (*layer, *inputs, None), "b": (*layer, None, *outputs)}
    learned = normalizer_params(axes)
    return {**found, "normalizer": dict(learned)} if learned else found


def _kernels(layers: Mapping[str, PyTree]) -> dict[str, PyTree]:
    """The matrices of stacked layers, or what stands in their place, by ``attention/query``."""
    return {
        f"{half}/{name}": projection["kernel"]
        for half in ("attention", "mlp")
        for name, projection in layers.get(half, {}).items()
        if name in INPUT_AXES
    }
