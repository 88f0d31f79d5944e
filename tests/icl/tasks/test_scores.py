"""Scores and settings of quantifiers, with models made by hand and simple answers; tables."""

import numpy as np
import pytest

from attention.errors import InputError
from icl.tasks import Sampling, baseline
from icl.tasks.quantifiers import ANSWERS, Quantifiers, truth


def score(answer, task, sweeps, prompts):
    """Rows of scores of ``answer(x, y)``, one for each setting."""
    cases = [task.draw(each, Sampling(prompts=prompts)) for each in task.settings(sweeps)]
    return [{**case.setting, **task.score(case, answer(case.x_BTD, case.y_FBT))} for case in cases]


def answers(kind, answer):
    """The score around a deviant that decides nothing."""
    size = 1000 * Quantifiers(kind).neutral
    sweeps = ["design=balanced", f"deviant=5:{size},5:{10 * size}"]
    first, second = score(answer, Quantifiers(kind, points=11), sweeps, 199)
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
    (row,) = score(lambda x, y: y, task, ["design=late", "deviant=6:9"], 23)
    assert row["at_deviant"] == 1 and np.isnan(row["after_deviant"])


@pytest.mark.parametrize("kind", ["every", "some", "mix"])
def test_simple_answers(kind):
    task = Quantifiers(kind, points=13)
    rows = {
        (name, row["design"]): row
        for name in ANSWERS
        for row in score(baseline(task, ANSWERS, name), task, ["design=balanced,late"], 101)
    }
    for design in ("balanced", "late"):
        of = {name: rows[name, design] for name in ANSWERS}
        assert of["true"]["balanced_accuracy"] == of["false"]["balanced_accuracy"] == 0.5
        if kind != "mix":
            assert of["exact"]["accuracy"] == 1
        assert of["exact"]["balanced_accuracy"] > of["current"]["balanced_accuracy"]
        assert 0.5 < of["previous"]["late_flip_balanced_accuracy"] < 1  # wrong at flips alone


@pytest.mark.parametrize("name", ANSWERS)
def test_simple_answers_do_not_look_ahead(name):
    task = Quantifiers("mix", points=11)
    case = task.draw({"design": "balanced"}, Sampling(prompts=17, seed=3))
    later_x, later_y = case.x_BTD.copy(), case.y_FBT.copy()
    later_x[:, 7:], later_y[:, :, 6:] = -later_x[:, 7:], -later_y[:, :, 6:]
    answer = baseline(task, ANSWERS, name)
    before, after = answer(case.x_BTD, case.y_FBT), answer(later_x, later_y)
    assert np.array_equal(before[:, :, :7], after[:, :, :7])


def test_a_mix_has_both_quantifiers():
    case = Quantifiers("mix", points=7).draw({"design": "balanced"}, Sampling(prompts=11))
    assert case.x_BTD.shape == (22, 7, 1) and case.setting["kind"] == "mix"
    every = np.arange(22)[:, None] < 11
    np.testing.assert_array_equal(case.y_FBT[0], truth(case.x_BTD[:, :, 0], every))


def test_a_grid_of_settings():
    settings = Quantifiers().settings
    assert [each["design"] for each in settings()] == ["plain", "balanced", "rare", "late"]
    found = settings(["design=late", "sigma=1:2", "deviant=2:100"])
    assert [each["sigma"] for each in found] == [1.0, 2.0]
    for sweep in ("degree=1", "sigma=x", "sigma=0", "points=", "points=3:2", "design"):
        with pytest.raises(InputError):
            settings([sweep])
    with pytest.raises(InputError, match="swept twice"):
        settings(["sigma=1", "sigma=2"])


@pytest.mark.parametrize(
    ("sweep", "said"),
    [
        ("design=early", "unknown design 'early'"),
        ("points=3", "more than 3"),
        ("deviant=5", "POSITION:VALUE"),
        ("deviant=5:nan", "finite"),
        ("deviant=99:1", "no position 99"),
    ],
)
def test_bad_settings(sweep, said):
    task = Quantifiers()
    with pytest.raises(InputError, match=said):
        for setting in task.settings([sweep]):
            task.draw(setting, Sampling(prompts=3))


def test_a_table_for_each_setting():
    task = Quantifiers("some", points=7)
    rows = [
        {"predictor": name, **row}
        for name in ("true", "exact")
        for row in score(baseline(task, ANSWERS, name), task, ["design=late"], 23)
    ]
    (listing,) = task.listings(rows)
    assert listing.title == "some, design=late"
    assert [row[0] for row in listing.rows] == ["a constant", "true", "exact"]
    assert listing.columns[-1].split() == ["wrong", "prompts"] and listing.rows[2][-1] == "0.000"
    (listing,) = task.listings([{**row, "asked": 9, "failures": 4} for row in rows])
    assert listing.columns[-1].split() == ["failed", "of", "9"]
    assert "wrong\nprompts" not in listing.columns
    assert [row[-1] for row in listing.rows] == ["0", "4", "4"]
