"""Contract of every row of NORMALIZERS; a new row inherits all of it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attention import normalizers
from attention.normalizers import NORMALIZERS, normalizer

normalize = jax.jit(normalizers.normalize, static_argnums=0)

B, T, S = 2, 3, 7


@pytest.fixture(params=NORMALIZERS)
def name(request):
    return request.param


def params_of(name, dtype=np.float32):
    """Values that are not the defaults, so that ignoring them shows."""
    return {k: dtype(1.3 * v) for k, v in NORMALIZERS[name].defaults.items()}


def scores_and_where(seed=0, dtype=np.float32):
    rng = np.random.default_rng(seed)
    scores = rng.normal(0, 3, (B, T, S)).astype(dtype)
    where = rng.random((B, T, S)) < 0.6
    where[0, 0] = True
    where[1, 2] = False
    where[0, 1, 3] = True  # at least one key elsewhere
    return scores, where


def test_weights_are_non_negative_and_sum_to_one(name):
    scores, where = scores_and_where()
    weights = np.asarray(normalize(name, scores, where, params_of(name)))
    assert weights.dtype == np.float32
    assert weights.min() >= 0
    np.testing.assert_allclose(weights.sum(-1), where.any(-1), atol=1e-6)
    unmasked = np.asarray(normalize(name, scores, None, params_of(name)))
    np.testing.assert_allclose(unmasked.sum(-1), 1, atol=1e-6)
    everywhere = np.asarray(normalize(name, scores, np.ones_like(where), params_of(name)))
    np.testing.assert_allclose(unmasked, everywhere, atol=1e-7)


def test_masking_equals_leaving_the_key_out(name):
    scores, where = scores_and_where()
    weights = np.asarray(normalize(name, scores, where, params_of(name)))
    for b, t in ((0, 0), (0, 2), (1, 0)):
        alone = normalize(name, scores[b, t][where[b, t]], None, params_of(name))
        np.testing.assert_allclose(weights[b, t][where[b, t]], alone, atol=1e-7)


@pytest.mark.parametrize("hidden", [0.0, 1e4, -1e4, np.inf, -np.inf, np.nan])
def test_nothing_of_a_masked_score_is_seen(name, hidden):
    scores, where = scores_and_where()
    probe = jnp.arange(float(B * T * S)).reshape(B, T, S)

    @jax.jit
    def loss(scores, params):
        return jnp.sum(probe * normalize(name, scores, where, params) ** 2)

    params = {k: jnp.float32(v) for k, v in params_of(name).items()}
    poisoned = np.where(where, scores, np.float32(hidden))
    weights = np.asarray(normalize(name, poisoned, where, params))
    assert (weights[~where] == 0).all()
    np.testing.assert_array_equal(weights, normalize(name, scores, where, params))

    gradient = jax.jit(jax.grad(loss, (0, 1)))
    clean, seen = gradient(scores, params), gradient(poisoned, params)
    assert (np.asarray(seen[0])[~where] == 0).all()
    jax.tree.map(np.testing.assert_array_equal, seen, clean)
    assert np.abs(seen[0]).max() > 0


def test_a_row_with_nothing_to_attend_to_is_zero(name):
    scores, where = scores_and_where()
    nothing = ~where.any(-1)
    assert nothing.any()
    weights = np.asarray(normalize(name, scores, where, params_of(name)))
    assert (weights[nothing] == 0).all()
    gradient = jax.grad(lambda s: jnp.sum(normalize(name, s, where) ** 2))(scores)
    assert np.isfinite(gradient).all()


def test_permuting_keys_permutes_weights(name):
    scores, where = scores_and_where()
    order = np.random.default_rng(1).permutation(S)
    direct = normalize(name, scores[..., order], where[..., order], params_of(name))
    weights = np.asarray(normalize(name, scores, where, params_of(name)))
    np.testing.assert_allclose(direct, weights[..., order], atol=1e-7)


def test_larger_scores_get_larger_weights(name):
    scores = np.linspace(-5, 5, S, dtype=np.float32)
    weights = np.asarray(normalize(name, scores, None, params_of(name)))
    assert (np.diff(weights) > 0).all()


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
    np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-6)
    gradient = jax.grad(lambda s: jnp.sum(normalize(name, s, where)[:, 1]))(scores)
    assert gradient.dtype == jnp.bfloat16
    assert np.isfinite(np.asarray(gradient, np.float32)).all()


def test_learned_parameters_start_at_the_defaults(name):
    row = normalizer(name)
    for granularity, shape in (("layer", ()), ("head", (5,))):
        raw = row.init(5, granularity)
        assert raw.keys() == row.defaults.keys()
        for key, value in row.constrain(raw).items():
            assert value.shape == shape
            assert value.dtype == jnp.float32
            np.testing.assert_allclose(value, row.defaults[key], rtol=1e-6)
    scores, where = scores_and_where()
    np.testing.assert_array_equal(
        normalize(name, scores, where), normalize(name, scores, where, row.defaults)
    )


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
    row, params = normalizer("ssa"), {"n": jnp.float32(1.7), "b": jnp.float32(0.6)}
    slope = jax.grad(lambda s: row.logit_transform(s, params))
    np.testing.assert_allclose(slope(jnp.float32(0)), 1.7 * 0.6, rtol=1e-6)
    np.testing.assert_allclose(slope(jnp.float32(1e-6)), 1.7 * 0.6, rtol=1e-5)
    np.testing.assert_allclose(slope(jnp.float32(-1e-6)), 1.7 * 0.6, rtol=1e-5)
    assert slope(jnp.float32(5)) < slope(jnp.float32(1)) < 1.7 * 0.6


def test_unknown_names_and_parameters_raise():
    with pytest.raises(ValueError, match=r"softmin.*softmax, ssa"):
        normalize("softmin", jnp.ones(3))
    with pytest.raises(ValueError, match="'ssa' has no parameter temperature"):
        normalize("ssa", jnp.ones(3), None, {"temperature": jnp.float32(1)})
    with pytest.raises(ValueError, match="'softmax' has no parameter b, n"):
        normalize("softmax", jnp.ones(3), None, {"n": jnp.float32(1), "b": jnp.float32(1)})
    with pytest.raises(KeyError):
        normalizer("ssa").init(3, "model")
