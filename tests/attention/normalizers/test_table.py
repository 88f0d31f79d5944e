"""Contract of every row of NORMALIZERS that works on scores; a new row inherits all of it."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from attention import normalizers
from attention.normalizers import (
    CONSTRAINTS,
    LOG2E,
    NORMALIZERS,
    Normalizer,
    Parameter,
    masked_softmax,
    precise_log2,
)

normalize = jax.jit(normalizers.normalize, static_argnums=0)

B, T, S = 2, 3, 7


SCORES = [name for name, row in NORMALIZERS.items() if row.form == "scores"]


@pytest.fixture(params=SCORES)
def name(request):
    return request.param


def test_there_are_many():
    assert len(SCORES) >= 12
    assert set(NORMALIZERS) - set(SCORES) == {"linear", "cosformer"}
    for row in NORMALIZERS.values():
        forms = (row.logit_transform, row.weigh, row.feature_map)
        assert sum(form is not None for form in forms) == 1


def params_of(name, dtype=np.float32):
    """Values that are not the defaults, so that ignoring them shows."""
    changed = {k: dtype(1.3 * v) for k, v in NORMALIZERS[name].defaults.items()}
    return changed | ({"c": dtype(2.6)} if "c" in changed else {})  # where capping shows


def scores_and_where(seed=0, dtype=np.float32):
    rng = np.random.default_rng(seed)
    scores = rng.normal(0, 3, (B, T, S)).astype(dtype)
    where = rng.random((B, T, S)) < 0.6
    where[0, 0] = True
    where[1, 2] = False
    where[0, 1, 3] = True  # at least one key elsewhere
    return scores, where


def test_the_flags_are_true(name):
    row = NORMALIZERS.pick(name)
    scores, where = scores_and_where()
    weights = np.asarray(normalize(name, scores, where, params_of(name)))
    assert weights.dtype == np.float32
    assert (weights.min() >= 0) == row.non_negative
    sums_to_one = np.allclose(weights.sum(-1), where.any(-1), atol=1e-6)
    assert sums_to_one == row.sums_to_one
    unmasked = np.asarray(normalize(name, scores, None, params_of(name)))
    assert np.allclose(unmasked.sum(-1), 1, atol=1e-6) == row.sums_to_one
    everywhere = np.asarray(normalize(name, scores, np.ones_like(where), params_of(name)))
    np.testing.assert_allclose(unmasked, everywhere, atol=1e-7)
    shifted = normalize(name, scores + np.float32(1.7), where, params_of(name))
    assert np.allclose(shifted, weights, atol=2e-6) == row.shift_invariant


def test_masking_equals_leaving_the_key_out(name):
    scores, where = scores_and_where()
    weights = np.asarray(normalize(name, scores, where, params_of(name)))
    for b, t in ((0, 0), (0, 2), (1, 0)):
        alone = normalize(name, scores[b, t][where[b, t]], None, params_of(name))
        np.testing.assert_allclose(weights[b, t][where[b, t]], alone, atol=1e-7)


def test_nothing_of_a_masked_score_is_seen(name):
    scores, where = scores_and_where()
    probe = jnp.arange(float(B * T * S)).reshape(B, T, S)

    @jax.jit
    def loss(scores, params):
        return jnp.sum(probe * normalize(name, scores, where, params) ** 2)

    params = {k: jnp.float32(v) for k, v in params_of(name).items()}
    gradient = jax.jit(jax.grad(loss, (0, 1)))
    clean = gradient(scores, params)
    for hidden in (0.0, 1e4, -1e4, np.inf, -np.inf, np.nan):
        poisoned = np.where(where, scores, np.float32(hidden))
        weights = np.asarray(normalize(name, poisoned, where, params))
        assert (weights[~where] == 0).all()
        np.testing.assert_array_equal(weights, normalize(name, scores, where, params))
        seen = gradient(poisoned, params)
        assert (np.asarray(seen[0])[~where] == 0).all()
        jax.tree.map(np.testing.assert_array_equal, seen, clean)
        assert np.abs(seen[0]).max() > 0


def test_a_row_with_nothing_to_attend_to_is_zero(name):
    scores, where = scores_and_where()
    nothing = ~where.any(-1)
    assert nothing.any()
    weights = np.asarray(normalize(name, scores, where, params_of(name)))
    assert (weights[nothing] == 0).all()
    gradient = jax.grad(lambda s, p: jnp.sum(normalize(name, s, where, p) ** 2), (0, 1))
    for leaf in jax.tree.leaves(gradient(scores, params_of(name))):
        assert np.isfinite(leaf).all()


def test_permuting_keys_permutes_weights(name):
    scores, where = scores_and_where()
    order = np.random.default_rng(1).permutation(S)
    direct = normalize(name, scores[..., order], where[..., order], params_of(name))
    weights = np.asarray(normalize(name, scores, where, params_of(name)))
    np.testing.assert_allclose(direct, weights[..., order], atol=1e-7)


def test_larger_scores_get_larger_weights(name):
    scores = np.linspace(-5, 5, S, dtype=np.float32)
    weights = np.asarray(normalize(name, scores, None, params_of(name)))
    assert (np.diff(weights) >= 0).all() and weights[-1] > weights[0]


def test_gradients_agree_with_finite_differences(name):
    with jax.enable_x64(True):
        scores, where = scores_and_where(dtype=np.float64)
        params = params_of(name, np.float64)
        probe = np.random.default_rng(2).normal(size=scores.shape)

        @jax.jit
        def loss(scores, params):
            weights = normalize(name, scores, where, params)
            assert weights.dtype == jnp.float64
            return jnp.sum(probe * weights)

        of_scores, of_params = jax.jit(jax.grad(loss, (0, 1)))(scores, params)
        step = 1e-6
        for place in np.ndindex(scores.shape):
            nudge = np.zeros_like(scores)
            nudge[place] = step
            slope = (loss(scores + nudge, params) - loss(scores - nudge, params)) / (2 * step)
            np.testing.assert_allclose(of_scores[place], slope, atol=1e-8)
        for key, value in params.items():
            more, less = params | {key: value + step}, params | {key: value - step}
            slope = (loss(scores, more) - loss(scores, less)) / (2 * step)
            np.testing.assert_allclose(of_params[key], slope, atol=1e-8)
            assert abs(slope) > 1e-3, "the parameter does nothing"


def test_finite_at_large_scores_in_bfloat16(name):
    scores = jnp.asarray([[-1e4, 1e4, 0, 1, 1e4], [-1e4, -1e4, -1e4, 1e4, -1]], jnp.bfloat16)
    where = np.array([[True] * 5, [True, True, False, False, True]])
    weights = normalize(name, scores, where)
    assert weights.dtype == jnp.float32
    assert np.isfinite(weights).all()
    if NORMALIZERS.pick(name).sums_to_one:
        np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-6)
    params = {key: jnp.float32(value) for key, value in NORMALIZERS.pick(name).defaults.items()}
    gradient, of_params = jax.grad(
        lambda s, p: jnp.sum(normalize(name, s, where, p)[:, 1]), (0, 1)
    )(scores, params)
    assert gradient.dtype == jnp.bfloat16
    for leaf in (np.asarray(gradient, np.float32), *of_params.values()):
        assert np.isfinite(leaf).all()


def test_learned_parameters_start_at_the_defaults(name):
    row = NORMALIZERS.pick(name)
    for granularity, shape in (("layer", ()), ("model", ()), ("head", (5,))):
        raw = dataclasses.replace(row, per=granularity).init(5)
        assert raw.keys() == {key for key, p in row.parameters.items() if p.learned}
        assert row.constrain(raw).keys() == row.parameters.keys()
        for key, value in raw.items():
            assert (value.shape, value.dtype) == (shape, jnp.float32)
            np.testing.assert_allclose(row.constrain(raw)[key], row.defaults[key], rtol=1e-6)
    scores, where = scores_and_where()
    np.testing.assert_allclose(
        normalize(name, scores, where), normalize(name, scores, where, row.defaults), atol=1e-6
    )


@pytest.mark.parametrize("domain", CONSTRAINTS)
def test_constraints_and_their_inverses(domain):
    forward, back = CONSTRAINTS[domain]
    for value in (1.2, 1.5, 1.9):
        np.testing.assert_allclose(forward(back(jnp.float32(value))), value, rtol=1e-6)


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


ROWS = [[0.3, -1.2, 2.0, 0.7, 1.9], [3.0, 0.0, -4.0, 2.9, 2.8], [0.0] * 5]


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


def reads_count(row):
    """Whether the traced formula looks at the number of keys."""
    scores = jnp.zeros((T, S))
    values = {name: jnp.float32(value) for name, value in row.defaults.items()}

    def formula(count):
        if row.weigh is not None:
            return row.weigh(scores, None, values, count)
        return row.logit_transform(scores, values, count)

    traced = jax.make_jaxpr(formula)(jnp.ones((T, 1)))
    [count] = traced.jaxpr.invars
    return any(variable is count for step in traced.jaxpr.eqns for variable in step.invars)


def test_what_fast_paths_are_told_is_true(name):
    """`uses_count`, `identity` and `base2` of each row against its formula."""
    row = NORMALIZERS[name]
    assert row.uses_count == reads_count(row)
    if row.logit_transform is None:
        assert not row.identity and row.base2 is None
        return
    scores = jnp.asarray(scores_and_where()[0])
    values = {key: jnp.float32(value) for key, value in params_of(name).items()}
    count = jnp.full((B, T, 1), 5.0)
    logits, pull = jax.vjp(lambda s, v: row.logit_transform(s, v, count), scores, values)
    assert row.identity == np.array_equal(logits, scores)
    if row.base2 is None:
        return
    found, pull2 = jax.vjp(lambda s, v: row.base2(s, v, count, precise_log2), scores, values)
    np.testing.assert_allclose(found, LOG2E * logits, rtol=2e-6)
    for one, other in zip(
        jax.tree.leaves(pull2(jnp.ones_like(scores))),
        jax.tree.leaves(pull(LOG2E * jnp.ones_like(scores))),
        strict=True,
    ):
        np.testing.assert_allclose(one, other, rtol=2e-5)


def test_ties_and_identical_scores():
    for name in ("sparsemax", "entmax15", "entmax"):
        np.testing.assert_allclose(normalize(name, np.zeros((2, 5), np.float32)), 0.2, atol=1e-6)
        twins = np.asarray(normalize(name, np.float32([3, 3, -9, -9])))
        np.testing.assert_allclose(twins, [0.5, 0.5, 0, 0], atol=1e-6)


def test_a_new_one_takes_one_function_and_one_row(monkeypatch):
    """What docs/extending.md shows."""

    def cubed(scores, params, count):
        return params["a"] * scores**3

    row = Normalizer("softmax(a s^3)", cubed, parameters={"a": Parameter(0.5)})
    monkeypatch.setitem(NORMALIZERS, "cubed", row)
    scores, where = scores_and_where()
    weights = normalizers.normalize("cubed:a=2", scores, where)
    expected = masked_softmax(2 * jnp.asarray(scores) ** 3, where)
    np.testing.assert_allclose(weights, expected, atol=1e-6)
    assert NORMALIZERS.pick("cubed").init(3).keys() == {"a"}
    assert dataclasses.replace(row, per="head").init(3)["a"].shape == (3,)
