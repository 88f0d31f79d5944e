"""Sweeps of functions: their settings, and what a setting draws."""

import numpy as np
import pytest

from attention.errors import InputError
from icl.tasks import TASKS, Sampling, baseline
from icl.tasks.functions import ESTIMATORS

AFFINE = TASKS["linear"].make()
FEW = Sampling(3, 5)


def drawn(task=AFFINE, **setting):
    return task.draw({**task.setting, **setting}, FEW)


def test_a_grid_of_settings():
    uniform = TASKS["linear"].make(inputs="uniform:-1,1")
    found = uniform.settings(["sigma=1:3", "inputs=1,2"])
    assert [(each["sigma"], each["inputs"]) for each in found] == [
        (s, i) for s in (1, 2, 3) for i in ("uniform:-1,1", "uniform:-2,2")
    ]
    laws = AFFINE.settings(["inputs=normal:0,1;mix:normal:-1,1|normal:1,1"])
    assert [each["inputs"] for each in laws] == ["normal:0,1", "mix:normal:-1,1|normal:1,1"]
    assert [each["deviant"] for each in AFFINE.settings(["deviant=3:1000"])] == ["3:1000"]
    assert [each["points"] for each in AFFINE.settings(["points=5,7"])] == [5, 7]
    assert AFFINE.settings() == [AFFINE.setting]


@pytest.mark.parametrize(
    "sweep",
    ["sigma", "sigma=", "depth=3", "sigma=x", "points=0", "sigma=-1:2", "degree=1.5", "inputs=n:0"],
)
def test_bad_sweeps(sweep):
    with pytest.raises(InputError):
        AFFINE.settings([sweep])


@pytest.mark.parametrize(
    ("sweeps", "said"),
    [
        (["degree=2"], "no degree"),
        (["deviant=three"], "POSITION:VALUE"),
        (["deviant=41:7"], "no position 41"),
        (["prompt=random"], "unknown prompting strategy 'random'"),
        (["prompt=sorted", "deviant=3:9"], "a deviant needs prompt=drawn"),
    ],
)
def test_settings_that_cannot_be(sweeps, said):
    with pytest.raises(InputError, match=said):
        for setting in AFFINE.settings(sweeps):
            AFFINE.draw(setting, FEW)


def test_what_a_setting_draws():
    plain, wide = (drawn(points=7, sigma=s) for s in (1.0, 3.0))
    assert plain.x_BTD.shape == (5, 7, 1) and plain.y_FBT.shape == (3, 5, 7)
    np.testing.assert_allclose(wide.y_FBT, 3 * plain.y_FBT, rtol=1e-5)
    up = drawn(points=7, prompt="sorted")
    assert (np.diff(up.x_BTD[:, :, 0], axis=1) > 0).all()
    order = np.argsort(plain.x_BTD[:, :, 0], axis=1)
    np.testing.assert_array_equal(
        up.y_FBT, np.take_along_axis(plain.y_FBT, order[None].repeat(3, 0), axis=2)
    )
    odd = drawn(points=7, deviant="2:1000")
    assert (odd.x_BTD[:, 2] == 1000).all()
    for f in range(3):  # values follow the deviant, too
        for b in range(5):
            x, y = (z[b].ravel() for z in (plain.x_BTD, plain.y_FBT[f]))
            slope, offset = np.polyfit(x, y, 1)
            assert odd.y_FBT[f, b, 2] == pytest.approx(1000 * slope + offset, rel=1e-3, abs=0.1)


def test_the_degree_of_a_sweep():
    task = TASKS["polynomial"].make(functions="polynomial:degrees=1+3", points=9)
    for degree in (0, 2, 5):  # held out, and beyond the highest
        case = drawn(task, degree=degree)
        below, right = (
            baseline(task, ESTIMATORS, f"polynomial-{d}")(case.x_BTD, case.y_FBT)
            for d in (max(degree - 1, 1), max(degree, 1))
        )
        scale = abs(case.y_FBT[:, :, 8]).max()
        np.testing.assert_allclose(right[:, :, 8], case.y_FBT[:, :, 8], atol=0.01 * scale)
        if degree > 1:
            assert abs(below - case.y_FBT)[:, :, 8].max() > 0.01 * scale
    with pytest.raises(InputError, match="0 or more"):
        drawn(task, degree=-1)


def test_a_question_has_a_function_of_its_own():
    case = AFFINE.questions({**AFFINE.setting, "points": 7}, 5, 0)
    whole = AFFINE.draw({**AFFINE.setting, "points": 7}, Sampling(5, 5))
    assert case.y_FBT.shape == (1, 5, 7) and case.where_BT.sum() == case.where_BT[0, 6] == 1
    for i in range(5):
        assert np.array_equal(case.y_FBT[0, i], whole.y_FBT[i, i])
