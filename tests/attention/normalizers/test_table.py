"""Contract of every row of NORMALIZERS that works on scores; a new row inherits all of it."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
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
