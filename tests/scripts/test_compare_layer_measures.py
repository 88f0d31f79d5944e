"""The script that compares what is measured of layers with what a search drops."""

import numpy as np
import pytest

from tale_jax import search


@pytest.fixture(scope="module")
def script(load_script):
    return load_script("compare_layer_measures")


ROWS = [
    {"layer": i, "lost": lost, "influence": 2.0 * lost, "information": -lost, "bsba": lost < 2}
    for i, lost in enumerate([7, 0, 3, 1, 5])
]


def test_relations_of_measures(script):
    assert script.correlation(ROWS, "influence") == pytest.approx(1)
    assert script.correlation(ROWS, "information") == pytest.approx(-1)
    assert script.told_apart(ROWS, "influence") == 1 and script.told_apart(ROWS, "information") == 0
    tied = [{**row, "influence": 0.5} for row in ROWS]
    assert script.told_apart(tied, "influence") == 0.5
    assert np.isnan(script.correlation(tied, "influence"))
    assert np.isnan(script.told_apart([{**row, "bsba": False} for row in ROWS], "influence"))
    value, low, high = script.with_interval(ROWS, lambda rows: np.mean([r["lost"] for r in rows]))
    assert value == pytest.approx(3.2) and 0 < low < value < high < 7


@pytest.mark.nightly
def test_a_finished_search_is_measured(script, tmp_path):
    run = tmp_path / "run"
    search(
        "demo", "demo:facts", run, limit=23, max_drops=2, quiet=True
    )  # fmt: skip
    how = {"data": tmp_path / "data", "limit": 19}
    found = script.main((run,), **how)["run"]
    assert [row["layer"] for row in found] == list(range(12))
    assert all(row["examples"] == 19 for row in found)
    assert sum(row["best"] for row in found) <= sum(row["bsba"] for row in found)
    assert (tmp_path / "data" / "layers-run-19.png").stat().st_size > 1000
    assert script.main((run,), **how)["run"] == found  # read, not measured
