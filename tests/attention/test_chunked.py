"""The chunked implementation against the reference: outputs and every gradient."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attention import dot_product
from attention.errors import InputError
from attention.normalizers import NORMALIZERS

B, T, S, H = 2, 23, 29, 5
SOFTMAXES = [name for name, row in NORMALIZERS.items() if row.logit_transform is not None]


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(dot_product, "CHUNK", 7)


def arrays(num_heads=6, num_kv=2, length=T, keys=S, seed=0):
    rng = np.random.default_rng(seed)
    query = rng.normal(0, 2, (B, length, num_heads, H))
    key, value = rng.normal(0, 2, (2, B, keys, num_kv, H))
    probe = rng.normal(size=query.shape)
    return query, key, value, probe


def params_of(name, num_heads, dtype):
    rng = np.random.default_rng(1)
    return {
        key: np.asarray(value * rng.uniform(0.7, 1.6, num_heads), dtype)
        for key, value in NORMALIZERS[name].defaults.items()
    }


def both(name, shapes=None, dtype=np.float64, heads=(6, 2), params=None, **how):
    """``(out, gradients)`` of the two implementations, in this dtype."""
    query, key, value, probe = arrays(*heads, **(shapes or {}))
    params = params_of(name, heads[0], dtype) if params is None else params

    @functools.partial(jax.jit, static_argnums=4)
    def run(query, key, value, params, implementation):
        def loss(query, key, value, params):
            out = dot_product.dot_product_attention(
                query, key, value, normalizer=name, params=params,
                implementation=implementation, precision="highest", **how,
            )  # fmt: skip
            wide = jnp.promote_types(dtype, jnp.float32)
            return jnp.sum(jnp.asarray(probe, wide) * out), out

        grads, out = jax.grad(loss, (0, 1, 2, 3), has_aux=True)(query, key, value, params)
        return out, grads

    arrays_ = [jnp.asarray(x, dtype) for x in (query, key, value)]
    return [run(*arrays_, params, which) for which in ("xla", "chunked")]


def agree(pair, tolerance):
    reference, found = pair
    for one, other in zip(jax.tree.leaves(reference), jax.tree.leaves(found), strict=True):
        assert one.dtype == other.dtype and one.shape == other.shape
        one, other = (np.asarray(x, np.float64) for x in (one, other))
        np.testing.assert_allclose(other, one, atol=tolerance * max(1, np.abs(one).max()))


@pytest.mark.parametrize("name", SOFTMAXES)
def test_every_softmax_in_float64(name):
    with jax.enable_x64(True):
        mask = np.random.default_rng(2).random((B, T, S)) < 0.7
        mask[1, 3] = False  # a query without keys
        pair = both(name, mask=mask)
        agree(pair, 1e-12)
        for leaf in jax.tree.leaves(pair[1][1]):
            assert np.abs(leaf).max() > 1e-6, "a gradient is dead"


SEGMENTS = np.sort(np.random.default_rng(3).integers(0, 4, (B, T)), axis=1)
RESTRICTIONS = {
    "nothing": {},
    "causal": {"causal": True},
    "window": {"window": 3},
    "causal window": {"causal": True, "window": 5},
    "packed": {"segment_ids": SEGMENTS},
    "packed causal": {"segment_ids": SEGMENTS, "causal": True},
    "padded": {"mask": np.arange(T)[None, None] >= np.array([0, 9])[:, None, None]},
    "scaled": {"scale": 0.3},
}


@pytest.mark.parametrize("restriction", RESTRICTIONS)
def test_restrictions(restriction):
    """With the normalizer that counts the keys it may see."""
    with jax.enable_x64(True):
        agree(both("ssmax", {"keys": T}, **RESTRICTIONS[restriction]), 1e-12)


@pytest.mark.parametrize(("length", "keys"), [(1, 1), (1, 29), (7, 7), (8, 6), (14, 21), (5, 43)])
def test_lengths(length, keys):
    with jax.enable_x64(True):
        agree(both("ssa", {"length": length, "keys": keys}, causal=length > 5), 1e-12)


@pytest.mark.parametrize("heads", [(3, 3), (6, 2), (5, 1)])
def test_grouped_heads_in_float32(heads):
    agree(both("ssa", dtype=np.float32, heads=heads), 1e-5)
    shared = {"n": np.float32(2), "b": np.float32(0.4)}
    agree(both("ssa", dtype=np.float32, heads=heads, params=shared), 1e-5)


def test_bfloat16():
    params = {"n": np.full(6, 1.5, np.float32), "b": np.full(6, 0.8, np.float32)}
    agree(both("ssa", dtype=jnp.bfloat16, params=params, causal=True), 0.03)


def test_large_scores_stay_finite():
    for name in SOFTMAXES:
        out, grads = both(name, {"keys": T}, dtype=np.float32, scale=1e3, causal=True)[1]
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((out, grads)))


def test_restrictions_are_what_they_say():
    """Against masks written out."""
    query, key, value, _ = arrays(keys=T)
    t, s = np.mgrid[:T, :T]
    written = {
        "causal": s <= t,
        "window": abs(t - s) < 3,
        "causal window": (s <= t) & (t - s < 5),
        "packed": SEGMENTS[:, :, None] == SEGMENTS[:, None],
    }
    for name, mask in written.items():
        mask = np.broadcast_to(mask, (B, T, T))
        arrays_ = [np.float32(x) for x in (query, key, value)]
        found = dot_product.dot_product_attention(*arrays_, **RESTRICTIONS[name])
        expected = dot_product.dot_product_attention(*arrays_, mask=mask)
        np.testing.assert_array_equal(found, expected)


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

    short, long = (planned(length, "chunked") for length in (1024, 4096))
    assert long < 4.5 * short
    assert planned(4096, "xla") > 4 * planned(4096, "chunked")


def test_what_cannot_be_chunked_says_what_can():
    query, key, value, _ = arrays()
    for name in ("sigmoid", "linear", "entmax"):
        with pytest.raises(InputError, match=r"'chunked' has no .* but softmax, temperature"):
            dot_product.dot_product_attention(
                query, key, value, normalizer=name, implementation="chunked"
            )
    with pytest.raises(InputError, match="unknown implementation 'flash'"):
        dot_product.dot_product_attention(query, key, value, implementation="flash")
