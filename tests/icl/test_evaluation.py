"""Evaluation: designs of a sweep, what is counted, models and baselines side by side."""

import csv

import numpy as np
import pytest
from icl_runs import TINY

from attention.errors import InputError
from icl.evaluation import errors as evaluation
from icl.evaluation import sweeps
from icl.evaluation.sweeps import Design, drawn
from icl.papers import published
from icl.tasks.functions import function_class

AFFINE = function_class("affine")


def test_a_grid_of_designs():
    found = sweeps.designs(["sigma=1:3", "inputs=1,2"], Design(inputs="uniform:-1,1"))
    assert [(d.sigma, d.inputs) for d in found] == [
        (s, i) for s in (1, 2, 3) for i in ("uniform:-1,1", "uniform:-2,2")
    ]
    laws = sweeps.designs(["inputs=normal:0,1;mix:normal:-1,1|normal:1,1"], Design())
    assert [d.inputs for d in laws] == ["normal:0,1", "mix:normal:-1,1|normal:1,1"]
    assert [d.deviant for d in sweeps.designs(["deviant=3:1000"], Design())] == ["3:1000"]
    assert [d.points for d in sweeps.designs(["points=5,7"], Design())] == [5, 7]


@pytest.mark.parametrize(
    "sweep",
    ["sigma", "sigma=", "depth=3", "sigma=x", "points=0", "sigma=-1:2", "degree=1.5", "inputs=n:0"],
)
def test_bad_sweeps(sweep):
    with pytest.raises(InputError):
        sweeps.designs([sweep], Design())


@pytest.mark.parametrize(
    ("design", "said"),
    [
        (Design(degree=2), "no degree"),
        (Design(deviant="three"), "POSITION:VALUE"),
        (Design(deviant="41:7"), "no position 41"),
        (Design(order="random"), "drawn or sorted"),
        (Design(order="sorted", deviant="3:9"), "no one place"),
    ],
)
def test_bad_designs(design, said):
    with pytest.raises(InputError, match=said):
        drawn(design, AFFINE, count=2, prompts=2)
    with pytest.raises(InputError, match="0 or more"):
        drawn(Design(degree=-1), function_class("polynomial"), count=2, prompts=2)


def test_what_a_design_draws():
    how = {"count": 3, "prompts": 5}
    plain, wide = (drawn(Design(points=7, sigma=s), AFFINE, **how) for s in (1.0, 3.0))
    assert plain.x_BTD.shape == (5, 7, 1) and plain.y_FBT.shape == (3, 5, 7)
    np.testing.assert_allclose(wide.y_FBT, 3 * plain.y_FBT, rtol=1e-5)
    up = drawn(Design(points=7, order="sorted"), AFFINE, **how)
    assert (np.diff(up.x_BTD[:, :, 0], axis=1) > 0).all()
    order = np.argsort(plain.x_BTD[:, :, 0], axis=1)
    np.testing.assert_array_equal(
        up.y_FBT, np.take_along_axis(plain.y_FBT, order[None].repeat(3, 0), axis=2)
    )
    odd = drawn(Design(points=7, deviant="2:1000"), AFFINE, **how)
    assert (odd.x_BTD[:, 2] == 1000).all()
    for f in range(3):  # values follow the deviant, too
        for b in range(5):
            x, y = (z[b].ravel() for z in (plain.x_BTD, plain.y_FBT[f]))
            slope, offset = np.polyfit(x, y, 1)
            assert odd.y_FBT[f, b, 2] == pytest.approx(1000 * slope + offset, rel=1e-3, abs=0.1)


def test_the_degree_of_a_sweep():
    functions = function_class("polynomial:degrees=1+3")
    for degree in (0, 2, 5):  # held out, and beyond the highest
        case = drawn(Design(degree=degree, points=9), functions, count=2, prompts=2)
        below, right = (
            evaluation.baselines.predict(f"polynomial-{d}", case.x_BTD, case.y_FBT)
            for d in (max(degree - 1, 1), max(degree, 1))
        )
        scale = abs(case.y_FBT[:, :, 8]).max()
        np.testing.assert_allclose(right[:, :, 8], case.y_FBT[:, :, 8], atol=0.01 * scale)
        if degree > 1:
            assert abs(below - case.y_FBT)[:, :, 8].max() > 0.01 * scale


def test_what_counts():
    """The first two positions do not; zero is always beside; intervals are over functions."""
    y = np.arange(2 * 3 * 5, dtype=float).reshape(2, 3, 5)
    case = sweeps.Case({"inputs": "normal", "sigma": 1}, np.zeros((3, 5, 1)), y)
    off = {"off by 1": lambda x, y: y + 1, "right after 2": lambda x, y: np.where(
        np.arange(5) < 2, 99, y)}  # fmt: skip
    rows, positions = evaluation.evaluate([case], off)
    assert [row["error"] for row in rows] == [1, 0]
    assert rows[0]["error_over_zero"] == pytest.approx(1 / np.mean(y[:, :, 2:] ** 2))
    assert rows[0]["low"] == rows[0]["high"] == 1
    assert [p["position"] for p in positions[:5]] == [1, 2, 3, 4, 5]
    assert positions[5]["error"] == pytest.approx(np.mean((99 - y[:, :, 0]) ** 2))
    with pytest.raises(InputError, match="more than 2 points"):
        short = sweeps.Case({}, np.zeros((3, 2, 1)), y[:, :, :2])
        evaluation.evaluate([short], off)


