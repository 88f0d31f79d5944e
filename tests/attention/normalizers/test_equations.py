"""Each normalizer is its equation, which is written out here, and has the limits that it should."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from attention import normalizers
from attention.normalizers import (
    NORMALIZERS,
)

normalize = jax.jit(normalizers.normalize, static_argnums=0)

B, T, S = 2, 3, 7


def scores_and_where(seed=0, dtype=np.float32):
    rng = np.random.default_rng(seed)
    scores = rng.normal(0, 3, (B, T, S)).astype(dtype)
    where = rng.random((B, T, S)) < 0.6
    where[0, 0] = True
    where[1, 2] = False
    where[0, 1, 3] = True  # at least one key elsewhere
    return scores, where


def params_of(name, dtype=np.float32):
    """Values that are not the defaults, so that ignoring them shows."""
    changed = {k: dtype(1.3 * v) for k, v in NORMALIZERS[name].defaults.items()}
    return changed | ({"c": dtype(2.6)} if "c" in changed else {})  # where capping shows


def test_softmax_is_softmax():
    scores, _ = scores_and_where()
    wide = scores.astype(np.float64)
    expected = np.exp(wide) / np.exp(wide).sum(-1, keepdims=True)
    np.testing.assert_allclose(normalize("softmax", scores), expected, atol=1e-7)


def test_ssa_is_its_equation():
    scores, where = scores_and_where()
    n, b = 1.7, 0.6
    with np.errstate(all="raise"):
        bases = (1 + b * np.abs(scores.astype(np.float64))) ** (n * np.sign(scores))
    bases = np.where(where, bases, 0)
    expected = bases / np.maximum(bases.sum(-1, keepdims=True), 1e-30)
    np.testing.assert_allclose(
        normalize("ssa", scores, where, {"n": n, "b": b}), expected, atol=1e-6
    )


def test_ssa_tends_to_softmax():
    with jax.enable_x64(True):
        scores, where = scores_and_where(dtype=np.float64)
        softmax = np.asarray(normalize("softmax", scores, where))
        errors = [
            np.abs(normalize("ssa", scores, where, {"n": m, "b": 1 / m}) - softmax).max()
            for m in (1e2, 1e4, 1e6)
        ]
    assert errors[2] < 1e-5
    assert errors[1] < errors[0] / 30  # first order in 1/m
    assert errors[2] < errors[1] / 30


def test_ssa_slope_at_zero_is_n_times_b():
    row, params = NORMALIZERS.pick("ssa"), {"n": jnp.float32(1.7), "b": jnp.float32(0.6)}
    slope = jax.grad(lambda s: row.logit_transform(s, params, None))
    np.testing.assert_allclose(slope(jnp.float32(0)), 1.7 * 0.6, rtol=1e-6)
    np.testing.assert_allclose(slope(jnp.float32(1e-6)), 1.7 * 0.6, rtol=1e-5)
    np.testing.assert_allclose(slope(jnp.float32(-1e-6)), 1.7 * 0.6, rtol=1e-5)
    assert slope(jnp.float32(5)) < slope(jnp.float32(1)) < 1.7 * 0.6


def test_ssa_has_the_derivatives_of_its_equation():
    row = NORMALIZERS.pick("ssa")

    def transform(s, n, b):
        return row.logit_transform(s, {"n": n, "b": b}, None)

    with jax.enable_x64(True):
        for s in (-3.1, -0.2, 0.7, 5.3):
            point = np.float64([s, 1.7, 0.6])
            found = jax.grad(transform, argnums=(0, 1, 2))(*point)
            steps = 1e-6 * np.eye(3)
            expected = [(transform(*(point + d)) - transform(*(point - d))) / 2e-6 for d in steps]
            np.testing.assert_allclose(found, expected, rtol=1e-7)


def test_only_differences_of_scores_count_however_low_they_are():
    scores, where = np.float32([[-300.0, -301.0, 5.0]]), np.array([[True, True, False]])
    expected = [[1 / (1 + np.exp(-1)), 1 / (1 + np.e), 0]]
    np.testing.assert_allclose(normalize("softmax", scores, where), expected, atol=1e-6)
    np.testing.assert_array_equal(normalize("softmax1", scores, where), 0)  # beside exp(0)


def test_masked_softmax_has_the_derivatives_of_its_equation():
    with jax.enable_x64(True):
        scores, where = scores_and_where(dtype=np.float64)
        along = np.random.default_rng(1).normal(size=scores.shape)
        for sink in (False, True):
            weigh = lambda s: normalizers.masked_softmax(s, where, sink)  # noqa: B023, E731
            _, found = jax.jvp(weigh, (scores,), (along,))
            expected = (weigh(scores + 1e-6 * along) - weigh(scores - 1e-6 * along)) / 2e-6
            np.testing.assert_allclose(found, expected, atol=1e-8)


ROWS = [
    [0.3, -1.2, 2.0, 0.7, 1.9], [3.0, 0.0, -4.0, 2.9, 2.8], [0.0] * 5, [0.1, 0.3, -0.2, 0.4, 0.0],
]  # fmt: skip


def literal(name, params):
    """The equation of each, word for word, in float64, a row at a time."""
    z = np.array(ROWS)
    total = lambda x: x / x.sum(-1, keepdims=True)  # noqa: E731
    p = params
    if name == "temperature":
        return total(np.exp(z / p["temperature"]))
    if name == "softcap":
        return total(np.exp(p["c"] * np.tanh(z / p["c"])))
    if name == "ssmax":
        return total(5.0 ** (p["scale"] * z))
    if name == "softmax1":
        return np.exp(z) / (1 + np.exp(z).sum(-1, keepdims=True))
    if name == "sigmoid":
        return 1 / (1 + 5 * np.exp(-z))
    if name == "softpick":
        return np.maximum(np.expm1(z), 0) / (np.abs(np.expm1(z)).sum(-1, keepdims=True) + 1e-6)
    if name == "relu":
        return np.maximum(z, 0) / 5
    low, high = np.minimum(z.min(-1, keepdims=True), 0), np.maximum(z.max(-1, keepdims=True), 0)
    return (z - low) / np.maximum(high - low, 1e-9) * total(np.exp(z))


@pytest.mark.parametrize(
    "name",
    "temperature softcap ssmax softmax1 sigmoid softpick relu sasoftmax".split(),
)
def test_each_is_its_equation(name):
    params = params_of(name, float)
    found = normalize(name, np.float32(ROWS), None, params)
    np.testing.assert_allclose(found, literal(name, params), atol=2e-6)


def bisected(row, alpha):
    """α-entmax of one row by bisection in float64."""
    z = (alpha - 1) * np.asarray(row, float)
    low, high = z.max() - 1, z.max()
    for _ in range(200):
        tau = (low + high) / 2
        mass = (np.maximum(z - tau, 0) ** (1 / (alpha - 1))).sum()
        low, high = (tau, high) if mass > 1 else (low, tau)
    return np.maximum(z - tau, 0) ** (1 / (alpha - 1))


@pytest.mark.parametrize("alpha", [1.02, 1.3, 1.5, 1.77, 2.0])
def test_entmax_is_the_root_that_bisection_finds(alpha):
    rng = np.random.default_rng(5)
    for size, spread in ((2, 1), (31, 0.1), (31, 30), (997, 3)):
        rows = rng.normal(0, spread, (3, size)).astype(np.float32)
        found = normalize("entmax", rows, None, {"alpha": np.float32(alpha)})
        expected = [bisected(row, float(np.float32(alpha))) for row in rows]
        np.testing.assert_allclose(found, expected, atol=3e-6 / (alpha - 1))


def test_sparsemax_is_the_projection_of_optax():
    rows = np.random.default_rng(6).normal(0, 2, (7, 23)).astype(np.float32)
    expected = jax.vmap(optax.projections.projection_simplex)(rows)
    np.testing.assert_allclose(normalize("sparsemax", rows), expected, atol=1e-6)
    assert (np.asarray(expected) == 0).mean() > 0.5


def test_the_limits_of_entmax():
    with jax.enable_x64(True):
        scores, where = scores_and_where(dtype=np.float64)
        softmax = np.asarray(normalize("softmax", scores, where))
        near = np.asarray(normalize("entmax", scores, where, {"alpha": np.float64(1 + 1e-5)}))
        np.testing.assert_allclose(near, softmax, atol=1e-4)
        for alpha, limit in ((2.0, "sparsemax"), (1.5, "entmax15")):
            same = normalize("entmax", scores, where, {"alpha": np.float64(alpha)})
            np.testing.assert_array_equal(same, normalize(limit, scores, where))


def test_ties_and_identical_scores():
    for name in ("sparsemax", "entmax15", "entmax"):
        np.testing.assert_allclose(normalize(name, np.zeros((2, 5), np.float32)), 0.2, atol=1e-6)
        twins = np.asarray(normalize(name, np.float32([3, 3, -9, -9])))
        np.testing.assert_allclose(twins, [0.5, 0.5, 0, 0], atol=1e-6)


def test_feature_maps_and_their_decay_are_their_equations():
    x = np.float32([[-3, -0.5, 0, 0.25, 2]])
    linear, cosformer = NORMALIZERS.pick("linear"), NORMALIZERS.pick("cosformer")
    np.testing.assert_allclose(
        linear.feature_map(x, {}), np.where(x > 0, x + 1, np.exp(x)), atol=1e-6
    )
    np.testing.assert_array_equal(cosformer.feature_map(x, {}), np.maximum(x, 0))
    distance = np.float32([[[-17, -7, -2, 0, 3, 7, 11]]])
    found = cosformer.position_weight(distance, {"length": np.float32(7)})
    expected = np.where(abs(distance) < 7, np.cos(np.pi * distance / 14), 0)
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("name", ["softmax", "relu", "sasoftmax", "softmax1"])
def test_capped_scores_are_what_the_formula_gets(name):
    z = np.float32(ROWS)
    capped = normalize(f"{name}:cap=1.3", z)
    np.testing.assert_allclose(capped, normalize(name, 1.3 * np.tanh(z / 1.3)), atol=2e-6)
    assert np.abs(capped - normalize(name, z)).max() > 0.01


@pytest.mark.parametrize("name", ["softmax", "softmax1", "softpick", "sasoftmax", "entmax15"])
def test_a_masked_key_is_as_good_as_absent(name):
    """Also where the masked score is the largest or the smallest, and all that is left is small."""
    for rest in ([0.3, -1.2, 2.0], [-4.0, -5.0, -6.0], [-1e-7, 2e-7, 0.0], [0.0, 0.0, 0.0]):
        for other in (40.0, -40.0):
            scores, where = np.float32([[*rest, other]]), np.array([[True, True, True, False]])
            found = normalize(name, scores, where)
            expected = normalize(name, np.float32([rest]))
            np.testing.assert_allclose(found[:, :3], expected, atol=1e-6)
            assert found[0, 3] == 0
