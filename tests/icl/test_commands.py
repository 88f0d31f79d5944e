"""``icl …`` from the command line: what it writes, and errors in one line."""

import csv
import dataclasses
import json

import numpy as np
import pytest
from icl_runs import STEPS, TINY

from icl.cli import main
from icl.training.fitting import train


def table(file):
    with file.open() as lines:
        return list(csv.DictReader(lines))


def test_the_published_set(tmp_path, capsys):
    names = "zero,least-squares,knn-3"
    main(["evaluate", "--published", "--predictors", names, "--count", "7", "--out", str(tmp_path)])
    rows = table(tmp_path / "errors.csv")
    assert list(rows[0]) == "predictor inputs sigma error error_over_zero low high".split()
    assert len(rows) == 60 and {row["inputs"] for row in rows} == {"normal", "uniform"}
    assert [row["sigma"] for row in rows[::3]] == [str(s) for s in range(1, 11)] * 2
    assert all(float(row["error"]) < 1e-6 for row in rows if row["predictor"] == "least-squares")
    assert (tmp_path / "errors.png").read_bytes().startswith(b"\x89PNG")
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


def test_a_long_table_ends(tmp_path, capsys):
    names = ["--predictors", "zero,knn-1,knn-2,knn-3", "--count", "3"]
    main(["evaluate", "--published", *names, "--out", str(tmp_path)])
    said = capsys.readouterr().out.splitlines()
    assert len(table(tmp_path / "errors.csv")) == 80
    assert len(said) == 1 + 60 + 2 and said[-1].endswith("errors.csv, 20 rows more")
    one = ["--predictors", "zero", "--sweep", "order=drawn,sorted", "--sweep", "sigma=1:60"]
    small = ["--count", "1", "--prompts", "1", "--points", "5", "--out", str(tmp_path)]
    main(["evaluate", *one, *small])  # columns are those that vary in the file
    assert "order" in capsys.readouterr().out.splitlines()[0]


def test_a_run_is_swept_and_drawn(run, tmp_path, capsys):
    small = ["--count", "3", "--prompts", "5", "--points", "5", "--out", str(tmp_path)]
    sweeps = ["--sweep", "sigma=1:3", "--sweep", "inputs=1,2"]
    main(["evaluate", "--run", str(run), "--predictors", "zero", *sweeps, *small])
    rows = table(tmp_path / "errors.csv")
    assert len(rows) == 2 * 3 * 2 and {row["predictor"] for row in rows} == {"zero", "run"}
    assert all(float(row["low"]) <= float(row["error"]) <= float(row["high"]) for row in rows)
    assert len(table(tmp_path / "positions.csv")) == 5 * len(rows)
    main(["evaluate", "--run", str(run), "--sweep", "order=drawn,sorted", *small])
    assert [row["order"] for row in table(tmp_path / "errors.csv")] == ["drawn", "sorted"]
    both = ["--sweep", "order=drawn,sorted", "--sweep", "sigma=1:2"]
    (tmp_path / "errors.png").unlink()
    main(["evaluate", "--run", str(run), *both, *small])
    assert (tmp_path / "errors.png").exists()
    assert "error over zero" in capsys.readouterr().out


def test_saturation(run, tmp_path, capsys):
    main(["saturation", "--run", str(run), "--count", "5", "--out", str(tmp_path)])
    found = json.loads((tmp_path / "saturation.json").read_text())
    np.testing.assert_allclose(found["observed_limits"], found["limits_from_weights"], atol=1e-4)
    assert found["effective_bound"][0] > 0
    low, high = found["plateau_along_slopes"]
    assert low < high and (tmp_path / "boundary.png").exists()
    assert len(table(tmp_path / "entropy.csv")) == 6 * 2
    out = capsys.readouterr().out
    assert "limits from weights" in out and "B_eff" in out


def test_roots(run, tmp_path, capsys):
    main(["roots", "--run", str(run), "--count", "20", "--out", str(tmp_path)])
    out = capsys.readouterr().out
    assert "scan" in out and "always 0" in out and "median distance" in out
    rows = table(tmp_path / "roots.csv")
    assert [row["predictor"] for row in rows] == ["always 0", run.name]
    assert all(float(row["median_distance"]) > 0 and row["reading"] == "scan" for row in rows)


