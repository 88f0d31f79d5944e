"""How ``kernels`` are launched: the sizes of tiles, the padding, the blocks and the grid."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import pallas as pl
from jax.experimental.pallas import tpu, triton
from jaxtyping import Array, Bool, Float, Shaped

from attention.dot_product.flash.kernels import Plan
from attention.dot_product.operands import Form, Operands, Values
from attention.normalizers import NORMALIZERS

Blocked = tuple[Array, pl.BlockSpec]  # a padded array, and the block of it that a kernel reads


class Tiles(NamedTuple):
    """How many queries and keys one step takes, and Triton's warps and pipeline stages."""

    queries: int
    keys: int
    warps: int = 4
    stages: int = 2


STREAMED = ("tpu", "cpu")  # platforms whose grid goes one after another through its last axis
VMEM_BYTES = 64 * 1024**2  # of a TPU; keys and values of a head lie in it, twice
SHARED_BYTES = 192 * 1024  # of shared memory for tiles; a block has 227 KiB on Hopper
# By platform and pass.  On CUDA the larger size is halved until both tiles fit that memory.
TILES: dict[str, dict[str, Tiles]] = {
    "cuda": {
        "forward": Tiles(128, 64, warps=8),
        "queries": Tiles(128, 32, warps=8),
        "keys": Tiles(64, 64, warps=8),  # larger sums leave products no registers: they wait
    },
    "tpu": dict.fromkeys(("forward", "queries"), Tiles(128, 128)) | {"keys": Tiles(256, 512)},
    "cpu": dict.fromkeys(("forward", "queries", "keys"), Tiles(64, 64)),
}


def wide_dtype(x: Float[Array, ...]) -> jnp.dtype:
    """The dtype of sums: float32, or float64 for float64 arrays."""
    return jnp.promote_types(x.dtype, jnp.float32)


def _power(x: int) -> int:
    return max(16, pl.next_power_of_2(x))


