"""Which strategy is nearest: values computed by hand."""

import numpy as np
import pytest

import icl
from icl.analysis import distances, nearest_listing, nearest_strategies, shares_of_nearest
from icl.tasks import Case, baseline, counted
from icl.tasks.functions import ESTIMATORS, FunctionTask

# 2 functions, 3 prompts, 5 points, of which the first two do not count
MODEL = np.zeros((2, 3, 5))
NEAR, FAR = MODEL + 1, MODEL + 2
NEAR[1, :, 4] = 7  # in the second function the last answer is far off


def test_distances_are_means_over_positions():
    assert distances(MODEL, FAR, [2, 3, 4]) == pytest.approx(np.full((2, 3), 4.0))
    assert distances(MODEL, NEAR, [2, 3, 4])[:, 0] == pytest.approx([1, (1 + 1 + 49) / 3])


def test_equally_near_strategies_share_a_prompt():
    distance_SFB = np.array([[[1.0, 2, 3]], [[1, 5, 1]], [[9, 5, 1]]])
    assert shares_of_nearest(distance_SFB)[:, 0] == pytest.approx([1.5 / 3, 1 / 3, 0.5 / 3])
    assert shares_of_nearest(np.zeros((2, 1, 3)))[:, 0] == pytest.approx([0.5, 0.5])


def test_the_nearest_by_position():
    case = Case({"sigma": 3}, np.zeros((3, 5, 1)), MODEL, counted(5, 2))
    answers = {"model": MODEL, "near": NEAR, "far": FAR}
    rows = nearest_strategies(case, "model", answers, ["near", "far"])
    at = {(row["positions"], row["strategy"]): row for row in rows}
    assert [row["positions"] for row in rows[::2]] == ["3-5", "3-3", "4-4", "5-5"]
    assert at["3-5", "near"]["distance"] == pytest.approx((1 + 17) / 2)
    assert at["3-5", "near"]["nearest"] == pytest.approx(0.5)  # one function of two
    assert at["3-5", "near"]["distance_low"] == pytest.approx(1)  # of samples of two functions
    assert at["3-5", "near"]["distance_high"] == pytest.approx(17)
    assert at["4-4", "near"]["nearest"] == 1 and at["4-4", "far"]["nearest"] == 0
    heads, lines = nearest_listing(rows)
    assert heads[:2] == ["positions", "nearest"]  # one model, which needs no column
    assert lines[0][:2] == ["3-5", "far"] and lines[1][:2] == ["3-3", "near"]
    two = [*rows, *({**row, "model": "other"} for row in rows)]
    assert nearest_listing(two)[1][0][:3] == ["model", "3-5", "far"]


def test_least_squares_clipped():
    x_BTD = np.array([[[0.0], [1.0], [2.0], [9.0]]])
    y_FBT = 2 * x_BTD[None, :, :, 0] + 1  # from the third point on the line is known: 5, 19
    found = baseline(FunctionTask(), ESTIMATORS, "clipped-7.5")(x_BTD, y_FBT)
    assert found[0, 0, 2:] == pytest.approx([5, 7.5])
    assert baseline(FunctionTask(), ESTIMATORS, "clipped-7.5")(x_BTD, -y_FBT)[0, 0, 3] == -7.5


def test_a_run_is_compared_with_strategies(run, tmp_path, table):
    small = {"count": 3, "prompts": 2, "points": 5, "sweep": ("sigma=1,2",)}
    names = ("zero", "least-squares", "knn-1")
    found = icl.evaluate(out=tmp_path, run=(run,), predictors=names, nearest=True, **small)
    rows = table(tmp_path / "strategies.csv")
    assert len(rows) == len(found["nearest"]) == 2 * 4 * 3  # settings, parts, strategies
    for setting in ("1.0", "2.0"):
        shares = [
            float(r["nearest"]) for r in rows if (r["sigma"], r["positions"]) == (setting, "3-5")
        ]
        assert sum(shares) == pytest.approx(1)
    shown = [line for line in str(found).splitlines() if str(tmp_path) not in line]
    assert len(shown) > 2 and max(map(len, shown)) <= 80
