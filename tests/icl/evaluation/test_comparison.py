"""Evaluation: what is counted, models and baselines side by side, and the report."""

import numpy as np
import pytest

from attention.errors import InputError
from icl.evaluation import evaluate, model_predictor, predictors, run_tasks, write_report
from icl.tasks import Case, PromptOptions, Sampling, counted
from icl.tasks.functions import FunctionTask, function_class
from icl.tasks.quantifiers import Quantifiers

TASK = FunctionTask(points=9)
FEW = Sampling(3, 5)


def case(task, **setting):
    return task.draw({**task.setting, **setting}, FEW)


def test_what_counts():
    """The first two positions do not; zero is always beside; intervals are over functions."""
    y = np.arange(2 * 3 * 5, dtype=float).reshape(2, 3, 5)
    given = Case({"inputs": "normal", "sigma": 1}, np.zeros((3, 5, 1)), y, counted(5, 2))
    off = {"off by 1": lambda x, y: y + 1, "right after 2": lambda x, y: np.where(
        np.arange(5) < 2, 99, y)}  # fmt: skip
    rows, positions = evaluate(TASK, [given], off)
    assert [row["error"] for row in rows] == [1, 0]
    assert rows[0]["error_over_zero"] == pytest.approx(1 / np.mean(y[:, :, 2:] ** 2))
    assert rows[0]["low"] == rows[0]["high"] == 1
    assert [p["position"] for p in positions[:5]] == [1, 2, 3, 4, 5]
    assert positions[5]["error"] == pytest.approx(np.mean((99 - y[:, :, 0]) ** 2))
    with pytest.raises(InputError, match="more than 2 points"):
        case(TASK, points=2)


def test_labels_are_scored_by_sign():
    task = FunctionTask(function_class("classification:d=3"), points=7)
    by_name = {
        "large and right": lambda x, y: 40 * y,
        "wrong": lambda x, y: -y,
        "zero": lambda x, y: 0 * y,
    }
    rows, _ = evaluate(task, [case(task)], by_name)
    assert [row["error"] for row in rows] == [0, 1, 0.5]
    assert [row["error_over_zero"] for row in rows] == [0, 2, 1]


def test_a_deviant_does_not_count_itself():
    """Nor what comes before it."""
    given = case(TASK, deviant="4:1e4")
    after = {"wrong until it": lambda x, y: np.where(np.arange(9) <= 4, -y, y)}
    rows, positions = evaluate(TASK, [given], after)
    assert rows[0]["error"] == 0 and len(positions) == 9 and positions[4]["error"] > 1e4
    early = case(TASK, deviant="0:9")
    assert [np.argmax(each.where_BT) for each in (early, given)] == [2, 5]
    with pytest.raises(InputError, match="more than 9 points"):
        case(TASK, deviant="8:9")


def test_one_function_has_no_interval():
    one = TASK.draw(TASK.setting, Sampling(1, 5))
    rows, _ = evaluate(TASK, [one], {"zero": lambda x, y: 0 * y})
    assert rows[0]["error_over_zero"] == 1 and "low" not in rows[0]


def test_a_model_in_blocks_is_the_model(trained, monkeypatch):
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(3, 5, 1)), rng.normal(size=(7, 3, 5))
    predict = model_predictor(trained)
    whole = predict(x, y)
    assert whole.shape == y.shape
    scope = model_predictor.__globals__
    monkeypatch.setitem(scope, "PROMPTS_AT_ONCE", 4)  # 21 prompts: the last block is filled up
    np.testing.assert_allclose(predict(x, y), whole, atol=1e-6)
    with pytest.raises(InputError, match="longer than"):
        predict(np.zeros((1, 300, 1)), np.zeros((1, 1, 300)))
    with pytest.raises(InputError, match="inputs of 2 numbers for a model of 1"):
        predict(np.zeros((1, 5, 2)), np.zeros((1, 1, 5)))


def test_a_model_is_asked_as_it_was_trained(untrained):
    model = model_predictor(untrained(preset="some-1l1ah", labels=False))
    x, y = np.ones((2, 5, 1)), np.ones((1, 2, 5))
    assert np.array_equal(model(x, y), model(x, -y))  # without labels it cannot see them


@pytest.mark.nightly
def test_predictors_are_of_one_task(run, inverse, quantified, tmp_path):
    assert predictors(TASK, [], []) == {}
    assert list(predictors(TASK, ["zero"], [run])) == ["zero", "run"]
    twice = predictors(TASK, [], [run, run])
    assert list(twice) == ["run", f"{run.parent}/run"]
    for task, names, runs, said in (
        (TASK, ["nearest"], [], "unknown predictor 'nearest'"),
        (Quantifiers(), ["zero"], [], "unknown predictor 'zero'"),
        (Quantifiers(labels=False), ["previous"], [], "there are none"),
        (Quantifiers(), [], [run], "learned affine, and is asked every"),
        (Quantifiers(labels=False), [], [quantified], "is asked every without labels"),
        (TASK, [], [quantified], "learned every, and is asked affine"),
        (TASK, [], [inverse], "learned the inverse of affine"),
    ):
        with pytest.raises(InputError, match=said):
            predictors(task, names, runs)


def test_the_tasks_of_runs(run, pair, quantified):
    [(task, runs)] = run_tasks(PromptOptions(points=7), [run, pair])
    assert runs == [run, pair] and task.points == 7
    [(task, _)] = run_tasks(PromptOptions(), [quantified])
    assert isinstance(task, Quantifiers) and task.points == 7
    [(task, _)] = run_tasks(PromptOptions(task="some"), [])
    assert str(task) == "some"
    with pytest.raises(InputError, match="different kinds"):
        run_tasks(PromptOptions(), [run, quantified])


@pytest.mark.quick("task5-sweeps5-True", "task4-sweeps4-False", "task0-sweeps0-True")
@pytest.mark.parametrize(
    ("task", "sweeps", "drawn"),
    [
        (TASK, [], True),
        (TASK, ["prompt=drawn,sorted"], True),
        (TASK, ["sigma=1:2", "inputs=1,2"], True),
        (TASK, ["prompt=drawn,sorted", "sigma=1:2"], True),
        (TASK, ["sigma=1,2", "inputs=1,3", "points=7,9"], False),
        (Quantifiers(points=9), ["design=late"], True),
        (Quantifiers(points=9), ["sigma=1:3", "points=7,9", "deviant=4:9,4:99"], True),
    ],
)
def test_a_report_has_the_figure_that_fits_the_sweep(task, sweeps, drawn, tmp_path, table):
    cases = [task.draw(setting, FEW) for setting in task.settings(sweeps)]
    by_name = {"first": lambda x, y: y + 0.5, "second": lambda x, y: -y}
    rows, positions = evaluate(task, cases, by_name)
    shown = write_report(tmp_path, task, rows, positions)
    assert len(table(tmp_path / "errors.csv")) == len(rows) == 2 * len(cases)
    assert len(table(tmp_path / "positions.csv")) == len(positions)
    assert (tmp_path / "errors.png").exists() == drawn
    assert drawn or shown[0].startswith("no picture: inputs, sigma, points vary")
