"""``icl evaluate``: files, tables and figures."""

import json

import pytest

import icl
from icl.cli import main


def test_the_published_set(tmp_path, capsys, table):
    names = "zero,least-squares,knn-3"
    main(["evaluate", "--published", "--predictors", names, "--count", "7", "--out", str(tmp_path)])
    rows = table(tmp_path / "errors.csv")
    assert list(rows[0]) == "predictor inputs sigma error error_over_zero low high".split()
    assert len(rows) == 60 and {row["inputs"] for row in rows} == {"normal", "uniform"}
    assert [row["sigma"] for row in rows[::3]] == [str(s) for s in range(1, 11)] * 2
    assert all(float(row["error"]) < 1e-6 for row in rows if row["predictor"] == "least-squares")
    assert (tmp_path / "errors.png").read_bytes().startswith(b"\x89PNG")
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


@pytest.mark.nightly
def test_a_long_table_ends(tmp_path, table):
    names = ("zero", "knn-1", "knn-2", "knn-3")
    shown = icl.evaluate(out=tmp_path, published=True, predictors=names, count=3)
    said = str(shown).splitlines()
    assert len(table(tmp_path / "errors.csv")) == len(shown["errors"]) == 80
    assert len(said) == 1 + 60 + 2 and said[-1].endswith("errors.csv, 20 rows more")
    small = {"count": 1, "prompts": 1, "points": 5, "sweep": ("prompt=drawn,sorted", "sigma=1:60")}
    shown = icl.evaluate(out=tmp_path, predictors="zero", **small)
    assert "prompt" in str(shown).splitlines()[0]  # columns are those that vary in the file


def test_a_run_is_swept_and_drawn(run, tmp_path, capsys, table):
    small = ["--count", "3", "--prompts", "5", "--points", "5", "--out", str(tmp_path)]
    sweeps = ["--sweep", "sigma=1:3", "--sweep", "inputs=1,2"]
    main(["evaluate", "--run", str(run), "--predictors", "zero", *sweeps, *small])
    rows = table(tmp_path / "errors.csv")
    assert len(rows) == 2 * 3 * 2 and {row["predictor"] for row in rows} == {"zero", "run"}
    assert all(float(row["low"]) <= float(row["error"]) <= float(row["high"]) for row in rows)
    assert len(table(tmp_path / "positions.csv")) == 5 * len(rows)
    assert "error over zero" in capsys.readouterr().out
    main(["evaluate", "--run", str(run), "--sweep", "prompt=drawn,sorted", "--json", *small])
    assert [row["prompt"] for row in table(tmp_path / "errors.csv")] == ["drawn", "sorted"]
    found = json.loads(capsys.readouterr().out)
    assert [row["prompt"] for row in found["errors"]] == ["drawn", "sorted"]


def test_quantifiers_beside_constants(quantified, tmp_path, table):
    sweep = ("design=late,balanced", "deviant=2:100")
    shown = icl.evaluate(out=tmp_path, run=quantified, sweep=sweep, quiet=True)
    rows = table(tmp_path / "errors.csv")
    assert [row["design"] for row in rows] == ["late", "balanced"]
    for row in rows:
        for name in ("accuracy", "balanced_accuracy", "late_flip_accuracy", "wrong_prompts"):
            assert 0 <= float(row[name]) <= 1 and 0 <= float(row[f"constant_{name}"]) <= 1
        assert float(row["constant_balanced_accuracy"]) == 0.5
        for name in ("at_deviant", "after_deviant"):  # 100 > 0 decides nothing: both labels there
            assert 0 <= float(row[name]) <= 1 and float(row[f"constant_{name}"]) in (0.5, 1)
    out = str(shown)
    lines = out.splitlines()[:-1]  # the last is where the table was written
    assert out.count("a constant ") == 2 and max(map(len, lines)) <= 80
    assert all(word in out for word in ("balanced", "late", "deviant", "wrong"))
    assert (tmp_path / "errors.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.nightly
def test_quantifiers_of_several_runs_and_of_none(quantified, tmp_path):
    small = {"prompts": 11, "sweep": "design=late", "quiet": True, "predictors": "exact"}
    found = icl.evaluate(out=tmp_path, run=(quantified, quantified), **small)
    names = [row["predictor"] for row in found["errors"]]
    assert names == ["exact", "quantified", f"{quantified.parent}/quantified"]
    alone = icl.evaluate(out=tmp_path, task="mix", points=9, **small)
    assert [row["kind"] for row in alone["errors"]] == ["mix"]


@pytest.mark.nightly  # evaluation/ has the options and several seeds
def test_what_is_tested_follows_the_options(pair, tmp_path):
    options = {"functions": "polynomial:degree=2@uniform:0,1", "inputs": "uniform:0,1"}
    found = icl.evaluate(out=tmp_path, run=pair, count=3, prompts=5, **options)
    assert [row["predictor"] for row in found["errors"]] == ["pair#11", "pair#12"]
    assert found["errors"][0]["inputs"] == "uniform:0,1"
    with pytest.raises(TypeError, match="has no argument example"):
        icl.evaluate(out=tmp_path, run=pair, example=3)
