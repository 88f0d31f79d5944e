"""Attention of short sequences in blocks of queries, each with the keys up to its last place.

The weights are kept for the backward pass.  With ``D_t = do_t · out_t``, its rule

    dlogits_ts = w_ts (do_t · v_s − D_t)

needs no reduction over keys, as in FlashAttention-2 (Dao 2023, arXiv 2307.08691).  The blocks are
static.  A causal matrix of T places therefore costs ``(1 + 1/blocks) / 2`` of all products.  This
is for CPUs; accelerators have kernels.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from attention.dot_product.derivatives import transposed_apart
from attention.dot_product.operands import Form, Operands, Values
from attention.normalizers import NORMALIZERS, masked_softmax

BLOCK = 20  # queries; 16 to 32 differ by 2 %
MOST = 8  # blocks, each of which is compiled

Spans = tuple[tuple[int, int, int], ...]  # first query, one behind the last, keys up to which


def attention_in_blocks(
    form: Form, operands: Operands, reach: tuple[int, ...] | None = None
) -> Float[Array, "B T K G H"]:
    """Compute ``softmax(t(scale · q kᵀ)) v``.

    Args:
        form: what is static.
        operands: the arrays.
        reach: how many of the first keys each query can see at most; None: all, or up to its own
            place if attention is causal.
    """
    query_BTKGH, key_BSKH, value_BSKH, values, visible = operands
    batch, length, num_kv, groups, size = query_BTKGH.shape
    keys = key_BSKH.shape[1]
    where = visible.where(jnp.arange(length), jnp.arange(keys))
    if visible.first is not None:  # a part of a sequence: its places are not known here
        reach = None
    elif reach is None and visible.causal:
        reach = tuple(min(place + 1, keys) for place in range(length))
    spans = ((0, length, keys),) if reach is None else _spans(reach)
    # Heads first, and the queries that share a key as rows of one matrix.
    spans = tuple((first * groups, last * groups, end) for first, last, end in spans)
    rows_BKRH = query_BTKGH.transpose(0, 2, 1, 3, 4).reshape(batch, num_kv, -1, size)
    if where is not None:
        where = jnp.broadcast_to(where, (len(where), length, keys))
        where = jnp.repeat(where, groups, axis=1)
    values = {name: _of_rows(value, length) for name, value in values.items()}
    key_BKSH, value_BKSH = jnp.swapaxes(key_BSKH, 1, 2), jnp.swapaxes(value_BSKH, 1, 2)
    out_BKRH: Any = _attend(form, spans, rows_BKRH, key_BKSH, value_BKSH, values, where)
    out_BKTGH = jnp.reshape(out_BKRH, (batch, num_kv, length, groups, size))
    return out_BKTGH.transpose(0, 2, 1, 3, 4)


def _of_rows(value: Float[Array, "1 K G 1 1"] | Float[Array, ""], length: int) -> Array:
    """One value for each row of a head, ``[1, K, T·G, 1]``; a single number stays one."""
    if value.ndim == 0:
        return value
    value_1KTG = jnp.broadcast_to(
        value[:, :, None, :, 0, 0], (1, value.shape[1], length, value.shape[2])
    )
    return value_1KTG.reshape(1, value.shape[1], -1, 1)


def _spans(reach: tuple[int, ...]) -> Spans:
    count = min(MOST, max(1, round(len(reach) / BLOCK)))
    ends = [round(len(reach) * i / count) for i in range(count + 1)]
    return tuple((a, b, max(reach[a:b])) for a, b in itertools.pairwise(ends))


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _attend(
    form: Form, spans: Spans, query: Array, key: Array, value: Array, values: Values,
    where: Array | None,
) -> Array:  # fmt: skip
    return _forward(form, spans, query, key, value, values, where)[0]


def _forward(
    form: Form,
    spans: Spans,
    query: Float[Array, "B K R H"],
    key: Float[Array, "B K S H"],
    value: Float[Array, "B K S H"],
    values: Values,
    where: Bool[Array, "#B R S"] | None,
):
    row, dot = NORMALIZERS.pick(form.normalizer), _products(form)
    transform = row.logit_transform
    assert transform is not None  # the caller looked
    outs, kept = [], []
    for first, last, end in spans:
        scores = dot("BKRH,BKSH->BKRS", query[:, :, first:last], key[:, :, :end])
        scores *= form.scale
        seen, count = None, jnp.full((1, 1, 1, 1), end, scores.dtype)
        if where is not None:
            seen = where[:, None, first:last, :end]
            scores = jnp.where(seen, scores, 0)
            count = jnp.maximum(jnp.sum(seen, -1, keepdims=True), 1).astype(scores.dtype)
        here = {name: v[:, :, first:last] if v.ndim else v for name, v in values.items()}
        logits, pull = jax.vjp(lambda s, v, c=count: transform(s, v, c), scores, here)
        weights = masked_softmax(logits, seen, row.sink)
        out = dot("BKRS,BKSH->BKRH", weights.astype(value.dtype), value[:, :, :end])
        outs.append(out.astype(value.dtype))
        kept.append((weights, pull))
    out = jnp.concatenate(outs, axis=2)
    return out, (query, key, value, values, kept, out)


def _backward(form: Form, spans: Spans, residuals: Any, d_out: Array):
    query, key, value, values, kept, out = residuals
    dot = _products(form)
    wide = jnp.promote_types(query.dtype, jnp.float32)
    inner = dot("BKRH,BKRH->BKR", d_out, out)[..., None]  # at K = 1 a sum takes ten times as long
    d_key, d_value = (jnp.zeros_like(x, wide) for x in (key, value))
    d_queries, d_values = [], jax.tree.map(jnp.zeros_like, values)
    for (first, last, end), (weights, pull) in zip(spans, kept, strict=True):
        d_here = d_out[:, :, first:last]
        changed = dot("BKSR,BKRH->BKSH", transposed_apart(weights.astype(value.dtype)), d_here)
        d_value = d_value.at[:, :, :end].add(changed)
        d_weights = dot("BKRH,BKSH->BKRS", d_here, value[:, :, :end])
        # Without the barrier XLA runs the product and what follows as one slow loop.
        d_weights = jax.lax.optimization_barrier(d_weights)
        d_scores, d_given = pull(weights * (d_weights - inner[:, :, first:last]))
        d_scores = (d_scores * form.scale).astype(query.dtype)
        d_queries.append(dot("BKRS,BKSH->BKRH", d_scores, key[:, :, :end]).astype(query.dtype))
        changed = dot("BKSR,BKRH->BKSH", transposed_apart(d_scores), query[:, :, first:last])
        d_key = d_key.at[:, :, :end].add(changed)
        for name, change in d_given.items():
            part = (slice(None), slice(None), slice(first, last)) if change.ndim else ()
            d_values[name] = d_values[name].at[part].add(change)
    d_query = jnp.concatenate(d_queries, axis=2)
    return d_query, d_key.astype(key.dtype), d_value.astype(value.dtype), d_values, None


def _products(form: Form) -> Callable[[str, Array, Array], Array]:
    """An einsum that adds up in float32 at least."""

    def dot(equation: str, left: Array, right: Array) -> Array:
        wide = jnp.promote_types(left.dtype, jnp.float32)
        return jnp.einsum(
            equation, left, right, precision=form.precision, preferred_element_type=wide
        )

    return dot


_attend.defvjp(_forward, _backward)
