"""Fused attention for every normalizer that is a softmax of a logit transform, with gradients.

The kernels of ``attention.flash_kernels`` on padded arrays: Pallas through Triton on CUDA devices,
through Mosaic on TPUs, and interpreted, slowly, anywhere else.  No matrix of weights is stored: the
forward pass keeps each query's log-sum-exp, and the backward pass recomputes weights from it,
once for the queries' gradients and the parameters', once for the keys' and values'.  All sums have
one order, so that two runs agree bitwise.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import pallas as pl
from jax.experimental.pallas import tpu, triton
from jaxtyping import Array, Float

from attention.chunked import Form, Stored, perturbed
from attention.flash_kernels import Plan, backward_keys, backward_queries, forward
from attention.masks import Visibility
from attention.normalizers import Normalizer, normalizer

Values = dict[str, Array]


class Tiles(NamedTuple):
    """Queries and keys of one step, and Triton's warps and pipeline stages."""

    queries: int
    keys: int
    warps: int = 4
    stages: int = 2


# By platform and pass; on CUDA the larger is halved until both fit the shared memory.
SHARED_BYTES = 192 * 1024  # of the 227 KiB that a block has on Hopper
TILES: dict[str, dict[str, Tiles]] = {
    "cuda": {
        "forward": Tiles(128, 64, warps=8),
        "queries": Tiles(128, 32, warps=8),
        "keys": Tiles(32, 128, warps=8),
    },
    "tpu": dict.fromkeys(("forward", "queries", "keys"), Tiles(128, 128)),
    "cpu": dict.fromkeys(("forward", "queries", "keys"), Tiles(64, 64)),
}


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
    if _counts(normalizer(form.normalizer), heads):
        count = visible.counts(length, key_BSKH.shape[1]).astype(_wide(query_BTKGH))
    out_BKGTH = _attend(form, *arrays, heads, stored, count)
    return jnp.transpose(jnp.asarray(out_BKGTH), (0, 3, 1, 2, 4))


def _wide(x: Array) -> Any:
    return jnp.promote_types(x.dtype, jnp.float32)


def _counts(row: Normalizer, values: Values) -> bool:
    """Whether the transform looks at the number of keys."""
    transform = row.logit_transform
    assert transform is not None  # checked by dot_product_attention
    scalars = {name: jnp.zeros((), v.dtype) for name, v in values.items()}
    traced = jax.make_jaxpr(lambda count: transform(jnp.float32(1), scalars, count))(1.0)
    [count] = traced.jaxpr.invars
    return any(variable is count for step in traced.jaxpr.eqns for variable in step.invars)


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
    wide = _wide(query)
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


def _power(x: int) -> int:
    return max(16, pl.next_power_of_2(x))


