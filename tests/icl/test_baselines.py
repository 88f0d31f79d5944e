"""Baselines against plain loops; causality; the published evaluation set."""

import numpy as np
import pytest

from attention.errors import InputError
from icl.evaluation import errors as evaluation
from icl.evaluation.baselines import predict
from icl.papers import published
from icl.papers.published import TABLE_2

RNG = np.random.default_rng(5)
X = RNG.normal(size=(3, 11, 2))
Y = RNG.normal(size=(2, 3, 11))
ALL = ["zero", "least-squares", "least-squares-no-intercept", "ridge", "ridge-0.1", "polynomial-2"]
ALL += ["knn-3", "averaging", "mean", "gradient-descent-5", "lasso-0.1", "tree-2"]


def one(a, y, solve):
    return solve(a) @ y


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


def test_published_evaluation_set():
    names = ["zero", "least-squares", "knn-3"]
    by_name = evaluation.predictors(names, [])
    rows, positions = evaluation.evaluate(published.evaluation_set(), by_name)
    at = {(r["predictor"], r["inputs"], r["sigma"]): r["error"] for r in rows}
    uniform = (1.52, 4.43, 13.55, 19.94, 30.81, 44.75, 52.71, 76.11, 105.43, 128.52)
    for i in range(10):
        assert at["zero", "normal", i + 1] == pytest.approx(TABLE_2["zero"][i], abs=0.01)
        assert at["zero", "uniform", i + 1] == pytest.approx(uniform[i], abs=0.01)
        assert at["least-squares", "normal", i + 1] < 1e-6
        assert at["least-squares", "uniform", i + 1] < 1e-6
    best = TABLE_2["12l8ah"]
    assert all(at["knn-3", "normal", s] < best[s - 1] for s in range(6, 11))
    assert all(row["low"] <= row["error"] <= row["high"] for row in rows)
    assert len(positions) == len(rows) * 40


def test_the_bundled_set_is_the_shared_one(shared):
    ours = published.evaluation_set()
    theirs = published.evaluation_set(shared / "icl/icl_eval_set.npz")
    for a, b in zip(ours, theirs, strict=True):
        assert np.array_equal(a.y_FBT, b.y_FBT) and a.labels == b.labels