def tiles_of(platform: str, part: str, query: Float[Array, "B K G T H"], keys: int) -> Tiles:
    """Choose the tiles of a kernel, no larger than the arrays.

    Args:
        platform: ``cuda``, ``tpu`` or ``cpu``.
        part: ``forward``, ``queries`` or ``keys``.
        query: the queries.
        keys: how many keys there are.
    """
    tiles = TILES[platform][part]
    row = _power(query.shape[-1]) * query.dtype.itemsize
    while platform == "cuda" and row * _rows_held(part, tiles) > SHARED_BYTES:
        larger = "queries" if tiles.queries >= tiles.keys else "keys"
        tiles = tiles._replace(**{larger: getattr(tiles, larger) // 2})
    if platform == "tpu":  # it needs whole tiles of lanes
        return tiles
    return tiles._replace(
        queries=min(tiles.queries, _power(query.shape[3])), keys=min(tiles.keys, _power(keys))
    )


def _rows_held(part: str, tiles: Tiles) -> int:
    """Rows of size H in shared memory: the tiles that stay, and two that stream by in stages."""
    if part == "keys":  # key and value stay; query and d_out stream
        return 2 * tiles.keys + 2 * tiles.stages * tiles.queries
    return (1 if part == "forward" else 2) * tiles.queries + 2 * tiles.stages * tiles.keys


def _pad(x: Array, axis: int, size: int, fill: int = 0) -> Array:
    edges = [(0, 0)] * x.ndim
    edges[axis] = (0, size - x.shape[axis])
    return jnp.pad(x, edges, constant_values=fill)


def _up(x: int, size: int) -> int:
    return -(-x // size) * size


class Launch:
    """Pads the arrays of a kernel, and cuts them into blocks for a grid of batch, heads and tiles.

    Args:
        platform: ``cuda``, ``tpu`` or ``cpu``.
        part: ``forward``, ``queries`` or ``keys``: the gradients that the kernel computes.
        form: what is static.
        operands: the arrays, heads before places.
    """

    def __init__(self, platform: str, part: str, form: Form, operands: Operands):
        query, keys = operands.query, operands.key.shape[2]
        self.platform, self.tiles = platform, tiles_of(platform, part, query, keys)
        batch, num_kv, groups, length, size = query.shape
        self.batch, self.num_kv, self.groups = batch, num_kv, groups
        self.size = _power(size)
        self.rows, self.columns = _up(length, self.tiles.queries), _up(keys, self.tiles.keys)
        self.of_keys = part == "keys"
        self.plan = Plan(
            row=NORMALIZERS.pick(form.normalizer), platform=platform,
            causal=operands.visible.causal, window=operands.visible.window, scale=form.scale,
            precision=form.precision, dtype=wide_dtype(query).name, length=length, keys=keys,
            padded_length=self.rows, groups=groups, query_tile=self.tiles.queries,
            key_tile=self.tiles.keys,
        )  # fmt: skip
        self.streams = self.of_keys and platform in STREAMED
        self.shifted = operands.visible.first is not None
        if self.of_keys:
            self.grid = (batch, num_kv, self.columns // self.tiles.keys)
            if self.streams:  # tiles of queries come one by one: all of a group are too many
                self.grid += (groups * self.rows // self.tiles.queries,)
        else:
            self.grid = (batch, num_kv * groups, self.rows // self.tiles.queries)

    def rows_of_heads(self, x: Float[Array, "B K G T last"]) -> Blocked:
        """A tile of one head; all rows of a group for a kernel of keys."""
        x = _pad(x, 3, self.rows)
        last = x.shape[-1]
        if self.of_keys:
            x = x.reshape(self.batch, self.num_kv, self.groups * self.rows, last)
            if self.streams:
                shape = (None, None, self.tiles.queries, last)
                return x, pl.BlockSpec(shape, lambda b, k, j, i: (b, k, self._streamed(i, j), 0))
            block = pl.BlockSpec((None, None, x.shape[2], last), lambda b, k, j: (b, k, 0, 0))
            return x, block
        return x.reshape(self.batch, -1, self.rows, last), self.tile_of_head(last)

    def _streamed(self, i: Array, j: Array) -> Array:
        """The tile of queries in step i, for tile j of the keys; of hidden ones, the next seen.

        A tile that stays the same is not brought again.
        """
        if not self.plan.causal or self.shifted:
            return i
        tiles = np.int32(self.rows // self.tiles.queries)
        first = jax.lax.div(j * np.int32(self.tiles.keys), np.int32(self.tiles.queries))
        place = jnp.maximum(jax.lax.rem(i, tiles), jnp.minimum(first, tiles - 1))
        return i - jax.lax.rem(i, tiles) + place

    def _place(self, i: Array, j: Array) -> Array:
        """Which tile of its head that is."""
        return jax.lax.rem(self._streamed(i, j), np.int32(self.rows // self.tiles.queries))

    def tile_of_head(self, last: int) -> pl.BlockSpec:
        block = (None, None, self.tiles.queries, last)
        return pl.BlockSpec(block, lambda b, n, i: (b, n, i, 0))

    def of_columns(self, x: Float[Array, "B K S H"]) -> Blocked:
        """A tile of keys for a kernel of keys; all keys for a kernel of queries."""
        x = _pad(x, 2, self.columns)
        if self.of_keys:
            return x, self.tile_of_keys()
        groups = self.groups
        block = (None, None, self.columns, self.size)
        return x, pl.BlockSpec(block, lambda b, n, i: (b, jax.lax.div(n, np.int32(groups)), 0, 0))

    def tile_of_keys(self) -> pl.BlockSpec:
        block = (None, None, self.tiles.keys, self.size)
        return pl.BlockSpec(block, lambda b, k, j, *_: (b, k, j, 0))

    def column(self, x: Shaped[Array, "B T"], fill: int = 0) -> Blocked:
        """A column for the queries."""
        x = _pad(x, 1, self.rows, fill)[:, :, None]
        if self.streams:
            block = (None, self.tiles.queries, 1)
            return x, pl.BlockSpec(block, lambda b, k, j, i: (b, self._place(i, j), 0))
        if self.of_keys:
            return x, pl.BlockSpec((None, self.rows, 1), lambda b, k, j: (b, 0, 0))
        return x, pl.BlockSpec((None, self.tiles.queries, 1), lambda b, n, i: (b, i, 0))

    def row(self, x: Shaped[Array, "B S"], fill: int) -> Blocked:
        """A row for the keys."""
        x = _pad(x, 1, self.columns, fill)[:, None]
        if self.of_keys:
            return x, pl.BlockSpec((None, 1, self.tiles.keys), lambda b, k, j, *_: (b, 0, j))
        return x, pl.BlockSpec((None, 1, self.columns), lambda b, n, i: (b, 0, 0))

    def mask(self, x: Bool[Array, "#B #T S"]) -> Blocked:
        """A tile of the mask; one row of it if all queries have the same."""
        x = _pad(x.astype(jnp.int8), 2, self.columns)
        shared, whole = x.shape[0] == 1, x.shape[1] == 1
        if not whole:
            x = _pad(x, 1, self.rows)
        if self.of_keys:
            rows = self.tiles.queries if self.streams and not whole else x.shape[1]

            def place(i: tuple[Any, ...], j: Any) -> Any:
                return self._place(i[0], j) if self.streams and not whole else 0

            shape = (None, rows, self.tiles.keys)
            return x, pl.BlockSpec(shape, lambda b, k, j, *i: (0 if shared else b, place(i, j), j))
        shape = (None, 1 if whole else self.tiles.queries, self.columns)
        return x, pl.BlockSpec(shape, lambda b, n, i: (0 if shared else b, 0 if whole else i, 0))

    def params(self, values: Values) -> tuple[Values, dict[str, pl.BlockSpec]]:
        """The value of one head of each parameter ``[K, G]``, or those of a group."""
        values = {name: v.astype(self.plan.dtype)[..., None, None] for name, v in values.items()}
        if self.streams:
            tiles = np.int32(self.rows // self.tiles.queries)
            block = pl.BlockSpec(
                (None, None, 1, 1), lambda b, k, j, i: (k, jax.lax.div(i, tiles), 0, 0)
            )
        elif self.of_keys:
            block = pl.BlockSpec((None, self.groups, 1, 1), lambda b, k, j: (k, 0, 0, 0))
        else:
            values = {name: v.reshape(-1, 1, 1) for name, v in values.items()}
            block = pl.BlockSpec((None, 1, 1), lambda b, n, i: (n, 0, 0))
        return values, dict.fromkeys(values, block)

    def scalar(self) -> pl.BlockSpec:
        """One number; on a TPU it lies where numbers can be read that loops depend on."""
        if self.platform == "tpu":
            return pl.BlockSpec(memory_space=tpu.SMEM)
        return pl.BlockSpec((1, 1), lambda *_: (0, 0))

    def inputs(
        self,
        operands: Operands,
        count: Float[Array, "#B T"] | None,
        more: Mapping[str, Float[Array, "B K G T _"]] = MappingProxyType({}),
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """All that a kernel reads, and the block of each.

        Args:
            operands: the arrays, heads before places.
            count: how many keys each query sees, for a normalizer that uses it.
            more: what a backward pass reads of each query besides: ``d_out``, ``lse``, ``delta``.
        """
        wide = functools.partial(_pad, axis=-1, size=self.size)
        arrays: dict[str, tuple[Any, Any]] = {
            "query": self.rows_of_heads(wide(operands.query)),
            "key": self.of_columns(wide(operands.key)),
            "value": self.of_columns(wide(operands.value)),
            "params": self.params(operands.values),
        }
        for name, x in more.items():
            arrays[name] = self.rows_of_heads(wide(x) if name == "d_out" else x)
        visible = operands.visible
        if visible.mask is not None:
            arrays["mask"] = self.mask(visible.mask)
        if visible.query_segments is not None and visible.key_segments is not None:
            arrays["query_segments"] = self.column(visible.query_segments.astype(jnp.int32))
            arrays["key_segments"] = self.row(visible.key_segments.astype(jnp.int32), fill=0)
        if count is not None:
            arrays["count"] = self.column(count, fill=1)
        if visible.first is not None:
            arrays["first"] = visible.first.reshape(1, 1), self.scalar()
        return {k: v[0] for k, v in arrays.items()}, {k: v[1] for k, v in arrays.items()}

    def run(
        self, kernel: Callable[..., None], name: str, inputs: Any, blocks: Any, outputs: Any
    ) -> Any:
        """Run a kernel on the grid.

        Args:
            kernel: is called with references to its inputs and outputs.
            name: in profiles.
            inputs: of ``inputs``.
            blocks: of ``inputs``.
            outputs: a tree of pairs: the shape of an output, and its block.

        Returns:
            The outputs, in the tree of ``outputs``.
        """
        leaf = lambda x: isinstance(x, tuple) and isinstance(x[0], jax.ShapeDtypeStruct)  # noqa: E731
        compiler: Mapping[str, Any] = {
            "cuda": triton.CompilerParams(num_warps=self.tiles.warps, num_stages=self.tiles.stages),
            "tpu": tpu.CompilerParams(
                dimension_semantics=("parallel", "parallel", "parallel", "arbitrary")[
                    : len(self.grid)
                ],
                vmem_limit_bytes=VMEM_BYTES,
            ),
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
