"""The published table and evaluation set, and our rows beside them."""

import numpy as np
import pytest

from attention.errors import InputError
from icl.evaluation import evaluate, predictors
from icl.papers import TABLES, beside_published, evaluation_set
from icl.tasks.functions import FunctionTask


@pytest.fixture(scope="module")
def scored():
    """Rows and positions of three baselines on the bundled set."""
    names = ["zero", "least-squares", "knn-3"]
    by_name = predictors(FunctionTask(), names, [])
    return evaluate(FunctionTask(), evaluation_set(), by_name)


def test_the_published_evaluation_set(scored):
    rows, positions = scored
    at = {(r["predictor"], r["inputs"], r["sigma"]): r["error"] for r in rows}
    for number, inputs in ((1, "uniform"), (2, "normal"), (3, "uniform")):
        ours = [at["zero", inputs, sigma] for sigma in range(1, 11)]
        assert TABLES[number].inputs == inputs
        np.testing.assert_allclose(ours, TABLES[number].rows["zero"].errors, atol=0.01)
    for i in range(10):
        assert at["least-squares", "normal", i + 1] < 1e-6
        assert at["least-squares", "uniform", i + 1] < 1e-6
    best = TABLES[2].rows["12l8ah"].errors
    assert all(at["knn-3", "normal", s] < best[s - 1] for s in range(6, 11))
    assert all(row["low"] <= row["error"] <= row["high"] for row in rows)
    assert len(positions) == len(rows) * 40


def test_the_bundled_set_is_the_shared_one(shared):
    theirs = evaluation_set(shared / "icl/icl_eval_set.npz")
    for a, b in zip(evaluation_set(), theirs, strict=True):
        assert np.array_equal(a.y_FBT, b.y_FBT) and a.setting == b.setting


def test_damaged_sets(tmp_path):
    file = tmp_path / "set.npz"
    with pytest.raises(InputError, match="no file"):
        list(evaluation_set(file))
    file.write_bytes(b"no archive")
    with pytest.raises(InputError, match="no evaluation set"):
        list(evaluation_set(file))
    np.savez(file, a=np.ones((2, 3)))
    with pytest.raises(InputError, match="no evaluation set"):
        list(evaluation_set(file))
    grids = {"xs_normal": np.ones((5, 4)), "xs_uniform": np.ones((5, 4))}
    np.savez(file, a=np.ones((2, 3)), b=np.ones((3, 3)), **grids)
    with pytest.raises(InputError, match=r"\[sigma, function\]"):
        list(evaluation_set(file))
    np.savez(file, a=np.array([[{}]], object), b=np.ones((2, 3)), **grids)
    with pytest.raises(InputError, match="no evaluation set"):  # a pickle inside is never read
        list(evaluation_set(file))


def test_bounds_of_the_published_rows_grow_with_size():
    rows = [
        {"predictor": name, "inputs": "normal", "sigma": sigma, "error": error}
        for name in ("1l1ah", "1l4ah", "2l4ah", "3l4ah", "6l4ah", "12l8ah")
        for sigma, error in enumerate(TABLES[2].rows[name].errors, 1)
    ]
    found, text = beside_published(rows, {})
    bounds = [row["b_eff"] for row in found if row["sigma"] == 1]
    assert bounds == sorted(bounds)
    np.testing.assert_allclose(bounds, [2.9, 4.4, 6.2, 7.6, 8.7, 10.2], atol=0.06)
    assert all(row["difference"] == 0 for row in found) and "difference" in text


def test_the_published_zero_row_is_in_the_table(scored):
    rows = [row for row in scored[0] if row["inputs"] == "normal" and row["predictor"] == "zero"]
    found, _ = beside_published(rows, {})
    assert all(abs(row["difference"]) < 0.01 for row in found)


def test_rows_say_how_a_model_was_trained_and_tested():
    sorted_row = TABLES[1].rows["12l8ah-B-sorted"]
    assert (sorted_row.architecture, sorted_row.prompt) == ("12l8ah", "sorted")
    assert sorted_row.law == "mix:normal:-1,1|normal:1,1" and len(sorted_row.errors) == 10
    assert TABLES[3].rows["3al8ah-S"].law == "uniform:-1,1"
    plain, ascending = (TABLES[1].cases(3, prompt)[4] for prompt in ("drawn", "sorted"))
    assert plain.setting == ascending.setting == {"inputs": "uniform", "sigma": 5}
    places = np.argsort(plain.x_BTD[:, :, 0], axis=1)
    np.testing.assert_allclose(
        ascending.y_FBT, np.take_along_axis(plain.y_FBT, places[None], axis=2), rtol=1e-6
    )
