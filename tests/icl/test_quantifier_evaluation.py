"""Scores of quantifiers, with models made by hand and simple answers."""

import dataclasses

import numpy as np
import pytest
from icl_runs import TINY

from attention.errors import InputError
from icl.evaluation.quantifier_evaluation import (
    BASELINES,
    baseline,
    drawn,
    model_predictor,
    predictors,
    score,
    settings,
)
from icl.tasks.quantifiers import Quantifiers
from icl.training.fitting import Trained, init


def answers(kind, answer):
    """The score of ``answer(x, y)`` around a deviant that decides nothing."""
    size = 1000 if kind == "every" else -1000
    sweeps = ["design=balanced", f"deviant=5:{size},5:{10 * size}"]
    first, second = score({"m": answer}, Quantifiers(kind, points=11), sweeps, prompts=199)
    assert {**first, "deviant": ""} == {**second, "deviant": ""}  # these models look at signs
    return first


@pytest.mark.parametrize("kind", ["every", "some"])
def test_a_deviant_that_decides_nothing(kind):
    right = answers(kind, lambda x, y: y)
    assert right["at_deviant"] == right["after_deviant"] == right["balanced_accuracy"] == 1
    constant = answers(kind, lambda x, y: np.full_like(y, -1))
    for name in ("at_deviant", "after_deviant"):  # both labels are there
        assert constant[name] == constant[f"constant_{name}"] == 0.5

    def saturated(x, y):  # right, but for an answer to the deviant that no context changes
        return np.where(abs(x[:, :, 0]) > 100, -1, y)

    found = answers(kind, saturated)
    assert (found["at_deviant"], found["after_deviant"]) == (0.5, 1)
    assert 0.9 < found["balanced_accuracy"] < 1 and found["wrong_prompts"] > 0.2


def test_a_deviant_at_the_end_has_nothing_after_it():
    task = Quantifiers("every", points=7)
    (row,) = score({"m": lambda x, y: y}, task, ["design=late", "deviant=6:9"], prompts=23)
    assert row["at_deviant"] == 1 and np.isnan(row["after_deviant"])


@pytest.mark.parametrize("kind", ["every", "some", "mix"])
def test_simple_answers(kind):
    task = Quantifiers(kind, points=13)
    by_name, _ = predictors(BASELINES, [], task)
    rows = {
        (row["predictor"], row["design"]): row
        for row in score(by_name, task, ["design=balanced,late"], prompts=101)
    }
    for design in ("balanced", "late"):
        of = {name: rows[name, design] for name in BASELINES}
        assert of["true"]["balanced_accuracy"] == of["false"]["balanced_accuracy"] == 0.5
        if kind != "mix":
            assert of["exact"]["accuracy"] == 1
        assert of["exact"]["balanced_accuracy"] > of["current"]["balanced_accuracy"]
        assert 0.5 < of["previous"]["late_flip_balanced_accuracy"] < 1  # wrong at flips alone


@pytest.mark.parametrize("name", BASELINES)
def test_simple_answers_do_not_look_ahead(name):
    task = Quantifiers("mix", points=11)
    asked = drawn(task, {"design": "balanced"}, 17, 3)
    later_x, later_y = asked.x_BTD.copy(), asked.y_BT.copy()
    later_x[:, 7:], later_y[:, 6:] = -later_x[:, 7:], -later_y[:, 6:]
    before = baseline(name, task, asked.x_BTD, asked.y_BT)
    after = baseline(name, task, later_x, later_y)
    assert np.array_equal(before[:, :7], after[:, :7])


def test_a_grid_of_settings():
    assert [each["design"] for each in settings([])] == ["plain", "balanced", "rare", "late"]
    found = settings(["design=late", "sigma=1:2", "deviant=2:100"])
    assert [each["sigma"] for each in found] == [1.0, 2.0]
    for sweep in ("degree=1", "sigma=x", "sigma=0", "points=", "points=3:2", "design"):
        with pytest.raises(InputError):
            settings([sweep])
    with pytest.raises(InputError, match="swept twice"):
        settings(["sigma=1", "sigma=2"])


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"design": "early"}, "unknown 'early'"),
        ({"design": "plain", "points": 3}, "more than 3"),
        ({"design": "plain", "deviant": "5"}, "POSITION:VALUE"),
        ({"design": "plain", "deviant": "5:nan"}, "finite"),
        ({"design": "plain", "deviant": "99:1"}, "no position 99"),
    ],
)
def test_bad_settings(setting, said):
    with pytest.raises(InputError, match=said):
        drawn(Quantifiers(), setting, 3, 0)


def test_predictors_are_of_one_task(run):
    for names, task, said in (
        (["zero"], Quantifiers(), "unknown predictor 'zero'"),
        (["previous"], Quantifiers(labels=False), "there are none"),
    ):
        with pytest.raises(InputError, match=said):
            predictors(names, [], task)
    with pytest.raises(InputError, match="not trained on quantifiers"):
        predictors([], [run])


def test_a_model_is_asked_as_it_was_trained():
    experiment = dataclasses.replace(TINY, preset="some-1l1ah", labels=False)
    config = experiment.config()
    model = model_predictor(Trained(experiment, experiment.task(), config, init(config, 3)))
    x, y = np.ones((2, 5, 1), np.float32), np.ones((2, 5), np.float32)
    assert np.array_equal(model(x, y), model(x, -y))  # without labels it cannot see them