def _tiles(platform: str, part: str, query: Array, keys: int) -> Tiles:
    tiles = TILES[platform][part]
    row = _power(query.shape[-1]) * query.dtype.itemsize
    while platform == "cuda" and row * _rows_held(part, tiles) > SHARED_BYTES:
        larger = "queries" if tiles.queries >= tiles.keys else "keys"
        tiles = tiles._replace(**{larger: getattr(tiles, larger) // 2})
    if platform == "tpu":  # whole tiles of lanes
        return tiles
    return tiles._replace(
        queries=min(tiles.queries, _power(query.shape[3])), keys=min(tiles.keys, _power(keys))
    )


def _rows_held(part: str, tiles: Tiles) -> int:
    """Rows of size H in shared memory: the tile that stays, and two that stream by in stages."""
    if part == "keys":  # key and value stay; query and d_out stream
        return 2 * tiles.keys + 2 * tiles.stages * tiles.queries
    return (1 if part == "forward" else 2) * tiles.queries + 2 * tiles.stages * tiles.keys


def _pad(x: Array, axis: int, size: int, fill: int = 0) -> Array:
    edges = [(0, 0)] * x.ndim
    edges[axis] = (0, size - x.shape[axis])
    return jnp.pad(x, edges, constant_values=fill)


def _up(x: int, size: int) -> int:
    return -(-x // size) * size


class _Launch:
    """Padded arrays, and their blocks in a grid of batch, heads and tiles."""

    def __init__(self, platform: str, part: str, form: Form, query: Array, keys: int):
        self.platform, self.tiles = platform, _tiles(platform, part, query, keys)
        batch, num_kv, groups, length, size = query.shape
        self.batch, self.num_kv, self.groups = batch, num_kv, groups
        self.size = _power(size)
        self.rows, self.columns = _up(length, self.tiles.queries), _up(keys, self.tiles.keys)
        self.of_keys = part == "keys"
        self.plan = Plan(
            row=normalizer(form.normalizer), platform=platform, causal=form.causal,
            window=form.window, scale=form.scale, precision=form.precision,
            dtype=_wide(query).name, length=length, keys=keys, padded_length=self.rows,
            groups=groups, query_tile=self.tiles.queries, key_tile=self.tiles.keys,
        )  # fmt: skip
        if self.of_keys:
            self.grid = (batch, num_kv, self.columns // self.tiles.keys)
        else:
            self.grid = (batch, num_kv * groups, self.rows // self.tiles.queries)

    def rows_of_heads(self, x: Array) -> tuple[Array, Any]:
        """``[B, K, G, T, …]``: a tile of a head, or all of a group for a kernel of keys."""
        x = _pad(x, 3, self.rows)
        last = x.shape[-1]
        if self.of_keys:
            x = x.reshape(self.batch, self.num_kv, self.groups * self.rows, last)
            block = pl.BlockSpec((None, None, x.shape[2], last), lambda b, k, j: (b, k, 0, 0))
            return x, block
        return x.reshape(self.batch, -1, self.rows, last), self.tile_of_head(last)

    def tile_of_head(self, last: int) -> Any:
        block = (None, None, self.tiles.queries, last)
        return pl.BlockSpec(block, lambda b, n, i: (b, n, i, 0))

    def of_columns(self, x: Array) -> tuple[Array, Any]:
        """``[B, K, S, H]``: a tile for a kernel of keys, all of them for one of queries."""
        x = _pad(x, 2, self.columns)
        if self.of_keys:
            return x, self.tile_of_keys()
        groups = self.groups
        block = (None, None, self.columns, self.size)
        return x, pl.BlockSpec(block, lambda b, n, i: (b, jax.lax.div(n, np.int32(groups)), 0, 0))

    def tile_of_keys(self) -> Any:
        block = (None, None, self.tiles.keys, self.size)
        return pl.BlockSpec(block, lambda b, k, j: (b, k, j, 0))

    def column(self, x: Array, fill: int = 0) -> tuple[Array, Any]:
        """``[B, T]`` as a column for the queries."""
        x = _pad(x, 1, self.rows, fill)[:, :, None]
        if self.of_keys:
            return x, pl.BlockSpec((None, self.rows, 1), lambda b, k, j: (b, 0, 0))
        return x, pl.BlockSpec((None, self.tiles.queries, 1), lambda b, n, i: (b, i, 0))

    def row(self, x: Array, fill: int) -> tuple[Array, Any]:
        """``[B, S]`` as a row for the keys."""
        x = _pad(x, 1, self.columns, fill)[:, None]
        if self.of_keys:
            return x, pl.BlockSpec((None, 1, self.tiles.keys), lambda b, k, j: (b, 0, j))
        return x, pl.BlockSpec((None, 1, self.columns), lambda b, n, i: (b, 0, 0))

    def mask(self, x: Array) -> tuple[Array, Any]:
        """``[#B, #T, S]``."""
        x = _pad(x.astype(jnp.int8), 2, self.columns)
        shared, whole = x.shape[0] == 1, x.shape[1] == 1
        if not whole:
            x = _pad(x, 1, self.rows)
        if self.of_keys:
            shape = (None, x.shape[1], self.tiles.keys)
            return x, pl.BlockSpec(shape, lambda b, k, j: (0 if shared else b, 0, j))
        shape = (None, 1 if whole else self.tiles.queries, self.columns)
        return x, pl.BlockSpec(shape, lambda b, n, i: (0 if shared else b, 0 if whole else i, 0))

    def params(self, values: Values) -> tuple[Values, Any]:
        """``[K, G]`` of each, one or the group's."""
        values = {name: v.astype(self.plan.dtype)[..., None, None] for name, v in values.items()}
        if self.of_keys:
            block = pl.BlockSpec((None, self.groups, 1, 1), lambda b, k, j: (k, 0, 0, 0))
        else:
            values = {name: v.reshape(-1, 1, 1) for name, v in values.items()}
            block = pl.BlockSpec((None, 1, 1), lambda b, n, i: (n, 0, 0))
        return values, dict.fromkeys(values, block)

    def inputs(
        self,
        query: Array,
        key: Array,
        value: Array,
        values: Values,
        stored: Stored,
        count: Array | None,
        **more: Array,
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """All that a kernel reads, and the block of each."""
        wide = functools.partial(_pad, axis=-1, size=self.size)
        arrays: dict[str, tuple[Any, Any]] = {
            "query": self.rows_of_heads(wide(query)),
            "key": self.of_columns(wide(key)),
            "value": self.of_columns(wide(value)),
            "params": self.params(values),
        }
        for name, x in more.items():
            arrays[name] = self.rows_of_heads(wide(x) if name == "d_out" else x)
        mask, query_segments, key_segments = stored
        if mask is not None:
            arrays["mask"] = self.mask(mask)
        if query_segments is not None and key_segments is not None:
            arrays["query_segments"] = self.column(query_segments.astype(jnp.int32))
            arrays["key_segments"] = self.row(key_segments.astype(jnp.int32), fill=0)
        if count is not None:
            arrays["count"] = self.column(count, fill=1)
        return {k: v[0] for k, v in arrays.items()}, {k: v[1] for k, v in arrays.items()}

    def run(self, kernel: Any, name: str, inputs: Any, blocks: Any, outputs: Any) -> Any:
        """``outputs`` are pairs of a shape and its block."""
        leaf = lambda x: isinstance(x, tuple) and isinstance(x[0], jax.ShapeDtypeStruct)  # noqa: E731
        compiler: Mapping[str, Any] = {
            "cuda": triton.CompilerParams(num_warps=self.tiles.warps, num_stages=self.tiles.stages),
            "tpu": tpu.CompilerParams(dimension_semantics=("parallel",) * 3),
        }
        return pl.pallas_call(
            kernel,
            grid=self.grid,
            in_specs=[blocks],
            out_specs=jax.tree.map(lambda x: x[1], outputs, is_leaf=leaf),
            out_shape=jax.tree.map(lambda x: x[0], outputs, is_leaf=leaf),
            compiler_params=compiler.get(self.platform),
            interpret=self.platform == "cpu",
            name=name,
        )(inputs)


def _forward(platform: str, form: Form, query: Array, key: Array, *rest: Any) -> Any:
    """Output ``[B, K, G, T, H]`` and log-sum-exp ``[B, K, G, T, 1]``, base 2."""
    launch = _Launch(platform, "forward", form, query, key.shape[2])
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
    launch = _Launch(platform, "queries", form, query, key.shape[2])
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

    launch = _Launch(platform, "keys", form, query, key.shape[2])
    inputs, blocks = launch.inputs(query, key, value, values, stored, count, **more)
    shape = jax.ShapeDtypeStruct((*key.shape[:2], launch.columns, launch.size), key.dtype)
    outputs = ((shape, launch.tile_of_keys()),) * 2
    kernel = functools.partial(backward_keys, launch.plan)
    found = launch.run(kernel, "attention_backward_keys", inputs, blocks, outputs)
    d_key, d_value = (x[..., : key.shape[2], : key.shape[3]] for x in found)
    return d_query[..., : query.shape[3], : query.shape[4]], d_key, d_value, d_learned
