"""Prompting strategies, the functions that no training saw, and the pool of the Bayes predictor."""

import json

import jax
import numpy as np
import pytest

from attention.errors import InputError
from icl.tasks import PROMPTINGS, Form, Sampling, baseline
from icl.tasks.functions import ESTIMATORS, FunctionTask, function_class
from icl.tasks.functions.estimators import POOL_SEED

LINEAR = FunctionTask(functions=function_class("linear:d=7"), points=5)


def drawn(prompt, task=LINEAR, **changed):
    setting = {**task.setting, "prompt": prompt, **changed}
    return task.draw(setting, Sampling(3, 11, 2))


@pytest.fixture(scope="module")
def cases():
    return {name: drawn(name) for name in PROMPTINGS}


def test_which_positions_count(cases):
    for name, case in cases.items():
        count = case.where_BT.sum()
        assert count == (1 if PROMPTINGS[name].query else 3) and case.where_BT[0, -1]


def test_values_belong_to_the_inputs_that_are_shown(cases):
    weights_FD = None
    for case in cases.values():
        if weights_FD is None:  # 11 prompts of 5 points tell the 7 weights
            rows = case.x_BTD.reshape(-1, 7)
            weights_FD = np.linalg.lstsq(rows, case.y_FBT.reshape(3, -1).T, rcond=None)[0].T
        expected = np.einsum("FD,BTD->FBT", weights_FD, case.x_BTD)
        np.testing.assert_allclose(case.y_FBT, expected, atol=2e-5)


def test_inputs_of_half_the_dimensions(cases):
    singular_BC = np.linalg.svd(cases["half-subspace"].x_BTD, compute_uv=False)
    assert (singular_BC[:, 2] > 0.1).all() and (singular_BC[:, 3:] < 1e-5).all()


def test_both_transforms_keep_the_mean_square():
    wide = FunctionTask(functions=function_class("linear:d=7"), points=997)
    for name in ("half-subspace", "skewed"):
        assert np.square(drawn(name, wide).x_BTD).mean() == pytest.approx(1, abs=0.05)
    covariance = np.cov(drawn("skewed", wide).x_BTD[0].T)
    values = np.linalg.eigvalsh(covariance)[::-1]
    assert values[0] / values[1] == pytest.approx(4, rel=0.2)  # ∝ 1/i²


def test_the_query_of_each_strategy(cases):
    plain, query = cases["drawn"].x_BTD, {name: case.x_BTD[:, -1] for name, case in cases.items()}
    before = cases["other-quadrant"].x_BTD[:, :-1]
    np.testing.assert_array_equal(np.abs(before), np.abs(plain[:, :-1]))
    assert (np.sign(before) == np.sign(before[:, :1])).all()
    np.testing.assert_array_equal(query["other-quadrant"], plain[:, -1])
    across = np.einsum("BTD,BD->BT", plain[:, :-1], query["orthogonal"])
    assert np.abs(across).max() < 1e-4
    np.testing.assert_allclose(
        np.linalg.norm(query["orthogonal"], axis=1), np.linalg.norm(plain[:, -1], axis=1), rtol=1e-4
    )
    equal = (plain[:, :-1] == query["query-in-prompt"][:, None]).all(axis=2)
    assert (equal.sum(axis=1) == 1).all() and equal.any(axis=0).sum() > 1


def test_scale_multiplies_the_values(cases):
    tripled = drawn("drawn", scale=3.0)
    np.testing.assert_allclose(tripled.y_FBT, 3 * cases["drawn"].y_FBT, rtol=1e-6)
    np.testing.assert_array_equal(tripled.x_BTD, cases["drawn"].x_BTD)


@pytest.mark.parametrize(
    ("prompt", "functions", "said"),
    [
        ("skewed", "affine", "inputs of several numbers"),
        ("half-subspace", "affine", "inputs of several numbers"),
        ("orthogonal", "linear:d=3", "try --points 3"),
    ],
)
def test_strategies_that_cannot_be(prompt, functions, said):
    with pytest.raises(InputError, match=said):
        drawn(prompt, FunctionTask(functions=function_class(functions), points=5))


def test_a_sweep_called_by_its_old_name():
    with pytest.raises(InputError, match="is now --sweep prompt=sorted"):
        LINEAR.settings(["order=sorted"])


def test_smooth_functions_have_the_kernel_of_a_gaussian_process():
    task = FunctionTask(functions=function_class("smooth:waves=97,length=0.5"), points=3)
    case = task.draw({**task.setting, "inputs": "uniform:0,1"}, Sampling(4001, 3, 5))
    x_BT = case.x_BTD[:, :, 0].astype(np.float64)
    for b in range(3):
        covariance = np.mean(case.y_FBT[:, b, 0] * case.y_FBT[:, b, 1])
        expected = np.exp(-((x_BT[b, 0] - x_BT[b, 1]) ** 2) / (2 * 0.5**2))
        assert covariance == pytest.approx(expected, abs=0.06)
        assert np.mean(np.square(case.y_FBT[:, b])) == pytest.approx(1, abs=0.06)


def test_the_bayes_predictor_of_a_pool():
    task = FunctionTask(functions=function_class("noisy:d=2,noise=0.5"), points=5)
    case = task.draw(task.setting, Sampling(2, 3, 7))
    found = baseline(task, ESTIMATORS, "dmmse-7")(case.x_BTD, case.y_FBT)
    pool = [
        np.asarray(task.functions.draw(key, task.coefficients))
        for key in jax.random.split(jax.random.key(POOL_SEED), 7)
    ]
    for f, b, t in np.ndindex(found.shape):
        x_TD, y_T = case.x_BTD[b], case.y_FBT[f, b]
        odds = [np.exp(-sum((y_T[:t] - x_TD[:t] @ w) ** 2) / (2 * 0.5**2)) for w in pool]
        expected = sum(o * x_TD[t] @ w for o, w in zip(odds, pool, strict=True)) / sum(odds)
        assert found[f, b, t] == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_a_large_pool_comes_near_least_squares():
    task = FunctionTask(points=11)
    case = task.draw(task.setting, Sampling(5, 3, 7))
    errors = {}
    for name in ("dmmse-7", "dmmse-4096", "zero"):
        predicted = baseline(task, ESTIMATORS, name)(case.x_BTD, case.y_FBT)
        errors[name] = task.score(case, predicted)["error"]
    assert errors["dmmse-4096"] < 0.02 < errors["dmmse-7"] < 2 * errors["zero"]


def test_worked_examples_come_from_the_class_that_is_asked():
    task = FunctionTask(functions=function_class("step"), points=5)
    lines = task.as_text([0.1], [0.0], Form(examples=7)).splitlines()
    shown = [
        json.loads(each.removeprefix("List: ")) for each in lines if each.startswith("List: ")
    ][:-1]
    assert len(shown) == 7
    for numbers in shown:
        values = {y for x, y in zip(numbers[:-1:2], numbers[1::2], strict=True)}
        assert len(values) <= 2  # a step has two values, a line as many as points
