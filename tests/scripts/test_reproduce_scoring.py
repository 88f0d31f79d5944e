"""What the comparison of scoring functions measures, on numbers that can be checked by hand."""

import dataclasses
import importlib.util
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from icl.analysis import collapse
from icl.papers import scoring_tests

FILE = Path(__file__).parents[2] / "scripts" / "reproduce_scoring.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("reproduce_scoring", FILE)
    module = importlib.util.module_from_spec(spec)
    sys.modules["reproduce_scoring"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["reproduce_scoring"]


def test_a_deviant_changes_one_input_and_the_values_that_follow():
    for task, value in (("every", 100.0), ("some", -100.0), ("linear", 100.0)):
        given = scoring_tests.prompts_of(task, jax.random.key(3), 1, 11, 5)
        found = scoring_tests.deviated(task, given, value)
        changed = np.asarray(given.x_BTD != found.x_BTD)[:, :, 0]
        assert changed[:, 5].all() and changed.sum() == 5
        assert (np.asarray(found.x_BTD)[:, 5] == value).all()
        if task == "linear":
            others = np.arange(11) != 5
            np.testing.assert_allclose(found.y_BT[:, others], given.y_BT[:, others], atol=1e-5)
            x, y = np.asarray(found.x_BTD)[:, :, 0], np.asarray(found.y_BT)
            for row in range(5):
                a, b = np.polyfit(x[row, others], y[row, others], 1)
                np.testing.assert_allclose(y[row, 5], 100 * a + b, rtol=1e-3, atol=1e-3)
        else:
            x = np.asarray(found.x_BTD)[:, :, 0] > 0
            holds = np.logical_and if task == "every" else np.logical_or
            expected = np.where(holds.accumulate(x, axis=1), 1, -1)
            np.testing.assert_array_equal(found.y_BT, expected)


def test_the_table_says_what_is_beyond_noise():
    def rows(name, values):
        return [
            {"task": "linear", "normalizer": name, "test": column.test, "at": at, "seed": seed,
             "error": value, "error_of_zero": 2.0}
            for column in scoring_tests.COLUMNS.values() for at in column.where
            for seed, value in enumerate(values)
        ]  # fmt: skip

    results = rows("softmax", (1, 1.2, 0.8)) + rows("ssa", (0.5, 0.71, 0.3))
    results += rows("ssmax", (0.4, 1.9, 0.8)) + rows("temperature", (1.5, 1.7, 1.31))
    names = ["softmax", "ssa", "ssmax", "temperature", "relu"]
    text = scoring_tests.table(results, 3, names)
    lines = {line.split(" | ")[0].strip("| "): line for line in text.splitlines() if " | " in line}
    assert "| 0.500 ± 0.248 |" in lines["softmax"] and lines["a constant"].count("| 1 ") == 5
    for name, word in (("ssa", "better"), ("temperature", "worse")):
        assert lines[name].count(word) == 5, lines[name]
    assert "better" not in lines["ssmax"] and "worse" not in lines["ssmax"]
    assert "relu" not in lines  # not run
    assert scoring_tests.table(rows("ssa", (1.0,)), 1, ["ssa"]).endswith(" | 0.500 | 0.500 |\n")


def test_quantifiers_beside_the_better_constant():
    measured = ("accuracy", "balanced_accuracy", "late_flip_balanced_accuracy")
    results = [
        {"task": "some", "normalizer": name, "test": column.test, "at": at, "seed": seed}
        | dict.fromkeys(measured, value + seed / 100)
        | {f"constant_{m}": 0.25 for m in measured}
        for name, value in (("ssa", 0.9), ("softmax", 0.8))
        for column in scoring_tests.COLUMNS.values() for at in column.where for seed in (0, 1)
    ]  # fmt: skip
    text = scoring_tests.table(results, 2, ["ssa", "softmax"]).splitlines()
    assert text[4].count("0.25") == len(scoring_tests.COLUMNS) == 7
    assert text[5].count("**better**") == 7 and text[5].startswith("| ssa | 0.905 ± 0.064 (+0.100")
    np.testing.assert_allclose(scoring_tests.interval(np.array([0.0, 1.0])), 6.353, atol=1e-3)


def test_collapse():
    """A deviant takes all of softmax's weight, and of uniform weights nothing."""
    softmax, ssa = (collapse.collapse_of_scores(name) for name in ("softmax", "ssa"))
    assert softmax[-1, 0] == 1 and softmax[-1, 1] == 0
    middle = np.searchsorted(collapse.MAGNITUDES, 30)
    assert ssa[middle, 0] < 0.9 < 0.999 < softmax[middle, 0]  # (1 + 24)^1.5 against 31 others
    assert (np.diff(ssa[3:, 0]) > 0).all()  # once it is the largest
    most, entropy = collapse.spread(np.full((2, 8), 0.3))
    np.testing.assert_allclose([most, entropy], [1 / 8, np.log(8)], rtol=1e-6)


def test_training_and_testing_run(script, tmp_path, monkeypatch):
    """And what was examined once is read, not trained again."""
    experiment = script.experiment_of("every", "ssa", 2, False)
    assert experiment.points == 21 and experiment.seeds == 2
    small = dataclasses.replace(experiment, preset="every-1l2ah", hidden_size=4, batch=3, points=5)
    params = script.train(small, tmp_path / "run", 1, 200)
    x = jnp.ones((3, 4, 1))
    found = scoring_tests.predictions(small.config(), params, x, jnp.ones((3, 4)))
    assert found.shape == (2, 3, 4)
    assert (found[0] != found[1]).all(), "seeds are the same model"

    monkeypatch.setattr(script, "train", lambda *_: params)
    monkeypatch.setattr(script, "test", lambda task, *_: [{"task": task}])
    monkeypatch.setattr(script, "collapse_of_model", lambda *_: np.ones((1, 2)))
    first = script.examine(small, tmp_path / "run", 1, 7)
    assert first == {"results": [{"task": "every"}], "collapse": [[1.0, 1.0]]}
    monkeypatch.setattr(script, "train", None)
    assert script.examine(small, tmp_path / "run", 1, 7) == first
