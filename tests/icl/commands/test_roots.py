"""``icl roots``."""

import pytest

import icl
from icl.cli import main


def test_scan(run, tmp_path, capsys, table):
    main(["roots", "--run", str(run), "--count", "20", "--out", str(tmp_path)])
    out = capsys.readouterr().out
    assert "scan" in out and "always 0" in out and "median distance" in out
    rows = table(tmp_path / "roots.csv")
    assert [row["predictor"] for row in rows] == ["always 0", run.name]
    assert all(float(row["median_distance"]) > 0 and row["reading"] == "scan" for row in rows)


def test_a_sweep_of_spreads(run, capsys):
    main(["roots", "--run", str(run), "--count", "11", "--sweep", "sigma=1,3"])
    lines = capsys.readouterr().out.splitlines()
    assert (
        any("sigma" in line for line in lines[:4]) and sum(run.name in line for line in lines) == 2
    )
    assert max(map(len, lines)) <= 80


@pytest.mark.nightly  # analysis/test_roots.py
def test_swap_and_several_seeds(inverse, pair):
    shown = icl.roots(run=inverse, count=20)
    assert "swap" in str(shown) and shown["roots"][1]["reading"] == "swap"
    rows = icl.roots(run=pair, count=20)["roots"]
    assert [row["predictor"] for row in rows] == ["always 0", "pair#11", "pair#12"]
    assert rows[1]["median_distance"] != rows[2]["median_distance"]
