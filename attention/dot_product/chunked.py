"""Attention in chunks of keys, with a running softmax: memory linear in the length, any backend.

For the normalizers that are a softmax of a logit transform.  The forward pass keeps each query's
log-sum-exp; the backward pass recomputes weights from it chunk by chunk, and pulls gradients back
through the transform, to its parameters too.  Source of the scheme: FlashAttention-2, Dao 2023,
arXiv 2307.08691.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from attention.dot_product.masks import Visibility
from attention.normalizers import NORMALIZERS

_LOWEST = -1e30  # below every logit, and finite: the running maximum of a row that saw no key yet


class Form(NamedTuple):
    """What is static: the normalizer, the scale, the precision of products and the chunk."""

    normalizer: str
    causal: bool
    window: int | None
    scale: float
    precision: str | None
    chunk: int


Stored = tuple[Array | None, Array | None, Array | None]  # mask, segments of queries and of keys


def chunked_attention(
    query_BTKGH: Float[Array, "B T K G H"],
    key_BSKH: Float[Array, "B S K H"],
    value_BSKH: Float[Array, "B S K H"],
    values: dict[str, Array],
    visible: Visibility,
    form: Form,
) -> Float[Array, "B T K G H"]:
    """``softmax(t(scale · q kᵀ)) v`` in float32 at least; ``values`` fit ``[B, K, G, T, S]``."""
    stored = (visible.mask, visible.query_segments, visible.key_segments)
    return _attend(form, query_BTKGH, key_BSKH, value_BSKH, values, stored)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _attend(form: Form, query: Array, key: Array, value: Array, values: Any, stored: Stored):
    return _forward(form, query, key, value, values, stored)[0]


class _Chunks:
    """Slices of padded arrays, and the scores of a chunk of queries and one of keys."""

    def __init__(self, form: Form, query: Array, key: Array, values: Any, stored: Stored):
        self.form, self.values = form, values
        self.row = NORMALIZERS.pick(form.normalizer)
        self.length, self.keys = query.shape[1], key.shape[1]
        self.visible = Visibility(*stored, causal=form.causal, window=form.window)
        self.rows, self.columns = min(form.chunk, self.length), min(form.chunk, self.keys)
        self.num_rows = -(-self.length // self.rows)
        self.num_columns = -(-self.keys // self.columns)
        self.dtype = jnp.promote_types(query.dtype, jnp.float32)
        self.dot = functools.partial(
            jnp.einsum, precision=form.precision, preferred_element_type=self.dtype
        )

    def pad_rows(self, x: Array) -> Array:
        """``[B, T, …]`` padded to whole chunks."""
        return _pad(x, self.num_rows * self.rows)

    def pad_columns(self, x: Array) -> Array:
        return _pad(x, self.num_columns * self.columns)

    def where(self, i: Array, j: Array) -> Array:
        """``[B, 1, 1, t, s]``: keys of chunk j that queries of chunk i see."""
        queries = i * self.rows + jnp.arange(self.rows)
        keys = j * self.columns + jnp.arange(self.columns)
        where = ((queries < self.length)[:, None] & (keys < self.keys)[None, :])[None]
        seen = self.visible.where(
            jnp.minimum(queries, self.length - 1), jnp.minimum(keys, self.keys - 1)
        )
        return (where if seen is None else where & seen)[:, None, None]

    def overlap(self, i: Array, j: Array) -> Array:
        """Whether any query of chunk i can see any key of chunk j, by place alone."""
        first_query, first_key = i * self.rows, j * self.columns
        last_query, last_key = first_query + self.rows - 1, first_key + self.columns - 1
        may = jnp.bool_(True)
        if self.form.causal:
            may &= first_key <= last_query
        if self.form.window is not None:
            may &= (first_query - last_key < self.form.window) & (
                first_key - last_query < self.form.window
            )
        return may

    def counts(self, i: Array) -> Array:
        """``[B, 1, 1, t, 1]``: keys that each query of chunk i sees, at least 1."""

        def add(total: Array, j: Array) -> tuple[Array, None]:
            return total + jnp.sum(self.where(i, j), -1, jnp.int32, keepdims=True), None

        batch = jax.eval_shape(self.where, i, i).shape[0]
        start = jnp.zeros((batch, 1, 1, self.rows, 1), jnp.int32)
        total, _ = jax.lax.scan(add, start, jnp.arange(self.num_columns))
        return jnp.maximum(total, 1).astype(self.dtype)

    def scores(self, query: Array, key: Array, where: Array) -> Array:
        scores = self.dot("BtKGH,BsKH->BKGts", query, key) * self.form.scale
        return jnp.where(where, scores, 0)

    def transform(self, scores: Array, values: Any, count: Array) -> Array:
        assert self.row.logit_transform is not None  # checked by dot_product_attention
        return self.row.logit_transform(scores, values, count)


def _pad(x: Array, length: int) -> Array:
    return jnp.pad(x, [(0, 0), (0, length - x.shape[1]), *((0, 0),) * (x.ndim - 2)])


def _slice(x: Array, i: Array, size: int) -> Array:
    return jax.lax.dynamic_slice_in_dim(x, i * size, size, axis=1)


def _if(condition: Array, visit: Callable[[Any], Any], carry: Any) -> Any:
    return jax.lax.cond(condition, visit, lambda carry: carry, carry)


def _forward(form: Form, query: Array, key: Array, value: Array, values: Any, stored: Stored):
    """Output ``[B, T, K, G, H]`` and log-sum-exp ``[B, T, K, G]``."""
    chunks = _Chunks(form, query, key, values, stored)
    queries, keys = chunks.pad_rows(query), chunks.pad_columns(key)
    value = chunks.pad_columns(value)

    def rows(i: Array) -> tuple[Array, Array]:
        query = _slice(queries, i, chunks.rows)
        count = chunks.counts(i)

        def visit(j: Array, carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
            most, total, out = carry
            where = chunks.where(i, j)
            scores = chunks.scores(query, _slice(keys, j, chunks.columns), where)
            logits = chunks.transform(scores, values, count)
            new = jnp.maximum(most, jnp.max(jnp.where(where, logits, _LOWEST), axis=-1))
            bases = jnp.where(where, jnp.exp(jnp.where(where, logits - new[..., None], 0)), 0)
            shrink = jnp.exp(most - new)
            seen = _slice(value, j, chunks.columns)
            added = chunks.dot("BKGts,BsKH->BKGtH", bases.astype(seen.dtype), seen)
            return new, total * shrink + jnp.sum(bases, -1), out * shrink[..., None] + added

        def step(carry: Any, j: Array) -> tuple[Any, None]:
            return _if(chunks.overlap(i, j), functools.partial(visit, j), carry), None

        batch, _, num_kv, groups, size = query.shape
        shape = (batch, num_kv, groups, chunks.rows)
        sink = chunks.row.sink  # one more key of logit 0 and value 0
        start = (
            jnp.full(shape, 0 if sink else _LOWEST, chunks.dtype),
            jnp.full(shape, 1 if sink else 0, chunks.dtype),
            jnp.zeros((*shape, size), chunks.dtype),
        )
        (most, total, out), _ = jax.lax.scan(step, start, jnp.arange(chunks.num_columns))
        some = total > 0
        out = out / jnp.where(some, total, 1)[..., None]
        # Of a row without keys: so high that its weights are 0 in the backward pass.
        lse = jnp.where(some, most + jnp.log(jnp.where(some, total, 1)), -_LOWEST)
        return jnp.moveaxis(out, 3, 1).astype(value.dtype), jnp.moveaxis(lse, 3, 1)

    out, lse = jax.lax.map(rows, jnp.arange(chunks.num_rows))
    return tuple(_unchunk(x)[:, : chunks.length] for x in (out, lse))


def _unchunk(x: Array) -> Array:
    """``[chunk, B, t, …]`` → ``[B, T, …]``."""
    return jnp.moveaxis(x, 0, 1).reshape(x.shape[1], -1, *x.shape[3:])


def _attend_fwd(form: Form, *arguments: Any):
    learned, fixed, (query, key, value, values, stored) = perturbed(*arguments)
    out, lse = _forward(form, query, key, value, values, stored)
    return out, (query, key, value, learned, fixed, stored, out, lse)


def perturbed(*arguments: Any) -> tuple[Any, Any, Any]:
    """Parameters (the fourth argument) to be differentiated by, those not, and all that is given.

    Of what `custom_vjp(…, symbolic_zeros=True)` gives its forward rule.
    """
    plain = jax.tree.map(lambda x: x.value, arguments, is_leaf=lambda x: hasattr(x, "perturbed"))
    learned = {name: x.value for name, x in arguments[3].items() if x.perturbed}
    fixed = {name: x.value for name, x in arguments[3].items() if not x.perturbed}
    return learned, fixed, plain


def _attend_bwd(form: Form, kept: Any, d_out: Any):
    query, key, value, values, fixed, stored, out, lse = kept
    if isinstance(d_out, jax.custom_derivatives.SymbolicZero):
        d_out = jnp.zeros_like(out)
    chunks = _Chunks(form, query, key, values | fixed, stored)
    wide = chunks.dtype
    # The part of each weight's gradient that normalisation takes off all of its row.
    common = jnp.sum(d_out.astype(wide) * out.astype(wide), axis=-1)
    counts = jnp.moveaxis(jax.lax.map(chunks.counts, jnp.arange(chunks.num_rows)), 4, 2)
    pad = chunks.pad_rows
    rows = _Rows(pad(query), pad(d_out), pad(lse), pad(common), _unchunk(counts))
    keys, value_padded = chunks.pad_columns(key), chunks.pad_columns(value)

    def columns(carry: Any, j: Array) -> tuple[Any, Any]:
        k, v = (_slice(x, j, chunks.columns) for x in (keys, value_padded))

        def visit(i: Array, carry: Any) -> Any:
            d_query, *sums = carry
            here = jax.tree.map(lambda x: _slice(x, i, chunks.rows), rows)
            added, *more = _pull_chunk(chunks, here, k, v, chunks.where(i, j), values, fixed)
            d_query = jax.lax.dynamic_update_slice_in_dim(
                d_query, _slice(d_query, i, chunks.rows) + added, i * chunks.rows, axis=1
            )
            return d_query, *jax.tree.map(jnp.add, sums, more)

        def step(carry: Any, i: Array) -> tuple[Any, None]:
            return _if(chunks.overlap(i, j), functools.partial(visit, i), carry), None

        d_query, d_values = carry
        zero = jnp.zeros(k.shape, wide)
        start = (d_query, zero, zero, d_values)
        (d_query, d_key, d_value, d_values), _ = jax.lax.scan(
            step, start, jnp.arange(chunks.num_rows)
        )
        return (d_query, d_values), (d_key, d_value)

    start = (jnp.zeros(rows.query.shape, wide), jax.tree.map(jnp.zeros_like, values))
    (d_query, d_values), (d_key, d_value) = jax.lax.scan(
        columns, start, jnp.arange(chunks.num_columns)
    )
    return (
        d_query[:, : chunks.length].astype(query.dtype),
        _unchunk(d_key)[:, : chunks.keys].astype(key.dtype),
        _unchunk(d_value)[:, : chunks.keys].astype(value.dtype),
        {**dict.fromkeys(fixed), **d_values},
        (None, None, None),
    )


class _Rows(NamedTuple):
    """What the gradients of each query are made of; ``common`` is ``Σ d_out · out``."""

    query: Array
    d_out: Array
    lse: Array
    common: Array
    keys: Array  # how many it sees


def _pull_chunk(
    chunks: _Chunks, rows: _Rows, key: Array, value: Array, where: Array, values: Any, fixed: Any
) -> tuple[Array, Array, Array, Any]:
    """What a chunk of queries and one of keys add to the four gradients."""
    lse, common, count = (
        jnp.moveaxis(x, 1, 3) for x in (rows.lse[..., None], rows.common[..., None], rows.keys)
    )
    scores = chunks.scores(rows.query, key, where)
    logits, pull = jax.vjp(lambda s, v: chunks.transform(s, fixed | v, count), scores, values)
    weights = jnp.where(where, jnp.exp(jnp.where(where, logits - lse, 0)), 0)
    d_weights = chunks.dot("BtKGH,BsKH->BKGts", rows.d_out, value)
    d_scores, d_values = pull(weights * (d_weights - common))
    d_scores = (jnp.where(where, d_scores, 0) * chunks.form.scale).astype(rows.query.dtype)
    return (
        chunks.dot("BKGts,BsKH->BtKGH", d_scores, key),
        chunks.dot("BKGts,BtKGH->BsKH", d_scores, rows.query),
        chunks.dot("BKGts,BtKGH->BsKH", weights.astype(rows.d_out.dtype), rows.d_out),
        d_values,
    )


_attend.defvjp(_attend_fwd, _attend_bwd, symbolic_zeros=True)
