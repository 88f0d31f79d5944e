"""Fused attention for every normalizer that is a softmax of a logit transform, with gradients.

``kernels`` run on padded arrays: compiled by Triton on CUDA devices and by Mosaic on TPUs, and
interpreted, slowly, anywhere else.  No matrix of weights is stored.  The forward pass keeps the
log-sum-exp of each query.  The backward pass recomputes the weights from it twice: once for the
gradients of queries and parameters, once for those of keys and values.  Every sum has one order, so
two runs agree bitwise.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jaxtyping import Array, Float

from attention.dot_product.flash.backward import (
    backward_keys,
    backward_keys_streamed,
    backward_queries,
)
from attention.dot_product.flash.kernels import forward
from attention.dot_product.flash.launch import Launch, wide_dtype
from attention.dot_product.operands import Form, Operands, Values, split_learned
from attention.errors import InputError
from attention.meshes import platform
from attention.normalizers import NORMALIZERS


def flash_attention(form: Form, operands: Operands) -> Float[Array, "B T K G H"]:
    """Compute ``softmax(t(scale · q kᵀ)) v`` in float32 at least.

    Args:
        form: what is static.
        operands: the arrays; parameters of the normalizer have the size 1 or ``K · G``.

    Raises:
        InputError: float16 on a TPU, whose vector units lack it.
    """
    query_BTKGH, key_BSKH, value_BSKH, values, visible = operands
    _, length, num_kv, groups, _ = query_BTKGH.shape
    if query_BTKGH.dtype == jnp.float16 and platform() == "tpu":
        raise InputError("TPUs have no float16 kernels: take bfloat16, or another implementation")
    heads = {
        name: jnp.broadcast_to(v.reshape(num_kv, groups) if v.size > 1 else v, (num_kv, groups))
        for name, v in ((name, jnp.asarray(v)) for name, v in values.items())
    }
    count = None
    if NORMALIZERS.pick(form.normalizer).uses_count:
        count = visible.counts(length, key_BSKH.shape[1]).astype(wide_dtype(query_BTKGH))
    query_BKGTH = jnp.transpose(query_BTKGH, (0, 2, 3, 1, 4))
    key_BKSH, value_BKSH = key_BSKH.swapaxes(1, 2), value_BSKH.swapaxes(1, 2)
    by_head = Operands(query_BKGTH, key_BKSH, value_BKSH, heads, visible)
    out_BKGTH: Any = _attend(form, by_head, count)
    return jnp.transpose(out_BKGTH, (0, 3, 1, 2, 4))


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _attend(form: Form, operands: Operands, count: Array | None) -> Array:
    return _on_platform(_forward, form, operands, count)[0]


class _Kept(NamedTuple):
    """What the forward pass keeps for the backward pass."""

    operands: Operands
    learned: Values
    fixed: Values
    keys_seen: Array | None
    out: Float[Array, "B K G T H"]
    lse: Float[Array, "B K G T 1"]


def _keep(form: Form, operands: Operands, count: Any) -> tuple[Array, _Kept]:
    plain, learned, fixed = split_learned(operands)
    count = None if count is None else count.value
    out, lse = _on_platform(_forward, form, plain, count)
    return out, _Kept(plain, learned, fixed, count, out, lse)


def _pull(form: Form, kept: _Kept, d_out: Any) -> tuple[Operands, None]:
    if isinstance(d_out, jax.custom_derivatives.SymbolicZero):
        d_out = jnp.zeros_like(kept.out)
    wide = wide_dtype(kept.out)
    # The part that normalisation takes off the gradient of every weight of a row.
    delta = jnp.sum(d_out.astype(wide) * kept.out.astype(wide), axis=-1, keepdims=True)
    more = {"d_out": d_out, "lse": kept.lse, "delta": delta}
    pull = functools.partial(_backward, learned=tuple(kept.learned))
    d_query, d_key, d_value, d_learned = _on_platform(
        pull, form, kept.operands, kept.keys_seen, more
    )
    values: Any = dict.fromkeys(kept.fixed) | d_learned
    no_gradient: Any = None
    return Operands(d_query, d_key, d_value, values, no_gradient), None


_attend.defvjp(_keep, _pull, symbolic_zeros=True)


def _on_platform(function: Callable[..., Any], form: Form, *arguments: Any) -> Any:
    """``function(platform, form, …)``, for the platform that the program is lowered for."""
    cases = {name: functools.partial(function, name, form) for name in ("cuda", "tpu")}
    default = functools.partial(function, "cpu", form)
    return jax.lax.platform_dependent(*arguments, default=default, **cases)


def _forward(
    platform: str, form: Form, operands: Operands, count: Array | None
) -> tuple[Float[Array, "B K G T H"], Float[Array, "B K G T 1"]]:
    """The output, and the log-sum-exp in base 2."""
    query = operands.query
    launch = Launch(platform, "forward", form, operands)
    inputs, blocks = launch.inputs(operands, count)
    shape = (launch.batch, launch.num_kv * launch.groups, launch.rows)
    outputs = tuple(
        (jax.ShapeDtypeStruct((*shape, last), dtype), launch.tile_of_head(last))
        for last, dtype in ((launch.size, query.dtype), (1, launch.plan.dtype))
    )
    kernel = functools.partial(forward, launch.plan)
    out, lse = launch.run(kernel, "attention_forward", inputs, blocks, outputs)
    out, lse = (x.reshape(*query.shape[:3], launch.rows, -1) for x in (out, lse))
    return out[..., : query.shape[3], : query.shape[4]], lse[..., : query.shape[3], :]


def _backward(
    platform: str, form: Form, operands: Operands, count: Array | None, more: dict[str, Array],
    *, learned: tuple[str, ...],
) -> tuple[Array, Array, Array, Values]:  # fmt: skip
    """Gradients of query, key and value, and ``[K, G]`` of each learned parameter."""
    query, key, _, values, _ = operands
    launch = Launch(platform, "queries", form, operands)
    inputs, blocks = launch.inputs(operands, count, more)
    batch, heads, tiles = launch.grid[:3]
    partial = (
        jax.ShapeDtypeStruct((batch, heads, tiles, 1, 1), launch.plan.dtype),
        pl.BlockSpec((None, None, None, 1, 1), lambda b, n, i: (b, n, i, 0, 0)),
    )
    shape = jax.ShapeDtypeStruct((batch, heads, launch.rows, launch.size), query.dtype)
    outputs = ((shape, launch.tile_of_head(launch.size)), dict.fromkeys(learned, partial))
    kernel = functools.partial(backward_queries, launch.plan, learned)
    d_query, parts = launch.run(kernel, "attention_backward_queries", inputs, blocks, outputs)
    d_query = d_query.reshape(*query.shape[:3], launch.rows, -1)
    d_learned = {
        name: jnp.sum(x, axis=(0, 2, 3, 4)).reshape(query.shape[1:3]).astype(values[name].dtype)
        for name, x in parts.items()
    }

    launch = Launch(platform, "keys", form, operands)
    inputs, blocks = launch.inputs(operands, count, more)
    summed = jnp.dtype(launch.plan.dtype) if launch.streams else key.dtype
    shape = jax.ShapeDtypeStruct((*key.shape[:2], launch.columns, launch.size), summed)
    outputs = ((shape, launch.tile_of_keys()),) * 2
    each = backward_keys_streamed if launch.streams else backward_keys
    kernel = functools.partial(each, launch.plan)
    found = launch.run(kernel, "attention_backward_keys", inputs, blocks, outputs)
    d_key, d_value = (x[..., : key.shape[2], : key.shape[3]].astype(key.dtype) for x in found)
    d_query = d_query[..., : query.shape[3], : query.shape[4]]
    return d_query, d_key, d_value, d_learned
