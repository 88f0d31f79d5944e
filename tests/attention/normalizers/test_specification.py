"""Normalizers by specification: what is understood, what is refused and how."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attention import normalizers
from attention.errors import InputError
from attention.normalizers import NORMALIZERS

normalize = jax.jit(normalizers.normalize, static_argnums=0)


SPECS = {
    "ssa:n=2,b=0.5": ({"n": 2.0, "b": 0.5}, {"n"}, "layer"),
    "ssa:learn=n+b,per=head": ({"n": 1.5, "b": 0.8}, {"n", "b"}, "head"),
    "ssa:learn=none": ({"n": 1.5, "b": 0.8}, set(), "layer"),
    "ssa:n=1.7,as=1+softplus,per=model": ({"n": 1.7, "b": 0.8}, {"n"}, "model"),
    "temperature:temperature=0.5,as=raw": ({"temperature": 0.5}, {"temperature"}, "layer"),
    "softmax:": ({}, set(), "layer"),
}


@pytest.mark.parametrize("spec", SPECS)
def test_specifications(spec):
    values, learned, per = SPECS[spec]
    row = NORMALIZERS.pick(spec)
    raw = row.init(3)
    assert (set(raw), row.per, row.learns) == (learned, per, bool(learned))
    assert all(value.shape == ((3,) if per == "head" else ()) for value in raw.values())
    found = row.constrain(raw)
    assert found.keys() == values.keys()
    for key, value in found.items():
        np.testing.assert_allclose(value, values[key], rtol=1e-6)
    rng = np.random.default_rng(0)
    scores = rng.normal(0, 3, (2, 3, 7)).astype(np.float32)
    where = rng.random((2, 3, 7)) < 0.6
    np.testing.assert_allclose(
        normalize(spec, scores, where),
        normalize(spec.partition(":")[0], scores, where, values),
        atol=1e-6,
    )


BAD = {
    "softmin": "unknown normalizer 'softmin' (did you mean softmax?); there are softmax, t",
    "ssa:m=2": "'m=2' is not understood; there are n, b, learn",
    "ssa:n=two": "n must be a number, not 'two'",
    "ssa:n=-1": "n must be between 0 and inf, not -1",
    "ssa:b=nan": "b must be between 0 and inf, not nan",
    "ssa:learn=c": "softmax(n sgn(s) log(1 + b|s|)) has no parameter c; it has n, b",
    "softmax:cap=0": "the cap of scores must be a positive number, not 0",
    "softmax:cap=high": "cap must be a number, not 'high'",
    "linear:cap=3": "phi = elu + 1 has no scores that cap=3 caps",
    "ssa:per=token": "'per=token' is not understood",
    "ssa:n=0.9,as=1+softplus": "n must be between 1 and inf, not 0.9",
    "entmax:alpha=2.5": "alpha must be between 1 and 2, not 2.5",
}


@pytest.mark.parametrize("spec", BAD)
def test_bad_specifications_are_named_in_one_line(spec):
    with pytest.raises(InputError) as caught:
        NORMALIZERS.pick(spec)
    assert BAD[spec] in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["softmax", "softmax1", "ssmax", "sigmoid", "entmax15"])
def test_capped_scores_are_scores_that_were_capped(name):
    rng = np.random.default_rng(0)
    scores = rng.normal(0, 9, (2, 3, 7)).astype(np.float32)
    where = rng.random((2, 3, 7)) < 0.6
    found = normalize(f"{name}:cap=2.5", scores, where)
    np.testing.assert_allclose(
        found, normalize(name, 2.5 * np.tanh(scores / 2.5), where), atol=1e-6
    )
    assert np.abs(found - normalize(name, scores, where)).max() > 0.05
    assert not NORMALIZERS.pick(f"{name}:cap=2.5").identity  # no kernel of plain softmax


def test_unknown_and_impossible_parameters_raise():
    with pytest.raises(InputError, match="has no parameter temperature; it has n, b"):
        normalize("ssa", jnp.ones(3), None, {"temperature": jnp.float32(1)})
    with pytest.raises(InputError, match=r"softmax\(s\) has no parameter b, n; it has none"):
        normalize("softmax", jnp.ones(3), None, {"n": jnp.float32(1), "b": jnp.float32(1)})
    with pytest.raises(InputError, match="b must be positive, not -1"):
        normalizers.normalize("ssa", jnp.ones(3), None, {"b": -1})
    with pytest.raises(InputError, match=r"n must be positive, not \[1. 0.\]"):
        normalizers.normalize("ssa", jnp.ones((2, 3)), None, {"n": np.array([1.0, 0.0])})
    for name in ("linear", "cosformer"):
        with pytest.raises(InputError, match="use dot_product_attention"):
            normalize(name, jnp.ones(3))
