"""Exact roots, and both readings of the inverse problem with a perfect model in place of a run."""

import dataclasses

import numpy as np
import pytest
from icl_runs import TINY

from attention.errors import InputError
from icl.analysis import roots
from icl.analysis.roots import approximate, real_roots, roots_of
from icl.evaluation.baselines import predict
from icl.tasks.functions import function_class
from icl.training.fitting import Trained

POLYNOMIAL = np.polynomial.polynomial


@pytest.mark.parametrize(
    ("ascending", "expected"),
    [
        ([4, -4, -1, 1], [-2, 1, 2]),
        ([-1 / 48, 1 / 24, 5 / 16, -5 / 12, -11 / 12, 1], [-1 / 2, -1 / 3, 1 / 4, 1 / 2, 1]),
        ([20, 0, -1], [-np.sqrt(20), np.sqrt(20)]),
        ([1, 0, 1], []),
        ([0, 0, 3], [0]),
        ([2, 4, 0, 0], [-0.5]),
        ([7], []),
        ([0, 0], []),
    ],
)
def test_roots_of_known_polynomials(ascending, expected):
    np.testing.assert_allclose(real_roots(np.array(ascending, float)), expected, atol=1e-12)


def test_roots_of_polynomials_made_of_them():
    rng = np.random.default_rng(4)
    for _ in range(50):
        made = np.sort(rng.uniform(-3, 3, rng.integers(1, 6)))
        if made.size > 1 and np.diff(made).min() < 0.05:
            continue
        found = real_roots(rng.normal() * POLYNOMIAL.polyfromroots(made))
        np.testing.assert_allclose(found, made, atol=1e-9)


def test_roots_of_classes():
    np.testing.assert_allclose(roots_of(function_class("affine"), np.array([2.0, -3.0])), [1.5])
    third = roots_of(function_class("chebyshev:degree=3"), np.array([0.0, 0, 0, 1]))
    np.testing.assert_allclose(third, [-np.sqrt(0.75), 0, np.sqrt(0.75)], atol=1e-12)
    with pytest.raises(InputError, match="roots are known of"):
        roots_of(function_class("tree"), np.ones(3))


@pytest.mark.parametrize("inverse", [False, True])
def test_both_readings_with_a_perfect_model(inverse, monkeypatch):
    experiment = dataclasses.replace(TINY, inverse=inverse, points=7)
    perfect = Trained(experiment, experiment.task(), experiment.config(), {})

    def ask(trained, x_BT, y_BT):
        out = [predict("least-squares", x[None, :, None], y[None, None])[0, 0, -1]
               for x, y in zip(x_BT, y_BT, strict=True)]  # fmt: skip
        return np.array(out)

    monkeypatch.setattr(roots, "_ask", ask)
    found = approximate(perfect, count=11, grid=13, seed=1)
    assert found["functions"] + found["without_root"] == 11 and found["functions"] > 4
    assert found["median_distance"] < 1e-4 and found["within_0.1"] == 1
    assert found["unanswered"] == 0
    assert found["median_distance_of_zero"] > 0.1  # a constant answer is no root


def test_no_change_of_sign_is_counted(monkeypatch):
    perfect = Trained(TINY, TINY.task(), TINY.config(), {})
    monkeypatch.setattr(roots, "_ask", lambda trained, x, y: np.ones(len(x)))
    found = approximate(perfect, count=11, grid=3)
    assert found["unanswered"] == found["functions"] and np.isinf(found["median_distance"])
    with pytest.raises(InputError, match="none of 3"):
        approximate(perfect, count=3, low=50, high=50.1, grid=3)
    some = dataclasses.replace(TINY, preset="some-1l1ah")
    with pytest.raises(InputError, match="not of quantifiers"):
        approximate(Trained(some, some.task(), some.config(), {}))
