"""What repeated searches agree about."""

import json

import pytest

from tale_jax import search
from tale_jax.opening import read_task
from tale_jax.options import Options
from tale_jax.runs import load_run
from tale_jax.searches import jaccard, stability_figure, summarise_sizes
from tale_jax.searches.stability import count_drops


def row(size, seed, dropped, gain, test_gain):
    return {"size": size, "seed": seed, "dropped": dropped, "search_gain": gain,
            "test_gain": test_gain}  # fmt: skip


ROWS = [
    row(5, 0, [1, 2], 0.2, 0.0),
    row(5, 1, [2, 4], 0.4, -0.1),
    row(5, 2, [], 0.0, 0.0),
    row(11, 0, ["3.mlp"], 0.1, 0.1),
]


def test_overlaps_and_gains_by_size():
    assert jaccard([1, 2], [2, 4]) == pytest.approx(1 / 3)
    assert jaccard([], []) == 1
    assert jaccard([], [3]) == 0
    small, large = summarise_sizes(ROWS)
    assert small["jaccard"] == pytest.approx((1 / 3 + 0 + 0) / 3)
    assert small["search_gain_mean"] == pytest.approx(0.2)
    assert small["search_gain_sd"] == pytest.approx(0.2)
    assert (large["jaccard"], large["search_gain_sd"]) == (None, None)
    counts = count_drops(ROWS)
    assert counts[0] == {"size": 5, "unit": 2, "count": 2, "of": 3}
    assert counts[-1] == {"size": 11, "unit": "3.mlp", "count": 1, "of": 1}
    assert stability_figure(ROWS, 5).axes


def test_rows_are_drawn_by_the_seed(searched):
    task, options = str(searched / "a.jsonl"), Options(draw=11, seed=3)
    whole = read_task(task, Options()).search
    drawn = read_task(task, options).search
    assert len(drawn) == 11
    assert [example for example in whole if example in drawn] == list(drawn)
    assert drawn != read_task(task, Options(draw=11, seed=4)).search
    assert drawn == read_task(task, options).search


def test_searches_are_repeated_and_go_on(searched, tmp_path):
    given = {"epsilon": 0.3, "max_drops": 1, "quiet": True, "repeats": 2, "sizes": (23,)}
    model, task, test = (str(searched / name) for name in ("tiny", "a.jsonl", "a-test.jsonl"))
    found = search(model, task, tmp_path / "many", test=test, **given)
    assert [(r["size"], r["seed"]) for r in found["rows"]] == [(23, 0), (23, 1)]
    one = tmp_path / "many" / "examples-23" / "seed-1"
    assert json.loads((one / "settings.json").read_text())["draw"] == 23
    assert load_run(one).summary["best"]["dropped"] == found["rows"][1]["dropped"]
    (tmp_path / "many" / "examples-23" / "seed-0" / "summary.json").unlink()
    again = search(model, task, tmp_path / "many", test=test, resume=True, **given)
    assert again["rows"] == found["rows"]
    assert (tmp_path / "many" / "repeats.csv").is_file()
