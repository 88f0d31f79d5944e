"""What the comparison of scoring functions measures, on numbers that can be checked by hand."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from icl.papers import Plan, comparison_table, headline, normalizer_tests
from icl.training import Experiment, init_all


@pytest.fixture(scope="module")
def script(load_script):
    return load_script("reproduce_scoring")


def test_the_table_says_what_is_beyond_noise():
    def rows(name, values):
        return [
            {"task": "linear", "normalizer": name, "test": column.test, "at": at, "seed": seed,
             "error": 2 * value, "error_over_zero": value}
            for column in normalizer_tests.COLUMNS.values() for at in column.where
            for seed, value in enumerate(values)
        ]  # fmt: skip

    results = rows("softmax", (0.5, 0.6, 0.4)) + rows("ssa", (0.25, 0.355, 0.15))
    results += rows("ssmax", (0.2, 0.95, 0.4)) + rows("temperature", (0.75, 0.85, 0.655))
    names = ["softmax", "ssa", "ssmax", "temperature", "relu"]
    text = comparison_table(results, names)
    lines = {line.split(" | ")[0].strip("| "): line for line in text.splitlines() if " | " in line}
    assert "| 0.500 ± 0.248 |" in lines["softmax"] and lines["a constant"].count("| 1 ") == 5
    for name, word in (("ssa", "better"), ("temperature", "worse")):
        assert lines[name].count(word) == 5, lines[name]
    assert "better" not in lines["ssmax"] and "worse" not in lines["ssmax"]
    assert "relu" not in lines  # not run
    assert comparison_table(rows("ssa", (0.5,)), ["ssa"]).endswith(" | 0.500 | 0.500 |\n")


def test_quantifiers_beside_the_better_constant():
    measured = ("accuracy", "balanced_accuracy", "late_flip_balanced_accuracy")
    results = [
        {"task": "some", "normalizer": name, "test": column.test, "at": at, "seed": seed}
        | dict.fromkeys(measured, value + seed / 100)
        | {f"constant_{m}": 0.25 for m in measured}
        for name, value in (("ssa", 0.9), ("softmax", 0.8))
        for column in normalizer_tests.COLUMNS.values() for at in column.where for seed in (0, 1)
    ]  # fmt: skip
    text = comparison_table(results, ["ssa", "softmax"]).splitlines()
    assert text[4].count("0.25") == len(normalizer_tests.COLUMNS) == 7
    assert text[5].count("**better**") == 7 and text[5].startswith("| ssa | 0.905 ± 0.064 (+0.100")


def test_heads_of_several_normalizers_have_no_curve_of_scores(script, monkeypatch):
    monkeypatch.setattr(script, "collapse_of_scores", str.upper)
    found = script.curves_of_scores(["ssa:n=2", "softmax/ssa", "softmax*2/ssa", "linear"])
    assert found["ssa:n=2"] == "SSA:N=2" and found["softmax"] == "SOFTMAX"
    assert not any("/" in name for name in found) and "linear" not in found


@pytest.mark.nightly  # icl/training/test_fitting.py trains
def test_training_and_testing_run(script, tmp_path, monkeypatch):
    """And what was examined once is read, not trained again."""
    plan = Plan(seeds=2)
    experiment = script.experiment_of("every", "ssa", plan)
    assert experiment.points == 21 and experiment.seeds == 2
    small = dataclasses.replace(experiment, preset="every-1l2ah", hidden_size=4, batch=3, points=5)
    params = script.trained_params(small, tmp_path / "run", 1)
    x = jnp.ones((3, 4, 1))
    found = normalizer_tests.predictions(small.config(), params, x, jnp.ones((3, 4)))
    assert found.shape == (2, 3, 4)
    assert (found[0] != found[1]).all(), "seeds are the same model"

    monkeypatch.setattr(script, "trained_params", lambda *_: params)
    monkeypatch.setattr(script, "run_tests", lambda task, *_: [{"task": task}])
    monkeypatch.setattr(script, "collapse_of_model", lambda *_: np.ones((1, 2)))
    first = script.examine("every", small, tmp_path / "run", 1, 7)
    assert first == {"results": [{"task": "every"}], "collapse": [[1.0, 1.0]]}
    monkeypatch.setattr(script, "trained_params", None)
    assert script.examine("every", small, tmp_path / "run", 1, 7) == first


@pytest.mark.quick("some")
@pytest.mark.parametrize("task", ["some", "linear"])
def test_all_tests_are_run(task):
    config = Experiment(f"{task}-1l1ah", hidden_size=4).config()
    params = init_all(config, range(2))
    rows = normalizer_tests.run_tests(task, "softmax", config, params, 3)
    counts = {test: sum(row["test"] == test for row in rows) for test in
              ("length", "sigma", "design", "deviant")}  # fmt: skip
    designs = 0 if task == "linear" else 2
    assert counts == {"length": 40, "sigma": 12, "design": 2 * designs, "deviant": 8}
    assert [row["seed"] for row in rows[:2]] == [0, 1] and rows[0]["task"] == task
    assert all(np.isfinite(headline(row)) for row in rows)
