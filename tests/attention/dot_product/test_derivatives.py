"""Rules of derivatives against JAX's own, in float64, and against finite differences."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from attention.dot_product.derivatives import (
    projected,
    standardized,
    standardized_by_rule,
    transposed_apart,
)


@pytest.mark.quick("0.001-shape0-True", "1-shape3-True", "1-shape2-False")
@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("shape", [(3, 5, 7), (11, 5), (13,), (2, 3, 5, 17)])
@pytest.mark.parametrize("scale", [1e-3, 1, 1e4])
def test_standardized(centred, shape, scale):
    with jax.enable_x64(True):
        x = scale * (jax.random.normal(jax.random.key(0), shape, "f8") + 2)
        d_h = jax.random.normal(jax.random.key(1), shape, "f8")

        @functools.partial(jax.jit, static_argnums=0)
        def value_and_pulled(rule, x, d_h):
            out, pull = jax.vjp(lambda x: rule(centred, 1e-5, x), x)
            return out, pull(d_h)[0]

        plain, expected = value_and_pulled(standardized, x, d_h)
        ruled, found = value_and_pulled(standardized_by_rule, x, d_h)
        assert np.array_equal(plain, ruled)
        np.testing.assert_allclose(found, expected, atol=1e-11 * np.abs(expected).max())
        if scale == 1:
            how = {"order": 1, "modes": ["rev"], "atol": 1e-5, "rtol": 1e-5}
            check_grads(jax.jit(lambda x: standardized_by_rule(centred, 1e-5, x)), (x,), **how)


def test_standardized_is_that_of_numpy():
    with jax.enable_x64(True):
        x = np.random.default_rng(0).normal(3, 2, size=(5, 7))
        away = x - x.mean(-1, keepdims=True)
        layer = away / np.sqrt((away**2).mean(-1, keepdims=True) + 0.1)
        root = x / np.sqrt((x**2).mean(-1, keepdims=True) + 0.1)
        np.testing.assert_allclose(standardized(True, 0.1, jnp.array(x)), layer, rtol=1e-13)
        np.testing.assert_allclose(standardized(False, 0.1, jnp.array(x)), root, rtol=1e-13)


@pytest.mark.parametrize("centred", [True, False])
def test_rows_without_spread(centred):
    """All places equal, or zero: a finite gradient, that of JAX."""
    x = jnp.stack([jnp.zeros(7), jnp.full(7, 3.0)])

    def total(rule, x):
        return jnp.sum(jnp.sin(jnp.arange(7.0)[None] + rule(centred, 1e-5, x)))

    gradient = jax.jit(jax.grad(total, 1), static_argnums=0)
    expected, found = (gradient(f, x) for f in (standardized, standardized_by_rule))
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_rules_under_vmap():
    x = jax.random.normal(jax.random.key(0), (3, 5, 7))
    kernel = jax.random.normal(jax.random.key(1), (3, 7, 2))

    def loss(x, kernel):
        return jnp.sum(jnp.cos(projected("TD,DF->TF", None, x, kernel))) + jnp.sum(
            jnp.sin(standardized_by_rule(True, 1e-5, x)[..., 0])
        )

    gradient = jax.grad(loss, (0, 1))
    together, alone = jax.jit(jax.vmap(gradient))(x, kernel), jax.jit(gradient)
    for i in range(3):
        for ours, theirs in zip(together, alone(x[i], kernel[i]), strict=True):
            np.testing.assert_allclose(ours[i], theirs, atol=1e-5)


@pytest.mark.quick("BTD,DNH->BTNH-shapes3", "BTD,VD->BTV-shapes5")
@pytest.mark.parametrize(
    ("equation", "shapes"),
    [
        ("BTD,DF->BTF", [(3, 5, 2), (2, 7)]),  # the input is the smaller side
        ("BTD,DF->BTF", [(3, 5, 7), (7, 2)]),  # the output is, of an odd number of rows
        ("BTF,FD->BTD", [(2, 5, 7), (7, 3)]),  # … of an even one
        ("BTD,DNH->BTNH", [(3, 5, 11), (11, 2, 3)]),
        ("BTNH,NHD->BTD", [(2, 5, 2, 3), (2, 3, 5)]),
        ("BTD,VD->BTV", [(3, 5, 7), (11, 7)]),  # a table, which keeps JAX's own
    ],
)
def test_projected(equation, shapes):
    with jax.enable_x64(True):
        x, kernel = (jax.random.normal(jax.random.key(i), s, "f8") for i, s in enumerate(shapes))

        def both(f):
            value = jax.value_and_grad(lambda x, k: jnp.sum(jnp.sin(f(x, k))), (0, 1))
            return jax.jit(value)(x, kernel)

        expected = both(lambda x, kernel: jnp.einsum(equation, x, kernel))
        found = both(lambda x, kernel: projected(equation, "highest", x, kernel))
        for one, other in zip(jax.tree.leaves(expected), jax.tree.leaves(found), strict=True):
            np.testing.assert_allclose(other, one, rtol=1e-12, atol=1e-12)


def test_transposed_apart():
    x = np.arange(30).reshape(2, 3, 5)
    assert np.array_equal(transposed_apart(jnp.array(x)), x.swapaxes(1, 2))
