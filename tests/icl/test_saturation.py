"""Boundary values, the limits that weights predict, and the bound that explains a row of errors."""

import dataclasses

import numpy as np
import pytest
from icl_runs import TINY

from attention.errors import InputError
from icl.analysis import saturation
from icl.evaluation import errors as evaluation
from icl.papers import published
from icl.papers.published import TABLE_2, table_2
from icl.training.fitting import Trained, init


def untrained(**changes):
    experiment = dataclasses.replace(TINY, **changes)
    config = experiment.config()
    return Trained(experiment, experiment.task(), config, init(config, 3))


def test_far_inputs_meet_the_limits_from_the_weights(trained):
    predicted = saturation.limits(trained)
    observed = saturation.along_inputs(trained, [1e7, -1e7])
    np.testing.assert_allclose(observed, predicted, atol=1e-5)
    assert abs(predicted[0] - predicted[1]) > 1e-3
    other = saturation.along_inputs(trained, [1e7, -1e7], slope=-40.0)  # whatever the context
    np.testing.assert_allclose(other, predicted, atol=1e-5)


@pytest.mark.parametrize("changes", [{"layer_norm": False}, {"residual": False}])
def test_models_without_limits(changes):
    with pytest.raises(InputError, match="pre-LN"):
        saturation.limits(untrained(**changes))


@pytest.mark.parametrize("bound", [0.5, 3.0, 9.0])
def test_the_effective_bound_of_a_clipped_row(bound):
    rng = np.random.default_rng(2)
    values = [sigma * rng.normal(size=500) for sigma in range(1, 11)]
    errors = [float(np.mean(np.maximum(abs(y) - bound, 0) ** 2)) for y in values]
    assert saturation.effective_bound(values, errors) == pytest.approx(bound, rel=1e-3)


def test_the_effective_bound_of_a_model(trained, monkeypatch):
    """One that is exact within ±B, instead of the trained one."""
    clipped = lambda trained: lambda x, y: np.clip(y, -2.5, 2.5)  # noqa: E731
    monkeypatch.setattr(saturation, "model_predictor", clipped)
    assert saturation.bound_of(trained, 20, 8) == pytest.approx(2.5, rel=1e-3)


def test_bounds_of_the_published_rows_grow_with_size():
    rows = [
        {"predictor": name, "inputs": "normal", "sigma": sigma + 1, "error": TABLE_2[name][sigma]}
        for name in ("1l1ah", "1l4ah", "2l4ah", "3l4ah", "6l4ah", "12l8ah")
        for sigma in range(10)
    ]
    found, text = table_2(rows, {})
    bounds = [row["b_eff"] for row in found if row["sigma"] == 1]
    assert bounds == sorted(bounds)
    np.testing.assert_allclose(bounds, [2.9, 4.4, 6.2, 7.6, 8.7, 10.2], atol=0.06)
    assert all(row["difference"] == 0 for row in found) and "difference" in text


def test_the_plateau():
    assert saturation.plateau(np.clip(np.linspace(-30, 30, 61), -7, 5)) == (-7, 5)


def test_following_is_what_the_model_says(trained):
    """At f = 0·x the values in the prompt are all 0, so that only inputs are seen."""
    curve = saturation.follow(trained, [0.0, 2.0], query=1.0, prompts=3)
    assert curve.shape == (2,) and curve[0] != curve[1]
    assert saturation.along_inputs(trained, [1.0], slope=2.0, prompts=3)[0] == curve[1]


def test_entropies_lie_between_0_and_that_of_uniform_weights(trained):
    rows = saturation.entropies(trained, [0.1, 30.0], prompts=3)
    assert [(row["magnitude"], row["layer"]) for row in rows] == [
        (0.1, 0), (0.1, 1), (30.0, 0), (30.0, 1)
    ]  # fmt: skip
    assert all(0 < row["entropy"] <= np.log(9) + 1e-6 for row in rows)
    with pytest.raises(InputError, match="without attention"):
        saturation.entropies(untrained(preset="linear-2mlp"), [1.0])


def test_the_published_zero_row_is_in_the_table():
    rows, _ = evaluation.evaluate(
        (case for case in published.evaluation_set() if case.labels["inputs"] == "normal"),
        evaluation.predictors(["zero"], []),
    )
    found, _ = table_2(rows, {})
    assert all(abs(row["difference"]) < 0.01 for row in found)