def test_roots_of_several_seeds(tmp_path, capsys):
    two = dataclasses.replace(TINY, seeds=2, inverse=True)
    train(two, tmp_path / "run", steps=2, dispatch=2, save_every=2, log_every=2, quiet=True)
    main(["roots", "--run", str(tmp_path / "run"), "--count", "20", "--out", str(tmp_path)])
    rows = table(tmp_path / "roots.csv")
    names = [f"run#{TINY.seed}", f"run#{TINY.seed + 1}"]
    assert [row["predictor"] for row in rows] == ["always 0", *names]
    assert rows[1]["median_distance"] != rows[2]["median_distance"]
    assert "swap" in capsys.readouterr().out


def test_quantifiers_beside_constants(tmp_path, capsys):
    train_here = tmp_path / "run"
    words = ["train", "--preset", "every-1l1ah", "--points", "7", "--hidden-size", "6"]
    words += ["--batch", "5", "--steps", "3", "--dispatch", "3", "--save-every", "3"]
    main([*words, "--log-every", "3", "--quiet", "--out", str(train_here)])
    sweeps = ["--sweep", "design=late,balanced", "--sweep", "deviant=2:100"]
    main(["evaluate", "--run", str(train_here), *sweeps, "--out", str(tmp_path / "out")])
    rows = table(tmp_path / "out" / "errors.csv")
    assert [row["design"] for row in rows] == ["late", "balanced"]
    for row in rows:
        for name in ("accuracy", "balanced_accuracy", "late_flip_accuracy", "wrong_prompts"):
            assert 0 <= float(row[name]) <= 1 and 0 <= float(row[f"constant_{name}"]) <= 1
        assert float(row["constant_balanced_accuracy"]) == 0.5
        for name in ("at_deviant", "after_deviant"):  # 100 > 0 decides nothing: both labels there
            assert 0 <= float(row[name]) <= 1 and float(row[f"constant_{name}"]) in (0.5, 1)
    out = capsys.readouterr().out
    lines = out.splitlines()[:-1]  # the last is where the table was written
    assert out.count("a constant answer") == 2 and max(map(len, lines)) <= 80
    assert all(word in out for word in ("balanced", "late", "deviant", "wrong"))
    assert (tmp_path / "out" / "errors.png").read_bytes().startswith(b"\x89PNG")


def test_a_sweep_of_three_axes_says_that_it_has_no_picture(tmp_path, capsys):
    sweeps = ["--sweep", "sigma=1,2", "--sweep", "inputs=1,3", "--sweep", "order=drawn,sorted"]
    words = ["evaluate", "--predictors", "zero", "--points", "7", "--out", str(tmp_path / "out")]
    main([*words, *sweeps])
    assert len(table(tmp_path / "out" / "errors.csv")) == 8
    assert "no picture: " in capsys.readouterr().out
    assert not (tmp_path / "out" / "errors.png").exists()


def test_a_resumed_command_is_the_same_run(run, tmp_path):
    words = ["train", "--preset", TINY.preset, "--points", "5", "--batch", "7", "--hidden-size"]
    words += ["6", "--learning-rate", "1e-3", "--seed", "11", "--dispatch", "3", "--save-every"]
    words += ["6", "--log-every", "3", "--quiet", "--out", str(tmp_path / "run")]
    main([*words, "--steps", "12"])
    ours, theirs = (
        [{**json.loads(line), "steps_per_s": None} for line in lines.splitlines()]
        for lines in ((d / "metrics.jsonl").read_text() for d in (tmp_path / "run", run))
    )
    assert ours == theirs


