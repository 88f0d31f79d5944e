"""The kernels of the backward pass; they recompute the weights from the log-sum-exp of each query.

The gradients of queries and parameters are sums over keys, those of keys and values over queries.
On CUDA devices a kernel goes through the tiles of the other side by itself; on TPUs the grid does,
because all queries of a group do not fit the memory of a core.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import pallas as pl
from jaxtyping import Array

from attention.dot_product.flash.base2_logits import LN2
from attention.dot_product.flash.kernels import (
    Plan,
    Refs,
    first_place,
    over_tiles,
    read_keys,
    read_rows,
    tile_at,
)
from attention.dot_product.operands import Values


def backward_queries(
    plan: Plan, learned: tuple[str, ...], refs: Refs, d_query_ref: Any, d_values_refs: Refs
) -> None:
    """Compute the gradients of a tile of queries, and its part ``[1, 1]`` of each parameter's."""
    i = pl.program_id(2)
    rows = read_rows(refs, ("query", "count", "query_segments", "d_out", "lse", "delta"))
    values = {name: rows["params"][name] for name in learned}

    def step(by_place: bool, j: Array, carry: tuple[Array, Values]) -> tuple[Array, Values]:
        d_query, d_values = carry
        arrays = rows | read_keys(plan, refs, j)
        weights, pull = plan.weights(arrays, values, plan.where(arrays, i, j, by_place))
        d_weights = plan.dot(arrays["d_out"], arrays["value"], trans_b=True)
        d_scores, d_here = pull(LN2 * weights * (d_weights - arrays["delta"]))
        d_query += plan.dot(d_scores.astype(arrays["key"].dtype), arrays["key"])
        sums = {name: jnp.sum(d_here[name], axis=1, keepdims=True) for name in learned}
        return d_query, jax.tree.map(jnp.add, d_values, sums)

    dtype = jnp.dtype(plan.dtype)
    columns = {name: jnp.zeros((plan.query_tile, 1), dtype) for name in learned}
    start = (jnp.zeros(d_query_ref.shape, dtype), columns)
    d_query, d_values = over_tiles(plan.key_spans(i, rows["first"]), step, start)
    d_query_ref[...] = d_query.astype(d_query_ref.dtype)
    for name in learned:
        d_values_refs[name][...] = jnp.sum(d_values[name], axis=0, keepdims=True)


def _pulled_keys(
    plan: Plan, arrays: dict[str, Any], i: Array, j: Array, by_place: bool
) -> tuple[Array, Array]:
    """What a tile of queries adds to the gradients of a tile of keys and values."""
    weights, pull = plan.weights(arrays, {}, plan.where(arrays, i, j, by_place))
    d_weights = plan.dot(arrays["d_out"], arrays["value"], trans_b=True)
    d_scores, _ = pull(LN2 * weights * (d_weights - arrays["delta"]))
    d_out, query = arrays["d_out"], arrays["query"]
    d_value = plan.dot(weights.astype(d_out.dtype), d_out, trans_a=True)
    return plan.dot(d_scores.astype(query.dtype), query, trans_a=True), d_value


def backward_keys_streamed(plan: Plan, refs: Refs, d_key_ref: Any, d_value_ref: Any) -> None:
    """Add one tile of queries to the gradients of a tile of keys and values.

    The last axis of the grid goes over the tiles of all queries of the group, one after another.
    """
    j, step = pl.program_id(2), pl.program_id(3)
    i = jax.lax.rem(step, np.int32(plan.padded_length // plan.query_tile))

    @pl.when(step == 0)
    def _() -> None:
        d_key_ref[...] = jnp.zeros_like(d_key_ref)
        d_value_ref[...] = jnp.zeros_like(d_value_ref)

    def add(by_place: bool) -> None:
        names = ("query", "key", "value", "d_out", "lse", "delta")
        arrays = read_rows(refs, (*names, "count", "query_segments", "key_segments", "mask"))
        d_key, d_value = _pulled_keys(plan, arrays, i, j, by_place)
        d_key_ref[...] += d_key
        d_value_ref[...] += d_value

    for start, end, by_place in plan.query_spans(j, first_place(refs)):
        pl.when((i >= start) & (i < end))(functools.partial(add, by_place))


def backward_keys(plan: Plan, refs: Refs, d_key_ref: Any, d_value_ref: Any) -> None:
    """Compute the gradients of a tile of keys and values, over all queries of its group."""
    j = pl.program_id(2)
    columns = {name: refs[name][...] for name in ("key", "value", "key_segments") if name in refs}
    tiles, first = plan.padded_length // plan.query_tile, first_place(refs)

    def group(g: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        params = {name: ref[g] for name, ref in refs["params"].items()}

        def step(by_place: bool, i: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
            d_key, d_value = carry
            of_head, here = tile_at(g * tiles + i, plan.query_tile), tile_at(i, plan.query_tile)
            arrays: dict[str, Any] = {**columns, "params": params, "count": None, "first": first}
            arrays |= {name: refs[name][of_head, :] for name in ("query", "d_out", "lse", "delta")}
            for name in ("count", "query_segments", "mask"):
                if name in refs:
                    whole = name == "mask" and refs[name].shape[0] == 1
                    arrays[name] = refs[name][...] if whole else refs[name][here, :]
            more_key, more_value = _pulled_keys(plan, arrays, i, j, by_place)
            return d_key + more_key, d_value + more_value

        return over_tiles(plan.query_spans(j, first), step, carry)

    zero = jnp.zeros(d_key_ref.shape, jnp.dtype(plan.dtype))
    d_key, d_value = jax.lax.fori_loop(0, plan.groups, group, (zero, zero))
    d_key_ref[...] = d_key.astype(d_key_ref.dtype)
    d_value_ref[...] = d_value.astype(d_value_ref.dtype)
