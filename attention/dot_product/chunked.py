"""Attention in chunks of keys with a running softmax, on any backend.

The memory is linear in the length.  The forward pass keeps the log-sum-exp of each query.  The
backward pass recomputes the weights from it, one chunk at a time, and pulls the gradients back
through the logit transform, to its parameters too.

Source of the scheme: FlashAttention-2, Dao 2023, arXiv 2307.08691.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from attention.dot_product.operands import Form, Operands, Values, split_learned
from attention.normalizers import NORMALIZERS

LOWEST = -1e30  # finite, and below every logit: the running maximum before any key is seen
Carry = TypeVar("Carry")


def chunked_attention(form: Form, operands: Operands) -> Float[Array, "B T K G H"]:
    """Compute ``softmax(t(scale · q kᵀ)) v`` in float32 at least."""
    return _attend(form, operands)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _attend(form: Form, operands: Operands) -> Array:
    return _forward(form, operands)[0]


class _Chunks:
    """Slices of padded arrays, and the scores of a chunk of queries and a chunk of keys."""

    def __init__(self, form: Form, operands: Operands):
        self.form, self.visible = form, operands.visible
        self.row = NORMALIZERS.pick(form.normalizer)
        self.length, self.keys = operands.query.shape[1], operands.key.shape[1]
        self.rows, self.columns = min(form.chunk, self.length), min(form.chunk, self.keys)
        self.num_rows = -(-self.length // self.rows)
        self.num_columns = -(-self.keys // self.columns)
        self.dtype = jnp.promote_types(operands.query.dtype, jnp.float32)
        self.dot = functools.partial(
            jnp.einsum, precision=form.precision, preferred_element_type=self.dtype
        )

    def pad_rows(self, x: Float[Array, "B T ..."]) -> Float[Array, "B padded ..."]:
        """Pad to whole chunks of queries."""
        return _pad(x, self.num_rows * self.rows)

    def pad_columns(self, x: Float[Array, "B S ..."]) -> Float[Array, "B padded ..."]:
        """Pad to whole chunks of keys."""
        return _pad(x, self.num_columns * self.columns)

    def where(self, i: Array, j: Array) -> Bool[Array, "#B 1 1 t s"]:
        """Which keys of chunk j the queries of chunk i see."""
        queries = i * self.rows + jnp.arange(self.rows)
        keys = j * self.columns + jnp.arange(self.columns)
        where = ((queries < self.length)[:, None] & (keys < self.keys)[None, :])[None]
        seen = self.visible.where(
            jnp.minimum(queries, self.length - 1), jnp.minimum(keys, self.keys - 1)
        )
        return (where if seen is None else where & seen)[:, None, None]

    def overlap(self, i: Array, j: Array) -> Bool[Array, ""]:
        """Whether any query of chunk i can see any key of chunk j, by their places alone."""
        first_query, first_key = i * self.rows, j * self.columns
        if self.visible.first is not None:
            first_query += self.visible.first
        last_query, last_key = first_query + self.rows - 1, first_key + self.columns - 1
        may, window = jnp.bool_(True), self.visible.window
        if self.visible.causal:
            may &= first_key <= last_query
        if window is not None:
            may &= (first_query - last_key < window) & (first_key - last_query < window)
        return may

    def counts(self, i: Array) -> Float[Array, "#B 1 1 t 1"]:
        """How many keys each query of chunk i sees, at least 1."""

        def add(total: Array, j: Array) -> tuple[Array, None]:
            return total + jnp.sum(self.where(i, j), -1, jnp.int32, keepdims=True), None

        batch = jax.eval_shape(self.where, i, i).shape[0]
        start = jnp.zeros((batch, 1, 1, self.rows, 1), jnp.int32)
        total, _ = jax.lax.scan(add, start, jnp.arange(self.num_columns))
        return jnp.maximum(total, 1).astype(self.dtype)

    def scores(self, query: Array, key: Array, where: Array) -> Float[Array, "B K G t s"]:
        scores = self.dot("BtKGH,BsKH->BKGts", query, key) * self.form.scale
        return jnp.where(where, scores, 0)

    def transform(self, scores: Array, values: Values, count: Array) -> Float[Array, "B K G t s"]:
        assert self.row.logit_transform is not None  # checked by dot_product_attention
        return self.row.logit_transform(scores, values, count)


def _pad(x: Array, length: int) -> Array:
    return jnp.pad(x, [(0, 0), (0, length - x.shape[1]), *((0, 0),) * (x.ndim - 2)])


def _slice(x: Array, i: Array, size: int) -> Array:
    return jax.lax.dynamic_slice_in_dim(x, i * size, size, axis=1)


def _if(condition: Array, visit: Callable[[Carry], Carry], carry: Carry) -> Carry:
    return jax.lax.cond(condition, visit, lambda carry: carry, carry)


def _forward(
    form: Form, operands: Operands
) -> tuple[Float[Array, "B T K G H"], Float[Array, "B T K G"]]:
    """The output, and the log-sum-exp of each query."""
    chunks = _Chunks(form, operands)
    queries, keys = chunks.pad_rows(operands.query), chunks.pad_columns(operands.key)
    value = chunks.pad_columns(operands.value)

    def rows(i: Array) -> tuple[Array, Array]:
        query = _slice(queries, i, chunks.rows)
        count = chunks.counts(i)

        def visit(j: Array, carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
            most, total, out = carry
            where = chunks.where(i, j)
            scores = chunks.scores(query, _slice(keys, j, chunks.columns), where)
            logits = chunks.transform(scores, operands.values, count)
            new = jnp.maximum(most, jnp.max(jnp.where(where, logits, LOWEST), axis=-1))
            bases = jnp.where(where, jnp.exp(jnp.where(where, logits - new[..., None], 0)), 0)
            shrink = jnp.exp(most - new)
            seen = _slice(value, j, chunks.columns)
            added = chunks.dot("BKGts,BsKH->BKGtH", bases.astype(seen.dtype), seen)
            return new, total * shrink + jnp.sum(bases, -1), out * shrink[..., None] + added

        def step(carry: tuple[Array, Array, Array], j: Array):
            return _if(chunks.overlap(i, j), functools.partial(visit, j), carry), None

        batch, _, num_kv, groups, size = query.shape
        shape = (batch, num_kv, groups, chunks.rows)
        sink = chunks.row.sink  # one more key, of logit 0 and value 0
        start = (
            jnp.full(shape, 0 if sink else LOWEST, chunks.dtype),
            jnp.full(shape, 1 if sink else 0, chunks.dtype),
            jnp.zeros((*shape, size), chunks.dtype),
        )
        (most, total, out), _ = jax.lax.scan(step, start, jnp.arange(chunks.num_columns))
        some = total > 0
        out = out / jnp.where(some, total, 1)[..., None]
        # A query that sees no key gets a value so high that its weights are 0 in the backward pass.
        lse = jnp.where(some, most + jnp.log(jnp.where(some, total, 1)), -LOWEST)
        return jnp.moveaxis(out, 3, 1).astype(value.dtype), jnp.moveaxis(lse, 3, 1)

    out, lse = jax.lax.map(rows, jnp.arange(chunks.num_rows))
    return _unchunk(out)[:, : chunks.length], _unchunk(lse)[:, : chunks.length]


def _unchunk(x: Float[Array, "chunk B t ..."]) -> Float[Array, "B T ..."]:
    return jnp.moveaxis(x, 0, 1).reshape(x.shape[1], -1, *x.shape[3:])


class _Kept(NamedTuple):
    """What the forward pass keeps for the backward pass."""

    operands: Operands
    learned: Values
    fixed: Values
    out: Float[Array, "B T K G H"]
    lse: Float[Array, "B T K G"]


def _keep(form: Form, operands: Operands) -> tuple[Array, _Kept]:
    plain, learned, fixed = split_learned(operands)
    out, lse = _forward(form, plain)
    return out, _Kept(plain, learned, fixed, out, lse)


class _Rows(NamedTuple):
    """What the gradients of each query are made of.

    Attributes:
        query: queries.
        d_out: gradients of the output.
        lse: log-sum-exp of the logits.
        common: ``Σ d_out · out``, which normalisation takes off the gradient of every weight.
        keys: how many keys the query sees.
    """

    query: Float[Array, "B T K G H"]
    d_out: Float[Array, "B T K G H"]
    lse: Float[Array, "B T K G"]
    common: Float[Array, "B T K G"]
    keys: Float[Array, "#B T 1 1 1"]


def _backward(form: Form, kept: _Kept, d_out: Array) -> tuple[Operands]:
    query, key, value, *_ = kept.operands
    if isinstance(d_out, jax.custom_derivatives.SymbolicZero):
        d_out = jnp.zeros_like(kept.out)
    chunks = _Chunks(form, kept.operands)
    wide = chunks.dtype
    common = jnp.sum(d_out.astype(wide) * kept.out.astype(wide), axis=-1)
    counts = jnp.moveaxis(jax.lax.map(chunks.counts, jnp.arange(chunks.num_rows)), 4, 2)
    pad = chunks.pad_rows
    rows = _Rows(pad(query), pad(d_out), pad(kept.lse), pad(common), _unchunk(counts))
    keys, value_padded = chunks.pad_columns(key), chunks.pad_columns(value)

    def columns(carry: tuple[Array, Values], j: Array):
        k, v = (_slice(x, j, chunks.columns) for x in (keys, value_padded))

        def visit(i: Array, carry: tuple[Array, Array, Array, Values]):
            d_query, *sums = carry
            here = jax.tree.map(lambda x: _slice(x, i, chunks.rows), rows)
            added, *more = _pull_chunk(chunks, kept, here, k, v, chunks.where(i, j))
            d_query = jax.lax.dynamic_update_slice_in_dim(
                d_query, _slice(d_query, i, chunks.rows) + added, i * chunks.rows, axis=1
            )
            return d_query, *jax.tree.map(jnp.add, sums, more)

        def step(carry: tuple[Array, Array, Array, Values], i: Array):
            return _if(chunks.overlap(i, j), functools.partial(visit, i), carry), None

        d_query, d_values = carry
        zero = jnp.zeros(k.shape, wide)
        start = (d_query, zero, zero, d_values)
        (d_query, d_key, d_value, d_values), _ = jax.lax.scan(
            step, start, jnp.arange(chunks.num_rows)
        )
        return (d_query, d_values), (d_key, d_value)

    start = (jnp.zeros(rows.query.shape, wide), jax.tree.map(jnp.zeros_like, kept.learned))
    (d_query, d_values), (d_key, d_value) = jax.lax.scan(
        columns, start, jnp.arange(chunks.num_columns)
    )
    gradients = kept.operands._replace(
        query=d_query[:, : chunks.length].astype(query.dtype),
        key=_unchunk(d_key)[:, : chunks.keys].astype(key.dtype),
        value=_unchunk(d_value)[:, : chunks.keys].astype(value.dtype),
        values={**dict.fromkeys(kept.fixed), **d_values},
        visible=None,
    )
    return (gradients,)


def _pull_chunk(
    chunks: _Chunks, kept: _Kept, rows: _Rows, key: Array, value: Array, where: Array
) -> tuple[Array, Array, Array, Values]:
    """What a chunk of queries and one of keys add to the gradients of query, key, value, values."""
    lse, common, count = (
        jnp.moveaxis(x, 1, 3) for x in (rows.lse[..., None], rows.common[..., None], rows.keys)
    )
    scores = chunks.scores(rows.query, key, where)
    logits, pull = jax.vjp(
        lambda s, learned: chunks.transform(s, kept.fixed | learned, count), scores, kept.learned
    )
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


_attend.defvjp(_keep, _backward, symbolic_zeros=True)