BAD = {
    "train --preset linear-1l1ah --inputs normal:0 --out OUT": "normal:MEAN,DEVIATION",
    "train --preset linear-1l1ah --inputs uniform:2,1 --out OUT": "LOW must be less",
    "train --preset polynomial-1l1ah --functions polynomial:degree=-1 --out OUT": "too small",
    "train --preset linear-1l3ah --out OUT": "3 heads do not divide the hidden size 64",
    "train --preset cubic-1l1ah --out OUT": "unknown preset",
    "train --preset linear-1l1ah --steps 0 --out OUT": "steps must be at least 1",
    "train --preset linear-1l1ah --dispatch 7 --out OUT": "multiples of dispatch=7",
    "train --preset linear-1l1ah --point-curriculum 1:99:2:3 --out OUT": "beyond 41",
    "train --preset linear-1l1ah --out RUN": "belongs to another experiment: preset is",
    "evaluate --out OUT": "nothing to evaluate",
    "evaluate --predictors nearest --out OUT": "unknown predictor",
    "evaluate --predictors zero --eval-set OUT/none.npz --out OUT": "there is no file",
    "evaluate --predictors zero --sweep degree=2 --out OUT": "no degree to sweep",
    "evaluate --predictors zero --sweep speed=2 --out OUT": "NAME=VALUES",
    "evaluate --predictors zero --inputs gauss:0,1 --out OUT": "no distribution",
    "evaluate --predictors zero --count 0 --out OUT": "at least 1",
    "evaluate --run OUT --out OUT": "no run of icl train",
    "saturation --run RUN --count 1 --out OUT": "at least 2 slopes",
    "saturation --run RUN --seed 5 --out OUT": "seeds 11 to 11",
    "train --preset linear-1l1ah --hidden-size -4 --out OUT": "hidden size",
    "train --preset linear-1l1ah --precision tf32 --out OUT": "unknown matrix precision 'tf32'",
    "train --preset linear-1l1ah --learning-rate nan --out OUT": "must be positive",
    "train --preset every-1l1ah --point-curriculum 1:3:1:9 --out OUT": "no curriculum",
    "train --preset every-1l1ah --functions uniform:0,1 --out OUT": "no functions",
    "train --preset noisy-1l1ah --functions noisy:noise=nan --out OUT": "noise=nan",
    "train --preset linear-1l1ah --out RUN/experiment.json": "is a file",
    "evaluate --predictors zero --out RUN/experiment.json/x": "is a file",
    "evaluate --predictors zero --eval-set RUN/experiment.json --out OUT": "no evaluation set",
    "roots --run RUN --low 2 --high 1": "low must be less",
    "evaluate --published --predictors zero --sweep sigma=1:2 --out OUT": "of its own",
    "evaluate --predictors zero --sweep sigma=3:1 --out OUT": "FIRST must not be more",
    "evaluate --predictors zero --sweep sigma=1 --sweep sigma=2 --out OUT": "swept twice",
    "evaluate --predictors zero --sweep inputs=nan --out OUT": "positive",
    "evaluate --predictors zero --sweep deviant=3:inf --out OUT": "finite",
    "evaluate --predictors zero --points 0 --out OUT": "at least 1",
    "ask --model m --functions every --coefficients normal:0,1 --out OUT": "no coefficients",
    "ask --model m --functions every --sweep degree=1 --out OUT": "NAME=VALUES",
    "ask --model m --functions every --points 3 --out OUT": "more than 3 points",
    "ask --model m --functions mix --no-labels --out OUT": "nothing tells",
    "ask --model m --functions some --predictors knn-3 --out OUT": "unknown predictor",
    "ask --model m --functions some --run RUN --out OUT": "not trained on quantifiers",
    "ask --model m --no-labels --out OUT": "those of every and some",
    "ask --model m --functions linear:d=2 --out OUT": "of one number",
    "ask --model m --endpoint ftp://x --out OUT": "http(s)",
    "ask --model OUT/nothing --count 1 --out OUT": "nothing",
    "ask --model m --count 0 --out OUT": "positive",
}


@pytest.mark.parametrize("words", BAD)
def test_errors_in_one_line(words, run, tmp_path, capsys):
    out = tmp_path / "out"
    with pytest.raises(SystemExit) as stop:
        main(words.replace("RUN", str(run)).replace("OUT", str(out)).split())
    said = capsys.readouterr().err
    assert stop.value.code == 2 and said.count("\n") == 1 and said.startswith("icl: ")
    assert BAD[words] in said
    assert not out.exists() or not any(out.iterdir())


def test_a_run_with_several_seeds_says_which(tmp_path):
    import dataclasses

    from icl.evaluation import errors as evaluation
    from icl.training.fitting import load

    two = dataclasses.replace(TINY, preset="linear-1l1ah", seeds=2)
    train(two, tmp_path / "run", steps=3, **{**STEPS, "save_every": 3})
    assert list(evaluation.predictors([], [tmp_path / "run"])) == ["run#11", "run#12"]
    one, other = (load(tmp_path / "run", seed).params for seed in (11, 12))
    assert not np.allclose(one["embed"]["kernel"], other["embed"]["kernel"])
