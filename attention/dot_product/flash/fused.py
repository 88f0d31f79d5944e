"""Fused attention for every normalizer that is a softmax of a logit transform, with gradients.

The kernels of ``kernels`` on padded arrays: Pallas through Triton on CUDA devices,
through Mosaic on TPUs, and interpreted, slowly, anywhere else.  No matrix of weights is stored: the
forward pass keeps each query's log-sum-exp, and the backward pass recomputes weights from it,
once for the queries' gradients and the parameters', once for the keys' and values'.  All sums have
one order, so that two runs agree bitwise.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jaxtyping import Array, Float

from attention.dot_product.chunked import Form, Stored, perturbed
from attention.dot_product.flash.kernels import backward_keys, backward_queries, forward
from attention.dot_product.flash.launch import Launch, Values, wide_dtype
from attention.dot_product.masks import Visibility
from attention.normalizers import NORMALIZERS


def flash_attention(
    query_BTKGH: Float[Array, "B T K G H"],
    key_BSKH: Float[Array, "B S K H"],
    value_BSKH: Float[Array, "B S K H"],
    values: dict[str, Array],
    visible: Visibility,
    form: Form,
) -> Float[Array, "B T K G H"]:
    """``softmax(t(scale · q kᵀ)) v`` in float32 at least.

    ``values`` are of shape ``[]`` or, one for each head, of the size of K · G.
    """
    _, length, num_kv, groups, _ = query_BTKGH.shape
    heads = {
        name: jnp.broadcast_to(v.reshape(num_kv, groups) if v.size > 1 else v, (num_kv, groups))
        for name, v in ((name, jnp.asarray(v)) for name, v in values.items())
    }
    arrays = (
        jnp.transpose(query_BTKGH, (0, 2, 3, 1, 4)),
        key_BSKH.swapaxes(1, 2),
        value_BSKH.swapaxes(1, 2),
    )
    stored = (visible.mask, visible.query_segments, visible.key_segments)
    count = None
    if NORMALIZERS.pick(form.normalizer).uses_count:
        count = visible.counts(length, key_BSKH.shape[1]).astype(wide_dtype(query_BTKGH))
    out_BKGTH = _attend(form, *arrays, heads, stored, count)
    return jnp.transpose(jnp.asarray(out_BKGTH), (0, 3, 1, 2, 4))


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _attend(
    form: Form,
    query: Array,
    key: Array,
    value: Array,
    values: Values,
    stored: Stored,
    count: Array | None,
) -> Array:
    return _on_platform(_forward, form, query, key, value, values, stored, count)[0]


def _attend_fwd(form: Form, *arguments: Any):
    learned, fixed, (query, key, value, values, stored, count) = perturbed(*arguments)
    out, lse = _on_platform(_forward, form, query, key, value, values, stored, count)
    return out, (query, key, value, learned, fixed, stored, count, out, lse)


def _attend_bwd(form: Form, kept: Any, d_out: Any):
    query, key, value, learned, fixed, stored, count, out, lse = kept
    if isinstance(d_out, jax.custom_derivatives.SymbolicZero):
        d_out = jnp.zeros_like(out)
    wide = wide_dtype(query)
    # The part of each weight's gradient that normalisation takes off all of its row.
    delta = jnp.sum(d_out.astype(wide) * out.astype(wide), axis=-1, keepdims=True)
    d_query, d_key, d_value, d_learned = _on_platform(
        functools.partial(_backward, learned=tuple(learned)),
        form, query, key, value, learned | fixed, stored, count, d_out, lse, delta,
    )  # fmt: skip
    d_values = {name: d_learned.get(name) for name in learned | fixed}
    return d_query, d_key, d_value, d_values, (None, None, None), None


_attend.defvjp(_attend_fwd, _attend_bwd, symbolic_zeros=True)


def _on_platform(function: Callable[..., Any], form: Form, *arguments: Any) -> Any:
    """``function(platform, form, …)``, chosen when the program is lowered."""
    cases = {name: functools.partial(function, name, form) for name in ("cuda", "tpu")}
    default = functools.partial(function, "cpu", form)
    return jax.lax.platform_dependent(*arguments, default=default, **cases)


def _forward(platform: str, form: Form, query: Array, key: Array, *rest: Any) -> Any:
    """Output ``[B, K, G, T, H]`` and log-sum-exp ``[B, K, G, T, 1]``, base 2."""
    launch = Launch(platform, "forward", form, query, key.shape[2])
    inputs, blocks = launch.inputs(query, key, *rest)
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
    platform: str,
    form: Form,
    query: Array,
    key: Array,
    value: Array,
    values: Values,
    stored: Stored,
    count: Array | None,
    d_out: Array,
    lse: Array,
    delta: Array,
    *,
    learned: tuple[str, ...],
) -> Any:
    """Gradients of query, key, value, and ``[K, G]`` of each learned parameter."""
    more = {"d_out": d_out, "lse": lse, "delta": delta}
    launch = Launch(platform, "queries", form, query, key.shape[2])
    inputs, blocks = launch.inputs(query, key, value, values, stored, count, **more)
    batch, heads, tiles = launch.grid
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

    launch = Launch(platform, "keys", form, query, key.shape[2])
    inputs, blocks = launch.inputs(query, key, value, values, stored, count, **more)
    shape = jax.ShapeDtypeStruct((*key.shape[:2], launch.columns, launch.size), key.dtype)
    outputs = ((shape, launch.tile_of_keys()),) * 2
    kernel = functools.partial(backward_keys, launch.plan)
    found = launch.run(kernel, "attention_backward_keys", inputs, blocks, outputs)
    d_key, d_value = (x[..., : key.shape[2], : key.shape[3]] for x in found)
    return d_query[..., : query.shape[3], : query.shape[4]], d_key, d_value, d_learned
