"""Baselines of functions against plain loops, and causality."""

from types import SimpleNamespace

import jax
import numpy as np
import pytest

from attention.errors import InputError
from icl.tasks import baseline
from icl.tasks.baselines import Baseline
from icl.tasks.functions import ESTIMATORS, FunctionTask
from icl.tasks.functions.estimators import POOL_SEED, SPREAD

RNG = np.random.default_rng(5)
X = RNG.normal(size=(3, 11, 2))
Y = RNG.normal(size=(2, 3, 11))
ALL = ["zero", "least-squares", "least-squares-no-intercept", "ridge", "ridge-0.1", "polynomial-2"]
ALL += ["knn-3", "averaging", "mean", "gradient-descent-5", "lasso-0.1", "tree-2"]


def predict(name, x, y):
    return baseline(FunctionTask(), ESTIMATORS, name)(x, y)


@pytest.mark.parametrize("name", ALL)
def test_against_a_loop(name):
    intercept = lambda x: np.concatenate([x, np.ones((len(x), 1))], axis=1)  # noqa: E731

    def descend(x, y, query, steps=5):
        a = intercept(x)
        w, rate = np.zeros(a.shape[1]), 1 / np.linalg.eigvalsh(a.T @ a)[-1]
        for _ in range(steps):
            w -= rate * a.T @ (a @ w - y)
        return intercept(query[None])[0] @ w

    def ridge(x, y, query, penalty):
        a = intercept(x)
        w = np.linalg.solve(a.T @ a + penalty * np.eye(a.shape[1]), a.T @ y)
        return intercept(query[None])[0] @ w

    def fit(features):
        return lambda x, y, q: features(q[None])[0] @ np.linalg.lstsq(features(x), y, rcond=None)[0]

    def library(model):
        return lambda x, y, q: model.fit(x, y).predict(q[None])[0]

    from sklearn.linear_model import Lasso
    from sklearn.tree import DecisionTreeRegressor

    loops = {
        "zero": lambda x, y, q: 0.0,
        "least-squares": fit(intercept),
        "least-squares-no-intercept": fit(lambda x: x),
        "ridge": lambda x, y, q: ridge(x, y, q, 1.0),
        "ridge-0.1": lambda x, y, q: ridge(x, y, q, 0.1),
        "polynomial-2": fit(lambda x: intercept(np.concatenate([x, x**2], axis=1))),
        "knn-3": lambda x, y, q: y[np.argsort(((x - q) ** 2).sum(axis=1))[:3]].mean(),
        "averaging": lambda x, y, q: (y[:, None] * x).mean(axis=0) @ q,
        "mean": lambda x, y, q: y.mean(),
        "gradient-descent-5": descend,
        "lasso-0.1": library(Lasso(alpha=0.1)),
        "tree-2": library(DecisionTreeRegressor(max_depth=2, random_state=0)),
    }
    expected = np.zeros_like(Y)
    for f, b, t in np.ndindex(Y.shape):
        if t:
            expected[f, b, t] = loops[name](X[b, :t], Y[f, b, :t], X[b, t])
    np.testing.assert_allclose(predict(name, X, Y), expected, rtol=1e-9, atol=1e-9)


def test_points_that_span_no_plane_have_the_limit_of_gradient_descent():
    """The second coordinate never moves, and the first points are all the same."""
    x = np.concatenate([np.full((1, 3, 2), 1.5), np.full((1, 4, 2), 1.5)], axis=1)
    x[0, 3:, 0] = [0.2, -1.0, 2.0, 0.7]
    y = RNG.normal(size=(1, 1, 7))
    a = np.concatenate([x[0], np.ones((7, 1))], axis=1)
    expected = np.zeros(7)
    for t in range(1, 7):
        w, rate = np.zeros(3), 1 / np.linalg.eigvalsh(a[:t].T @ a[:t])[-1]
        for _ in range(9):
            w -= rate * a[:t].T @ (a[:t] @ w - y[0, 0, :t])
        expected[t] = a[t] @ w
    np.testing.assert_allclose(predict("gradient-descent-9", x, y)[0, 0], expected, atol=1e-9)


def test_the_bayes_predictor_of_a_finite_pool():
    task, pool = FunctionTask(), 5
    keys = jax.random.split(jax.random.key(POOL_SEED), pool)
    functions = [task.functions.draw(key, task.coefficients) for key in keys]
    x = np.random.default_rng(8).normal(0, 0.2, (2, 7, 1))
    values = np.array([[task.functions.value(f, x_TD) for x_TD in x] for f in functions], float)
    y = (0.6 * values[2] + 0.4 * values[4])[None] + 0.05
    expected = np.zeros(y.shape)
    for b, t in np.ndindex(2, 7):
        left = [np.exp(-np.sum((y[0, b, :t] - v[b, :t]) ** 2) / (2 * SPREAD**2)) for v in values]
        expected[0, b, t] = np.dot(left, values[:, b, t]) / np.sum(left)
    np.testing.assert_allclose(predict("dmmse-5", x, y), expected, rtol=1e-4, atol=1e-6)


def test_an_answer_is_clipped():
    plain = predict("least-squares", X, Y)
    assert np.abs(plain).max() > 0.8
    np.testing.assert_allclose(predict("clipped-0.8", X, Y), np.clip(plain, -0.8, 0.8))


@pytest.mark.parametrize("name", ALL)
def test_causal(name):
    later_x, later_y = X.copy(), Y.copy()
    later_x[:, 6:], later_y[:, :, 5:] = 77, -77
    before, after = predict(name, X, Y), predict(name, later_x, later_y)
    assert np.array_equal(before[:, :, :6], after[:, :, :6])


@pytest.mark.parametrize("name", ["", "nearest", "knn-0", "knn-1.5", "knn-x", "zero-1", "ridge--1"])
def test_unknown(name):
    with pytest.raises(InputError):
        predict(name, X, Y)


def test_what_a_row_says_reaches_its_function():
    def told(task, number, x, y):
        return number

    table = {"plain": Baseline(told), "some": Baseline(told, 2.5, "N", whole=False)}
    table["shown"] = Baseline(told, labels=True)
    bare, labelled = SimpleNamespace(labels=False), SimpleNamespace(labels=True)
    asked = {name: baseline(bare, table, name)(X, Y) for name in ("plain", "some", "some-0.5")}
    assert asked == {"plain": 0, "some": 2.5, "some-0.5": 0.5}
    assert baseline(labelled, table, "shown")(X, Y) == 0
    with pytest.raises(InputError, match="needs labels"):
        baseline(bare, table, "shown")
