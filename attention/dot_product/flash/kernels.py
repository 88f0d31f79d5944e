"""The kernels of fused attention that ``fused`` launches: one source for all platforms.

Everything is in base 2.  With ``u = log2(e) · t(s)`` a weight is ``2^(u − lse2)``: one ``exp2`` for
each score.  SSA's transform is ``n · sgn(s) · log2(1 + b|s|)`` and needs no change of base.  A
kernel reads its arrays from a dict of references.  Each is a block that the caller laid out:

    query, d_out     [t, H] or, for a tile of keys, [G·T, H]
    key, value       [S, H] or [s, H]
    count, lse, delta, query_segments   one column for the rows; key_segments, one row
    mask             [t, S] or [T, s]; one row if all queries have the same
    params           [1, 1] of each, or [G, 1, 1]
    first            [1, 1], the place of the first query

Source of the scheme: FlashAttention-2, Dao 2023, arXiv 2307.08691.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import pallas as pl
from jaxtyping import Array

from attention.dot_product.flash.base2_logits import base2_logits
from attention.dot_product.operands import Values
from attention.normalizers import LOG2E, Normalizer

Carry = TypeVar("Carry")
LOWEST = -1e30  # finite, and below every logit
Refs = Mapping[str, Any]  # pallas has no public type for a reference
Span = tuple[int | Array, int | Array, bool]  # tiles from and to; whether some are hidden by place


class Plan(NamedTuple):
    """What is static in a kernel.

    Attributes:
        row: the normalizer.
        platform: ``cuda``, ``tpu`` or ``cpu``.
        causal: whether keys at later places are hidden.
        window: keys at this many places away, or more, are hidden.
        scale: factor of the scores.
        precision: of the products.
        dtype: of everything but the arrays and the operands of products.
        length: number of queries, without padding.
        keys: number of keys, without padding.
        padded_length: number of queries, with padding.
        groups: query heads for each key head.
        query_tile: queries in a tile.
        key_tile: keys in a tile.
    """

    row: Normalizer
    platform: str
    causal: bool
    window: int | None
    scale: float
    precision: str | None
    dtype: str
    length: int
    keys: int
    padded_length: int
    groups: int
    query_tile: int
    key_tile: int

    def dot(self, a: Array, b: Array, *, trans_a: bool = False, trans_b: bool = False) -> Array:
        """The product ``a b``, either of them transposed, accumulated in ``dtype``."""
        return jax.lax.dot_general(
            a,
            b,
            (((0 if trans_a else 1,), (1 if trans_b else 0,)), ((), ())),
            precision=None if self.precision in (None, "default") else self.precision,
            preferred_element_type=jnp.dtype(self.dtype),
        )

    def logits(self, scores: Array, values: Values, count: Array) -> Array:
        """``log2(e) · t(scores)``."""
        return base2_logits(self.row, self.platform, scores, values, count)

    def key_spans(self, i: Array, before: Array | None) -> list[Span]:
        """The tiles of keys that tile ``i`` of the queries may see.

        Args:
            i: the tile.
            before: the place of the first query; None: 0.
        """
        first, size = _plus(i * self.query_tile, before), self.key_tile
        start, whole, end = 0, self.keys // size, -(-self.keys // size)
        if self.causal:
            whole = jnp.minimum(whole, _div(first + 1, size))
            end = jnp.minimum(end, _up(first + self.query_tile, size))
        if self.window is None:
            return [(0, whole, False), (whole, end, True)]
        start = _div(jnp.maximum(first - self.window + 1, 0), size)
        return [(start, jnp.minimum(end, _up(first + self.query_tile + self.window, size)), True)]

    def query_spans(self, j: Array, before: Array | None) -> list[Span]:
        """The tiles of queries that may see tile ``j`` of the keys; see ``key_spans``.

        Padded keys may count as seen here, because their gradients are cut off.
        """
        first, size = j * self.key_tile, self.query_tile
        if before is not None:  # places count from the first query; keys may lie before it
            first = first - before
        last = first + self.key_tile - 1
        start, whole, end = 0, 0, self.padded_length // size
        if self.causal:
            start, whole = _div(first, size), jnp.minimum(_up(last, size), end)  # 0 below 0
        if self.window is None:
            return [(start, whole, True), (whole, end, False)]
        start = jnp.maximum(start, _div(jnp.maximum(first - self.window + 1, 0), size))
        return [(start, jnp.minimum(end, _up(last + self.window, size)), True)]

    def where(self, arrays: Refs, i: Array, j: Array, by_place: bool) -> Array | None:
        """What the queries of tile i see of the keys of tile j, ``[t, s]``; None: everything."""
        shape = (self.query_tile, self.key_tile)
        parts = []
        if by_place:
            first = _plus(i * self.query_tile, arrays.get("first"))
            rows = first + jax.lax.broadcasted_iota(jnp.int32, shape, 0)
            columns = j * self.key_tile + jax.lax.broadcasted_iota(jnp.int32, shape, 1)
            if self.keys % self.key_tile:
                parts.append(columns < self.keys)
            if self.causal:
                parts.append(rows >= columns)
            if self.window is not None:
                parts += [rows - columns < self.window, columns - rows < self.window]
        if "query_segments" in arrays:
            parts.append(arrays["query_segments"] == arrays["key_segments"])
        if "mask" in arrays:
            parts.append(jnp.broadcast_to(arrays["mask"].astype(jnp.int32), shape) != 0)
        return functools.reduce(jnp.logical_and, parts) if parts else None

    def weights(
        self, arrays: Refs, values: Values, where: Array | None
    ) -> tuple[Array, Callable[[Array], tuple[Array, Values]]]:
        """Weights ``[t, s]`` of a tile, from ``lse``, and the pullback of the logits' gradients.

        Args:
            arrays: the tile.
            values: the learned parameters, the others are read from ``arrays``.
            where: what the queries see.

        Returns:
            The weights, and a function from the gradients of the logits to those of the products
            ``q·k`` and of each element's own copy of ``values``.
        """
        fixed = {name: value for name, value in arrays["params"].items() if name not in values}
        products = self.dot(arrays["query"], arrays["key"], trans_b=True)
        copies = {name: jnp.broadcast_to(v, products.shape) for name, v in values.items()}
        logits, pull = jax.vjp(
            lambda s, v: self.logits(s * self.scale, {**fixed, **v}, arrays["count"]),
            products,
            copies,
        )
        weights = jnp.exp2(logits - arrays["lse"])
        if where is not None:
            weights = jnp.where(where, weights, 0)
        return weights, pull


def _plus(x: Array, before: Array | None) -> Array:
    return x if before is None else x + before


def _div(x: Array, size: int) -> Array:
    """``floor(x / size)`` for x ≥ 0; 0 below it."""
    return jax.lax.div(jnp.maximum(x, 0), np.int32(size))


def _up(x: Array, size: int) -> Array:
    """``ceil(x / size)`` for x ≥ 0; 0 below it."""
    return _div(x + (size - 1), size)


def tile_at(start: Array, size: int) -> Any:
    """The places of a tile, as an index."""
    return pl.ds(pl.multiple_of(start * size, size), size)


def read_keys(plan: Plan, refs: Refs, j: Array) -> dict[str, Array]:
    """The arrays of tile ``j`` of the keys, for a kernel of queries."""
    here = tile_at(j, plan.key_tile)
    read = {name: refs[name][here, :] for name in ("key", "value")}
    for name in ("key_segments", "mask"):
        if name in refs:
            read[name] = refs[name][:, here]
    return read


def read_rows(refs: Refs, names: tuple[str, ...]) -> dict[str, Any]:
    """The arrays that a kernel of queries reads once."""
    read: dict[str, Any] = {name: refs[name][...] for name in names if name in refs}
    read["params"] = {name: ref[...] for name, ref in refs["params"].items()}
    return {"count": None, "first": first_place(refs), **read}


def first_place(refs: Refs) -> Array | None:
    """The place of the first query, where the queries are a part of a sequence."""
    return refs["first"][0, 0] if "first" in refs else None


def over_tiles(spans: list[Span], step: Callable[..., Carry], carry: Carry) -> Carry:
    """Carry a value through ``step(by_place, tile, carry)`` over the tiles of all spans."""
    for start, end, by_place in spans:
        carry = jax.lax.fori_loop(
            jnp.int32(start), jnp.int32(end), functools.partial(step, by_place), carry
        )
    return carry


def forward(plan: Plan, refs: Refs, out_ref: Any, lse_ref: Any) -> None:
    """Compute the output ``[t, H]`` and ``lse2 = log2 Σ 2^u`` ``[t, 1]`` of a tile of queries."""
    i = pl.program_id(2)
    rows = read_rows(refs, ("query", "count", "query_segments"))

    def step(by_place: bool, j: Array, carry: tuple[Array, Array, Array]) -> Any:
        most, total, out = carry
        arrays = rows | read_keys(plan, refs, j)
        scores = plan.dot(arrays["query"], arrays["key"], trans_b=True) * plan.scale
        logits = plan.logits(scores, rows["params"], rows["count"])
        where = plan.where(arrays, i, j, by_place)
        seen = logits if where is None else jnp.where(where, logits, LOWEST)
        new = jnp.maximum(most, jnp.max(seen, axis=1, keepdims=True))
        bases = jnp.exp2(seen - new)
        if where is not None:  # a query that has seen nothing yet has new = LOWEST
            bases = jnp.where(where, bases, 0)
        shrink = jnp.exp2(most - new)
        added = plan.dot(bases.astype(arrays["value"].dtype), arrays["value"])
        return new, total * shrink + jnp.sum(bases, axis=1, keepdims=True), out * shrink + added

    sink = plan.row.sink  # one more key of logit 0 and value 0
    column, dtype = (plan.query_tile, 1), jnp.dtype(plan.dtype)
    start = (
        jnp.full(column, 0 if sink else LOWEST, dtype),
        jnp.full(column, 1 if sink else 0, dtype),
        jnp.zeros((plan.query_tile, out_ref.shape[-1]), dtype),
    )
    most, total, out = over_tiles(plan.key_spans(i, rows["first"]), step, start)
    some = total > 0
    total = jnp.where(some, total, 1)
    out_ref[...] = (out / total).astype(out_ref.dtype)
    # A query that sees no key gets a value so high that its weights are 0 in the backward pass.
    lse_ref[...] = jnp.where(some, most + LOG2E * jnp.log(total), -LOWEST)
