"""The other implementations against the reference: outputs and every gradient."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attention.dot_product import IMPLEMENTATIONS, blocks
from attention.dot_product import implementations as dot_product
from attention.dot_product.flash import launch as flash_launch
from attention.errors import InputError
from attention.normalizers import NORMALIZERS, Normalizer, Parameter

B, T, S, H = 2, 23, 29, 5
SOFTMAXES = [name for name, row in NORMALIZERS.items() if row.logit_transform is not None]


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    monkeypatch.setattr(dot_product, "CHUNK", 7)
    monkeypatch.setattr(blocks, "BLOCK", 5)
    tiles = dict.fromkeys(("forward", "queries", "keys"), flash_launch.Tiles(16, 16))
    monkeypatch.setitem(flash_launch.TILES, "cpu", tiles)


@pytest.fixture(params=[name for name in IMPLEMENTATIONS if name != "xla"])
def how(request):
    return request.param


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


def both(name, implementation, *arguments, **seen):
    """``(out, gradients)`` of the reference and of ``implementation``, in this dtype."""
    return [one(name, which, *arguments, **seen) for which in ("xla", implementation)]


def one(name, implementation, shapes=None, dtype=np.float64, heads=(6, 2), params=None, **seen):
    """``(out, gradients)`` of an implementation."""
    query, key, value, probe = arrays(*heads, **(shapes or {}))
    params = params_of(name, heads[0], dtype) if params is None else params

    @jax.jit
    def run(query, key, value, params):
        def loss(query, key, value, params):
            out = dot_product.dot_product_attention(
                query, key, value, normalizer=name, params=params,
                implementation=implementation, precision="highest", **seen,
            )  # fmt: skip
            wide = jnp.promote_types(dtype, jnp.float32)
            return jnp.sum(jnp.asarray(probe, wide) * out), out

        grads, out = jax.grad(loss, (0, 1, 2, 3), has_aux=True)(query, key, value, params)
        return out, grads

    return run(*(jnp.asarray(x, dtype) for x in (query, key, value)), params)


def agree(pair, tolerance):
    reference, found = pair
    for one, other in zip(jax.tree.leaves(reference), jax.tree.leaves(found), strict=True):
        assert one.dtype == other.dtype and one.shape == other.shape
        one, other = (np.asarray(x, np.float64) for x in (one, other))
        np.testing.assert_allclose(other, one, atol=tolerance * max(1, np.abs(one).max()))


@pytest.mark.quick("pallas-temperature", "chunked-ssmax", "blocks-ssa")
@pytest.mark.parametrize("name", SOFTMAXES)
def test_every_softmax_in_float64(name, how):
    with jax.enable_x64(True):
        mask = np.random.default_rng(2).random((B, T, S)) < 0.7
        mask[1, 3] = False  # a query without keys
        pair = both(name, how, mask=mask)
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


@pytest.mark.quick("pallas-packed", "pallas-causal window", "chunked-padded", "blocks-packed")
@pytest.mark.parametrize("restriction", RESTRICTIONS)
def test_restrictions(restriction, how):
    """With the normalizer that counts the keys it may see."""
    with jax.enable_x64(True):
        agree(both("ssmax", how, {"keys": T}, **RESTRICTIONS[restriction]), 1e-12)


@pytest.mark.quick("blocks-5-43", "chunked-1-29", "pallas-35-16")
@pytest.mark.parametrize(("length", "keys"), [(1, 1), (1, 29), (14, 21), (35, 16), (5, 43)])
def test_lengths(length, keys, how):
    with jax.enable_x64(True):
        agree(both("ssa", how, {"length": length, "keys": keys}, causal=length > 5), 1e-12)


@pytest.mark.quick("blocks-heads2", "chunked-heads0", "pallas-heads1")
@pytest.mark.parametrize("heads", [(3, 3), (6, 2), (5, 1)])
def test_grouped_heads_in_float32(heads, how):
    agree(both("ssa", how, dtype=np.float32, heads=heads), 1e-5)


@pytest.mark.quick("causal window")
@pytest.mark.parametrize("restriction", ["causal window", "padded"])
def test_keys_whose_kernel_goes_through_the_queries_by_itself(restriction, monkeypatch):
    """As on CUDA devices; elsewhere the grid does."""
    monkeypatch.setattr(flash_launch, "STREAMED", ())
    with jax.enable_x64(True):
        agree(both("ssmax", "pallas", {"keys": T}, **RESTRICTIONS[restriction]), 1e-12)


@pytest.mark.quick("pallas")
def test_a_parameter_that_all_heads_share(how):
    shared = {"n": np.float32(2), "b": np.float32(0.4)}
    agree(both("ssa", how, dtype=np.float32, params=shared), 1e-5)


@pytest.mark.quick("pallas")
def test_bfloat16(how):
    params = {"n": np.full(6, 1.5, np.float32), "b": np.full(6, 0.8, np.float32)}
    agree(both("ssa", how, dtype=jnp.bfloat16, params=params, causal=True), 0.03)


@pytest.mark.quick("chunked")
def test_large_scores_stay_finite(how):
    for name in ("softmax1", "ssa"):
        out, grads = one(name, how, {"keys": T}, dtype=np.float32, scale=1e3, causal=True)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((out, grads)))


def test_a_block_reaches_as_far_as_any_of_its_queries():
    """Those that are read may be in any order; keys beyond the reach are not looked at."""
    query, key, value, _ = arrays(keys=T)
    for places in (np.arange(T)[::2], np.arange(T)[::-1], np.array([3, 19, 5, 11, 2, 7, 13])):
        mask = (np.arange(T) <= places[:, None])[None]
        one, other = (
            jax.jit(functools.partial(dot_product.dot_product_attention, mask=mask, **how))(
                *(np.float32(x) for x in (query[:, places], key, value))
            )
            for how in ({}, {"implementation": "blocks", "reach": tuple(places + 1)})
        )
        np.testing.assert_allclose(other, one, atol=1e-5)


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


def test_what_cannot_be_fused_says_what_can(how):
    query, key, value, _ = arrays()
    for name in ("sigmoid", "linear", "entmax"):
        with pytest.raises(InputError, match=rf"'{how}' has no .* but softmax, temperature"):
            dot_product.dot_product_attention(
                query, key, value, normalizer=name, implementation=how
            )
    with pytest.raises(InputError, match="unknown implementation 'flash'"):
        dot_product.dot_product_attention(query, key, value, implementation="flash")


@pytest.mark.quick("pallas")
def test_a_new_normalizer_runs_fused_as_it_stands(monkeypatch, how):
    """That of docs/extending.md: one function and one row."""

    def cubed(scores, params, count):
        return params["a"] * scores**3

    row = Normalizer("softmax(a s^3)", cubed, parameters={"a": Parameter(0.05)})
    monkeypatch.setitem(NORMALIZERS, "cubed", row)
    with jax.enable_x64(True):  # s^3 of these scores amplifies what float32 rounds away
        pair = both("cubed", how, {"keys": T}, causal=True)
        agree(pair, 1e-12)
    assert np.abs(pair[1][1][3]["a"]).max() > 1e-3


@pytest.mark.quick(
    "softmax1-cuda",
    "ssmax-tpu",
    "ssa-cuda",
    "ssa-tpu",
)
@pytest.mark.parametrize("platform", ["cuda", "tpu"])
@pytest.mark.parametrize("name", SOFTMAXES)
def test_the_kernels_lower_for_accelerators(name, platform):
    """Three kernels of a gradient, through Triton and Mosaic, without a device."""
    restrictions = list(RESTRICTIONS.values())[SOFTMAXES.index(name)]  # a different one each
    heads = [jax.ShapeDtypeStruct((B, T, count, 40), jnp.bfloat16) for count in (6, 2, 2)]
    params = jax.tree.map(jnp.float32, params_of(name, 6, np.float32))

    def loss(query, key, value, params):
        out = dot_product.dot_product_attention(
            query, key, value, normalizer=name, params=params, implementation="pallas",
            **restrictions,
        )  # fmt: skip
        return jnp.sum(out.astype(jnp.float32))

    traced = jax.jit(jax.grad(loss, (0, 1, 2, 3))).trace(*heads, params)
    text = traced.lower(lowering_platforms=(platform,)).as_text()
    call = {"cuda": "@__gpu$xla.gpu.triton(", "tpu": "@tpu_custom_call("}[platform]
    assert text.count(call) == 3
    # SSA's base-2 logarithm is the processor's own, in all three.
    assert text.count("lg2.approx") == (3 if (name, platform) == ("ssa", "cuda") else 0)


def test_softmax_goes_to_cudnn_where_it_fits(monkeypatch):
    """What is asked of it, answered by its XLA form; what does not fit is not asked."""
    asked = []
    library = jax.nn.dot_product_attention

    def answer(*arrays, implementation, **how):
        asked.append(implementation)
        return library(*arrays, implementation="xla", **how)

    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(jax.nn, "dot_product_attention", answer)
    rng = np.random.default_rng(0)
    query = jnp.asarray(rng.normal(size=(B, T, 6, 8)), jnp.bfloat16)
    key, value = jnp.asarray(rng.normal(size=(2, B, T, 2, 8)), jnp.bfloat16)

    def found(normalizer="softmax", **how):
        out = [
            jax.jit(
                functools.partial(
                    dot_product.dot_product_attention,
                    normalizer=normalizer,
                    implementation=implementation,
                    **how,
                )
            )(query, key, value)
            for implementation in ("xla", "pallas")
        ]
        agree([np.asarray(x, np.float32) for x in out], 0.02)

    for how in ({}, {"causal": True}, {"causal": True, "window": 5}, {"scale": 0.7}):
        found(**how)
    assert asked == ["cudnn"] * 4
    found(window=5)
    found(segment_ids=SEGMENTS)
    found(normalizer="softmax1", causal=True)
    assert len(asked) == 4
