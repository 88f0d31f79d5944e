"""Exact roots, and both readings of the inverse problem with a perfect model in place of a run."""

import numpy as np
import pytest

from attention.errors import InputError
from icl.analysis import approximate, roots
from icl.tasks import baseline
from icl.tasks.functions import (
    ESTIMATORS,
    FunctionTask,
    RootQuestions,
    function_class,
    real_roots,
    root_questions,
)

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
    def roots_of(text, coefficients):
        return real_roots(function_class(text).monomials(np.array(coefficients)))

    np.testing.assert_allclose(roots_of("affine", [2.0, -3.0]), [1.5])
    third = roots_of("chebyshev:degree=3", [0.0, 0, 0, 1])
    np.testing.assert_allclose(third, [-np.sqrt(0.75), 0, np.sqrt(0.75)], atol=1e-12)
    for text in ("tree", "affine:d=2"):
        with pytest.raises(InputError, match="no polynomial of one number"):
            roots_of(text, np.ones(3))


@pytest.mark.parametrize("inverse", [False, True])
def test_both_readings_with_a_perfect_model(inverse, untrained, monkeypatch):
    exact = baseline(FunctionTask(), ESTIMATORS, "least-squares")

    def ask(trained, x_BT, y_BT):
        out = [exact(x[None, :, None], y[None, None])[0, 0, -1]
               for x, y in zip(x_BT, y_BT, strict=True)]  # fmt: skip
        return np.array(out)

    monkeypatch.setattr(roots, "predict_last", ask)
    perfect = untrained(inverse=inverse, points=7)
    found = approximate(perfect, count=11, grid=13, seed=1)
    assert found["functions"] + found["without_root"] == 11 and found["functions"] > 4
    assert found["median_distance"] < 1e-4 and found["within_0.1"] == 1
    assert found["unanswered"] == 0
    assert found["median_distance_of_zero"] > 0.1  # a constant answer is no root


@pytest.mark.parametrize("inverse", [False, True])
def test_functions_of_another_class_are_asked(inverse, untrained, monkeypatch):
    seen = []

    def ask(trained, x_BT, y_BT):
        seen.append((np.array(x_BT[:, :-1]), np.array(y_BT[:, :-1])))
        return np.zeros(len(x_BT))

    monkeypatch.setattr(roots, "predict_last", ask)
    asked = FunctionTask(functions=function_class("fixed:number=3"), points=7)
    approximate(untrained(inverse=inverse, points=7), asked=asked, count=3, grid=2)
    x, y = reversed(seen[0]) if inverse else seen[0]
    np.testing.assert_allclose(y, POLYNOMIAL.polyval(x, [4, -4, -1, 1]), rtol=1e-4, atol=1e-4)


def test_scores_by_hand():
    asked = RootQuestions(
        np.zeros((4, 2)), np.zeros((4, 2)),
        [np.array([-1.0, 2.0]), np.array([0.5]), np.array([]), np.array([-2.0, 0.0, 1.0])],
    )  # fmt: skip
    found = asked.score([np.array([2.05, -0.7]), np.array([]), np.array([9.0]), np.array([0.3])])
    assert (found["functions"], found["without_root"], found["unanswered"]) == (3, 1, 1)
    assert found["median_distance"] == pytest.approx(0.3)  # of 0.05, ∞ and 0.3
    assert found["within_0.1"] == pytest.approx(1 / 3)
    assert found["coverage"] == pytest.approx((1 / 2 + 0 + 0) / 3)
    assert found["median_distance_of_zero"] == 0.5  # of 1, 0.5 and 0
    assert found["coverage_of_zero"] == pytest.approx((0 + 0 + 1 / 3) / 3)


def test_roots_of_a_degree_that_a_sweep_names():
    task = FunctionTask(functions=function_class("polynomial:degrees=1+3"), points=5)
    (setting,) = task.settings(["degree=2"])
    asked = root_questions(task, setting, count=97, low=-1e6, high=1e6)
    counts = np.array([roots.size for roots in asked.roots])
    assert set(counts) == {0, 2} and 0 < (counts == 0).sum() < 60  # real or complex
    fixed = FunctionTask(functions=function_class("fixed:number=3"), points=5)
    for exact in root_questions(fixed, count=3).roots:
        np.testing.assert_allclose(exact, [-2, 1, 2], atol=1e-6)
    with pytest.raises(InputError, match="not of prompt"):
        root_questions(task, {"prompt": "sorted"}, count=3)


def test_no_change_of_sign_is_counted(untrained, monkeypatch):
    monkeypatch.setattr(roots, "predict_last", lambda trained, x, y: np.ones(len(x)))
    found = approximate(untrained(), count=11, grid=3)
    assert found["unanswered"] == found["functions"] and np.isinf(found["median_distance"])
    with pytest.raises(InputError, match="none of 3"):
        approximate(untrained(), count=3, low=50, high=50.1, grid=3)
    with pytest.raises(InputError, match="learned functions, not some"):
        approximate(untrained(preset="some-1l1ah"))
