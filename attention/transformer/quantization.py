"""Linear layers in 8 bits: whole numbers, and one scale for each column.

    kernel[i, o] ≈ q[i, o] · scale[o]        scale[o] = max over i of |kernel[i, o]| / 127

A projection of a layer whose parameters have a ``scale`` multiplies by ``q`` and then by ``scale``:
the kernel is never held as floats, but for the layer that is running.  Embeddings, norms and heads
stay as they are.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict, unflatten_dict
from jaxtyping import Array, Float, Int8

from attention.transformer.stacking import unstack_layers

INPUT_AXES = {"query": 1, "key": 1, "value": 1, "out": 2, "gate": 1, "up": 1, "down": 1}
"""How many axes of each kernel of a layer are summed over; they come first."""

LARGEST = 127


@functools.partial(jax.jit, static_argnames="inputs")
def quantize(
    kernel: Float[Array, "*in_out"], inputs: int = 1
) -> tuple[Int8[Array, "*in_out"], Float[Array, "*out"]]:
    """Round a kernel to 8 bits, symmetrically, with a scale for each of its outputs.

    Args:
        kernel: ``[*in, *out]``.
        inputs: how many of its axes are summed over.

    Returns:
        ``q`` and ``scale`` with ``|kernel - q · scale| ≤ scale / 2``; a column of zeros has scale
        1.
    """
    wide = kernel.astype(jnp.float32)
    largest = jnp.max(jnp.abs(wide), axis=tuple(range(inputs)), keepdims=True)
    scale = jnp.where(largest > 0, largest / LARGEST, 1.0)
    return jnp.round(wide / scale).astype(jnp.int8), scale.reshape(scale.shape[inputs:])


def quantized_shapes(params: Mapping[str, Any]) -> dict[str, Any]:
    """Shapes and types of stacked parameters whose linear layers are held in 8 bits.

    Args:
        params: as ``abstract_params`` gives them.
    """
    found: dict[str, Any] = dict(flatten_dict(dict(params), sep="/"))
    for path, leaf in tuple(found.items()):
        if (inputs := quantized_inputs(path)) is not None:
            scale = (*leaf.shape[:1], *leaf.shape[1 + inputs :])
            found[path] = jax.ShapeDtypeStruct(leaf.shape, jnp.int8)
            found[scale_path(path)] = jax.ShapeDtypeStruct(scale, jnp.float32)
    return unflatten_dict(found, sep="/")


def quantized_inputs(path: str) -> int | None:
    """How many axes of the kernel at ``layers/mlp/up/kernel``, say, are summed over.

    Returns:
        None for what stays as it is.
    """
    parts = path.split("/")
    if parts[0] != "layers" or parts[-1] != "kernel":
        return None
    return INPUT_AXES.get(parts[-2])


def scale_path(path: str) -> str:
    """Where the scale of a kernel is."""
    return path.removesuffix("kernel") + "scale"


def decoding_form(params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters in the form that decodes fastest: a tree for each layer.

    Those in 8 bits stay stacked.  XLA would move the conversion of kernels out of the loop over new
    tokens, and all of them would be held as floats; of stacked layers the loop over layers keeps
    one at a time.
    """
    return dict(params) if is_quantized(params) else unstack_layers(params)


def is_quantized(params: Mapping[str, Any]) -> bool:
    """Whether the linear layers are held in 8 bits; layers may be stacked or not."""
    return any(leaf.dtype == jnp.int8 for leaf in jax.tree.leaves(params["layers"]))
