"""Attention of short sequences in blocks of queries, each with the keys up to its last place.

For the normalizers that are a softmax of a logit transform.  Weights are kept for the backward
pass, whose rule needs no reduction over keys: with ``D_t = do_t · out_t``,

    dlogits_ts = w_ts (do_t · v_s − D_t),

as in FlashAttention-2 (Dao 2023, arXiv 2307.08691).  Blocks are static, so that a causal matrix of
T places costs ``(1 + 1/blocks) / 2`` of the products: for a CPU, an accelerator has kernels.
"""

from __future__ import annotations

import functools
import itertools
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from attention.chunked import Form
from attention.formulas import masked_softmax
from attention.masks import Visibility
from attention.normalizers import normalizer

BLOCK = 20  # queries; 16 to 32 differ by 2 %

Spans = tuple[tuple[int, int, int], ...]  # first query, behind the last, and its reach


def attention_in_blocks(
    query_BTKGH: Float[Array, "B T K G H"],
    key_BSKH: Float[Array, "B S K H"],
    value_BSKH: Float[Array, "B S K H"],
    values: dict[str, Array],
    visible: Visibility,
    form: Form,
    reach: tuple[int, ...] | None = None,
) -> Float[Array, "B T K G H"]:
    """``softmax(t(scale · q kᵀ)) v``; ``values`` fit ``[B, K, G, T, S]``.

    ``reach``: how many of the first keys each query can see at most, not falling.
    """
    length, keys = query_BTKGH.shape[1], key_BSKH.shape[1]
    where = visible.where(jnp.arange(length), jnp.arange(keys))
    if reach is None and form.causal:
        reach = tuple(min(place + 1, keys) for place in range(length))
    spans = ((0, length, keys),) if reach is None else _spans(reach)
    heads_first = [jnp.moveaxis(query_BTKGH, 1, 3)]  # products want heads before places
    heads_first += [jnp.moveaxis(x, 1, 2)[:, :, None] for x in (key_BSKH, value_BSKH)]
    out = _attend(form, spans, *heads_first, values, where)
    return jnp.moveaxis(out, 3, 1)


def _spans(reach: tuple[int, ...]) -> Spans:
    count = max(1, round(len(reach) / BLOCK))
    ends = [round(len(reach) * i / count) for i in range(count + 1)]
    return tuple((a, b, reach[b - 1]) for a, b in itertools.pairwise(ends))


def _product(equation: str, form: Form) -> Any:
    return functools.partial(jnp.einsum, equation, precision=form.precision)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _attend(form: Form, spans: Spans, query, key, value, values, where):
    return _forward(form, spans, query, key, value, values, where)[0]


def _forward(
    form: Form,
    spans: Spans,
    query: Float[Array, "B K G T H"],
    key: Float[Array, "B K 1 S H"],
    value: Float[Array, "B K 1 S H"],
    values: dict[str, Array],
    where: Bool[Array, "#B T S"] | None,
):
    transform, sink = normalizer(form.normalizer).logit_transform, normalizer(form.normalizer).sink
    assert transform is not None  # the caller looked
    dtype = jnp.promote_types(query.dtype, jnp.float32)
    outs, kept = [], []
    for first, last, end in spans:
        scores = _product("BKGTH,BKSH->BKGTS", form)(
            query[:, :, :, first:last], key[:, :, 0, :end], preferred_element_type=dtype
        )
        seen, count = None, jnp.full((1, 1, 1, 1, 1), end, dtype)
        if where is not None:
            seen = where[:, None, None, first:last, :end]
            count = jnp.maximum(jnp.sum(seen, -1, keepdims=True), 1).astype(dtype)
        scores *= form.scale
        scores = scores if seen is None else jnp.where(seen, scores, 0)
        logits, pull = jax.vjp(lambda s, v, c=count: transform(s, v, c), scores, values)
        weights = masked_softmax(logits, seen, sink)
        outs.append(
            _product("BKGTS,BKSH->BKGTH", form)(weights.astype(value.dtype), value[:, :, 0, :end])
        )
        kept.append((weights, pull))
    out = jnp.concatenate(outs, axis=3)
    return out, (query, key, value, kept, out)


def _backward(form: Form, spans: Spans, residuals: Any, d_out: Array):
    query, key, value, kept, out = residuals
    dtype = jnp.promote_types(query.dtype, jnp.float32)
    inner = jnp.sum((d_out * out).astype(dtype), axis=-1, keepdims=True)
    d_key, d_value = jnp.zeros_like(key[:, :, 0], dtype), jnp.zeros_like(value[:, :, 0], dtype)
    d_queries, d_values = [], None
    for (first, last, end), (weights, pull) in zip(spans, kept, strict=True):
        of_block = d_out[:, :, :, first:last]
        here = _product("BKGTS,BKGTH->BKSH", form)(weights.astype(value.dtype), of_block)
        d_value = d_value.at[:, :, :end].add(here)
        d_weights = _product("BKGTH,BKSH->BKGTS", form)(
            of_block, value[:, :, 0, :end], preferred_element_type=dtype
        )
        # Apart, or XLA runs the product and what follows as one slow loop.
        d_weights = jax.lax.optimization_barrier(d_weights)
        d_scores, changed = pull(weights * (d_weights - inner[:, :, :, first:last]))
        d_scores = (d_scores * form.scale).astype(query.dtype)
        d_queries.append(_product("BKGTS,BKSH->BKGTH", form)(d_scores, key[:, :, 0, :end]))
        here = _product("BKGTS,BKGTH->BKSH", form)(d_scores, query[:, :, :, first:last])
        d_key = d_key.at[:, :, :end].add(here)
        d_values = changed if d_values is None else jax.tree.map(jnp.add, d_values, changed)
    return (
        jnp.concatenate(d_queries, axis=3),
        d_key[:, :, None].astype(key.dtype),
        d_value[:, :, None].astype(value.dtype),
        d_values,
        None,
    )


_attend.defvjp(_forward, _backward)
