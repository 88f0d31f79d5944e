"""How much memory the implementations need: tiles in shared memory, temporaries of long texts."""

import itertools

import jax
import jax.numpy as jnp

from attention.dot_product import implementations as dot_product
from attention.dot_product.flash import launch as flash_launch


def test_memory_grows_linearly():
    """Bytes of temporaries that the compiler plans, forward and backward."""

    def planned(length, implementation):
        query = jax.ShapeDtypeStruct((1, length, 2, 16), jnp.float32)

        def loss(query, key, value):
            out = dot_product.dot_product_attention(
                query, key, value, normalizer="ssa", causal=True, implementation=implementation
            )
            return jnp.sum(out)

        lowered = jax.jit(jax.grad(loss, (0, 1, 2))).lower(query, query, query)
        return lowered.compile().memory_analysis().temp_size_in_bytes

    sizes = {length: planned(length, "chunked") for length in (1024, 4096, 32768)}
    for short, long in itertools.pairwise(sizes):
        assert sizes[long] < 1.1 * long / short * sizes[short]
    assert planned(4096, "xla") > 4 * sizes[4096]


def test_triton_tiles_fit_shared_memory():
    """The limits of an H100, for every size of a head; Triton multiplies tiles of 16 at least."""
    for part, size, dtype in itertools.product(
        ("forward", "queries", "keys"), (16, 64, 80, 128, 256, 512), (jnp.bfloat16, jnp.float32)
    ):
        query = jnp.zeros((1, 1, 1, 4096, size), dtype)
        tiles = flash_launch.tiles_of("cuda", part, query, 4096)
        assert min(tiles.queries, tiles.keys) >= 16
        rows = tiles.queries + tiles.keys  # at the very least, each read once
        assert rows * size * query.dtype.itemsize <= 227 * 1024
        if size <= 128 and dtype == jnp.bfloat16:
            assert tiles == flash_launch.TILES["cuda"][part]