def test_labels_are_scored_by_sign():
    case = sweeps.drawn(Design(points=7), function_class("classification:d=3"), count=3, prompts=5)
    by_name = {
        "large and right": lambda x, y: 40 * y,
        "wrong": lambda x, y: -y,
        "zero": lambda x, y: 0 * y,
    }
    rows, _ = evaluation.evaluate([case], by_name)
    assert [row["error"] for row in rows] == [0, 1, 0.5]
    assert [row["error_over_zero"] for row in rows] == [0, 2, 1]


def test_a_deviant_does_not_count_itself():
    """Nor what comes before it."""
    case = drawn(Design(points=9, deviant="4:1e4"), AFFINE, count=3, prompts=5)
    after = {"wrong until it": lambda x, y: np.where(np.arange(9) <= 4, -y, y)}
    rows, positions = evaluation.evaluate([case], after)
    assert rows[0]["error"] == 0 and len(positions) == 9 and positions[4]["error"] > 1e4
    early = drawn(Design(points=9, deviant="0:9"), AFFINE, count=3, prompts=5)
    assert (early.skip, case.skip) == (2, 5)
    last = drawn(Design(points=9, deviant="8:9"), AFFINE, count=3, prompts=5)
    with pytest.raises(InputError, match="more than 9 points"):
        evaluation.evaluate([last], after)


def test_the_interval_of_a_mean():
    errors = np.random.default_rng(0).exponential(size=400)
    low, high = evaluation.bootstrap(errors)
    half = 1.96 * errors.std() / 20
    assert low == pytest.approx(errors.mean() - half, rel=0.05)
    assert high == pytest.approx(errors.mean() + half, rel=0.05)


def test_a_model_in_blocks_is_the_model(trained, monkeypatch):
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(3, 5, 1)), rng.normal(size=(7, 3, 5))
    predict = evaluation.model_predictor(trained)
    whole = predict(x, y)
    assert whole.shape == y.shape
    monkeypatch.setattr(evaluation, "PROMPTS_AT_ONCE", 4)  # 21 prompts: the last block is filled up
    np.testing.assert_allclose(predict(x, y), whole, atol=1e-6)
    with pytest.raises(InputError, match="longer than"):
        predict(np.zeros((1, 300, 1)), np.zeros((1, 1, 300)))
    with pytest.raises(InputError, match="inputs of 2 numbers for a model of 1"):
        predict(np.zeros((1, 5, 2)), np.zeros((1, 1, 5)))


def test_damaged_sets(tmp_path):
    file = tmp_path / "set.npz"
    with pytest.raises(InputError, match="no file"):
        list(published.evaluation_set(file))
    file.write_bytes(b"no archive")
    with pytest.raises(InputError, match="no evaluation set"):
        list(published.evaluation_set(file))
    np.savez(file, a=np.ones((2, 3)))
    with pytest.raises(InputError, match="no evaluation set"):
        list(published.evaluation_set(file))
    grids = {"xs_normal": np.ones((5, 4)), "xs_uniform": np.ones((5, 4))}
    np.savez(file, a=np.ones((2, 3)), b=np.ones((3, 3)), **grids)
    with pytest.raises(InputError, match=r"\[sigma, function\]"):
        list(published.evaluation_set(file))
    np.savez(file, a=np.array([[{}]], object), b=np.ones((2, 3)), **grids)
    with pytest.raises(InputError, match="no evaluation set"):  # a pickle inside is never read
        list(published.evaluation_set(file))


def test_nothing_to_evaluate(run):
    with pytest.raises(InputError, match="nothing to evaluate"):
        evaluation.predictors([], [])
    with pytest.raises(InputError, match="unknown predictor"):
        evaluation.predictors(["nearest"], [])
    assert list(evaluation.predictors(["zero"], [run])) == ["zero", "run"]


def test_a_table_is_written_whole(tmp_path):
    rows = [{"predictor": "zero", "error": 1.5}, {"predictor": "mean", "error": 0.1}]
    evaluation.write_csv(tmp_path / "errors.csv", rows)
    with (tmp_path / "errors.csv").open() as file:
        assert [row["error"] for row in csv.DictReader(file)] == ["1.5", "0.1"]
    assert [file.name for file in tmp_path.iterdir()] == ["errors.csv"]


def test_functions_of_a_run(trained):
    assert evaluation.functions_of(None)[1:] == ("normal:0,1", "normal:0,1")
    assert evaluation.functions_of(trained)[1] == TINY.functions
