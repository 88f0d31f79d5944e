"""Baselines of functions against plain loops, and causality."""

import numpy as np
import pytest

from attention.errors import InputError
from icl.tasks import baseline
from icl.tasks.functions import ESTIMATORS, FunctionTask

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
