"""The scripts of the in-context papers: tables over seeds, verdicts, errors in one line."""

import csv
import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest

from attention.command_line import run_script
from attention.files import RunDirectory
from icl.papers import TABLES, beside_published, reproduction
from icl.tasks import Sampling
from icl.training import Experiment, Trained, init


def untrained(experiment, directory, steps):
    """In place of ``trained_models``: what it returns after no steps."""
    config, task = experiment.config(), experiment.task()
    return [Trained(experiment, task, config, init(config, s)) for s in experiment.all_seeds]


@pytest.mark.nightly  # test_laws_of_training_and_their_gates runs the script
def test_a_table_over_seeds(load_script, tmp_path, monkeypatch, capsys):
    words = ["--models", "1l1ah,2l1ah,1mlp", "--functions", "2", "--seeds", "2", "--seed", "3"]
    linear = load_script("reproduce_linear")
    monkeypatch.setattr(linear, "trained_models", untrained)
    monkeypatch.setattr(linear, "BASELINES", ("zero", "knn-3"))
    places = ["--out", str(tmp_path / "out"), "--data", str(tmp_path / "units")]
    run_script(linear.main, [*words, *places])
    monkeypatch.setattr(linear, "trained_models", None)  # all units are finished
    run_script(linear.main, [*words, *places])
    with (tmp_path / "out" / "table_2.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 10 * (2 + 2 * 3) and {row["seed"] for row in rows} == {"", "3", "4"}
    text = (tmp_path / "out" / "table_2.txt").read_text()
    assert text.count("deviation") == 3 and text.count("difference") == 3
    assert text.count('"mlp_only_does_not": true') == 2  # untrained: as bad as answering zero
    lines = capsys.readouterr().out.splitlines()
    assert max(len(line) for line in lines if "{" not in line) <= 96


def test_laws_of_training_and_their_gates(load_script, tmp_path, monkeypatch, capsys):
    linear = load_script("reproduce_linear")
    seen = {}

    def known(experiment, directory, steps):
        seen[directory.name] = experiment
        small = experiment.preset.replace("-12l8ah", "-1l8ah")
        return untrained(dataclasses.replace(experiment, preset=small), directory, steps)

    monkeypatch.setattr(linear, "trained_models", known)
    monkeypatch.setattr(linear, "BASELINES", ("zero",))
    monkeypatch.setattr(
        linear, "along_inputs", lambda model, xs, slope: np.clip(slope * np.array(xs), -30, 30)
    )
    words = ["--table", "1", "--models", "3l4ah-U,12l8ah-N-sorted,12l8ah-N", "--functions", "2"]
    monkeypatch.setattr(
        linear,
        "evaluate",
        lambda task, cases, by: (
            [{"predictor": name, "error": 1.0, **case.setting} for name in by for case in cases],
            [],
        ),
    )
    run_script(linear.main, [*words, "--out", str(tmp_path), "--data", str(tmp_path / "units")])
    assert seen.keys() == {"3l4ah-U", "12l8ah-N"}  # sorted prompts are a test, not a training
    assert seen["3l4ah-U"].inputs == seen["3l4ah-U"].functions == "uniform:-5,5"
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line[:1] == "{"]
    assert told[0]["plateau of f = 9x"] == [-30.0, 30.0, "pass"]
    assert told[1]["plateau of f = 10x"] == [-30.0, 30.0, "fail"]  # it should stay within 14
    assert told[0]["f = x on [100, 101] is not followed"][1] == "pass"  # untrained: near 0
    assert (tmp_path / "table_1.csv").is_file()


def test_mean_and_deviation_of_seeds():
    def rows(seed, add):
        return [
            {"predictor": "1l1ah", "inputs": "normal", "sigma": s + 1, "seed": seed,
             "error": TABLES[2].rows["1l1ah"].errors[s] + add} for s in range(10)
        ]  # fmt: skip

    found, text = beside_published([*rows(0, 1.0), *rows(1, 3.0)], {})
    assert [row["difference"] for row in found] == pytest.approx([1.0] * 10 + [3.0] * 10)
    by_label = {line[:13].strip(): line[13:].split() for line in text.splitlines()}
    assert by_label["difference"] == ["2.00"] * 10
    assert by_label["deviation"][:10] == [f"{np.sqrt(2):.2f}"] * 10


def test_verdicts_of_a_seed(load_script):
    linear = load_script("reproduce_linear")
    errors = {"zero": 2.0, "knn-3": 0.5, "1l1ah": 0.9, "2l1ah": 0.1, "2al1ah": 0.3, "2mlp": 1.95}
    rows = [
        {"predictor": name, "seed": "" if name in ("zero", "knn-3") else 7, "sigma": s,
         "error": error * (s if name != "knn-3" else 1), "b_eff": 3.0}
        for name, error in errors.items() for s in range(1, 11)
    ]  # fmt: skip
    names = {name: name for name in errors if "l" in name}
    found = linear.holds(rows, names, 7)
    assert found["one_layer_worst_from_sigma_3"] and found["mlp_only_does_not"]
    assert found["attention_only_learns"] and found["3nn_best_at_sigma"] == [6, 7, 8, 9, 10]
    assert found["error_over_zero_in_distribution"] == {"2l1ah": 0.05}
    worse = [row | {"error": 99.0} if row["predictor"] == "2l1ah" else row for row in rows]
    assert not linear.holds(worse, names, 7)["one_layer_worst_from_sigma_3"]


def test_polynomials_of_several_seeds(load_script):
    polynomials = load_script("reproduce_polynomials")
    predict = {
        "zero": lambda x, y: np.zeros_like(y),
        "polynomial-1": lambda x, y: y / 2,
        "seen#3": lambda x, y: y * 0.9,
        "seen#4": lambda x, y: y * 0.7,
        "lines#3": lambda x, y: y * 0.8,
        "lines#4": lambda x, y: y * 0.6,
    }
    rows = polynomials.by_degree(predict, (1, 2, 3), Sampling(5, 3))
    named = {f"{row['predictor']}#{row['seed']}".rstrip("#") for row in rows}
    assert named == set(predict)
    lines = polynomials.table(rows, (1, 3)).splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("seen"))
    assert lines[1].split() == ["1", "2*", "3"]
    assert lines[at].split() == ["seen"] + ["0.0500"] * 3  # of 0.01 and 0.09
    assert lines[at + 1].split() == ["deviation"] + [f"{0.08 / np.sqrt(2):.4f}"] * 3
    for seed, ours, low in ((3, 0.01, 0.04), (4, 0.09, 0.16)):
        (verdict,) = polynomials.verdicts(rows, (1, 3), "seen", "lines", seed)
        assert (verdict["seed"], verdict["degree"], verdict["between_seen"]) == (seed, 2, True)
        told = verdict["late"]
        assert told == pytest.approx({"model": ours, "polynomial-1": 0.25, "lines": low})
        assert verdict["late_approximated"]
    (swapped,) = polynomials.verdicts(rows, (1, 3), "lines", "seen", 3)
    assert not swapped["late_approximated"]


def test_quantifiers_of_several_seeds(load_script):
    quantifiers = load_script("reproduce_quantifiers")
    scores = {"accuracy": 0.9, "constant_accuracy": 0.99, "balanced_accuracy": 0.5}
    rows = [
        {"model": model, "test": test, "seed": seed, **scores, "late_flip_balanced_accuracy": late}
        for model in ("every", "some")
        for test in ("plain", "late")
        for seed, late in (("3", 0.4), ("4", 0.8))
    ]
    lines = quantifiers.table([*rows, {**rows[0], "model": "mix", "at_deviant": 0.25}]).splitlines()
    assert lines[1] == "every" and lines[2].split() == ["plain", "0.900", "0.990", "0.500", "0.600"]
    assert lines[3].split() == ["deviation", "0.000", "0.000", "0.000", "0.283"]
    assert lines[11:] == ["mix", lines[12]] and lines[12].split()[-1] == "0.250"
    assert lines[12].index("0.250") > lines[2].index("0.600") and max(map(len, lines)) <= 80


@pytest.mark.parametrize(
    ("name", "words", "said"),
    [
        ("reproduce_linear", "--models 1l3ah", "3 heads do not divide"),
        ("reproduce_linear", "--models 1l1ah,deep", "unknown architecture"),
        ("reproduce_linear", "--normalizer hard", "hard"),
        ("reproduce_linear", "--steps -1", "steps"),
        ("reproduce_linear", "--seeds 0", "seeds"),
        ("reproduce_linear", "--functions 0", "functions"),
        ("reproduce_linear", "--step x", "step"),
        ("reproduce_polynomials", "--architecture deep", "unknown architecture"),
        ("reproduce_polynomials", "--count 0", "count"),
        ("reproduce_polynomials", "--seeds 0", "seeds"),
        ("reproduce_quantifiers", "--prompts 0", "prompts"),
        ("reproduce_quantifiers", "--steps 0", "steps"),
        ("reproduce_quantifiers", "--seeds 0", "seeds"),
    ],
)
def test_errors_in_one_line(load_script, name, words, said, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        run_script(load_script(name).main, [*words.split(), "--out", str(tmp_path / "out")])
    told = capsys.readouterr().err
    assert stop.value.code == 2 and told.count("\n") == 1 and told.startswith(f"{name}.py: ")
    assert said in told and not (tmp_path / "out").exists()


def test_a_run_of_other_settings_is_refused(load_script, tmp_path, capsys):
    settings = dataclasses.asdict(Experiment("linear-1l1ah", batch=7))
    with RunDirectory(tmp_path / "out" / "1l1ah", "icl train", settings) as run:
        (run.path / "metrics.jsonl").write_text("{}")
    words = ["--models", "1l1ah", "--functions", "1", "--out", str(tmp_path / "out")]
    with pytest.raises(SystemExit) as stop:
        run_script(load_script("reproduce_linear").main, words)
    assert stop.value.code == 2 and "batch was 7 and is now 32" in capsys.readouterr().err


def test_the_zoo_is_trained_in_units_and_goes_on(load_script, tmp_path, monkeypatch, capsys):
    zoo = load_script("train_zoo")
    seen = []
    monkeypatch.setattr(zoo, "train", lambda experiment, run, updates: seen.append(updates.steps))
    monkeypatch.setattr(zoo, "card_of", lambda name, run, steps, sweep: (name, {"steps": steps}))

    def write(folder, model, card):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "card.json").write_text(json.dumps({"name": model, **card}))

    monkeypatch.setattr(zoo, "save_model", write)
    words = ["--models", "linear-1l1ah-seed2", "--unit", "1000", "--zoo", str(tmp_path)]
    run_script(zoo.main, [*words, "--steps", "2500"])
    assert seen == [1000, 2000, 2500]
    run_script(zoo.main, [*words, "--steps", "3000"])
    assert seen[3:] == [3000]
    run_script(zoo.main, [*words, "--plan"])
    assert "3,000  500,000" in capsys.readouterr().out and len(seen) == 4
    for name in zoo.PLAN | zoo.BESIDES:
        assert zoo.experiment_of(name).config().num_hidden_layers
    attention_only = zoo.experiment_of("linear-2al8ah-S-seed0")
    assert attention_only.inputs == attention_only.functions == "uniform:-1,1"
    assert zoo.experiment_of("some-2l2ah-ssa-seed0").normalizer == "ssa"
    quick = zoo.experiment_of("some-2l2ah-ssa-quick-seed3")
    assert (quick.normalizer, quick.learning_rate, quick.seed) == ("ssa", 1e-3, 3)


def test_why_models_fail_far_away(load_script, tmp_path, monkeypatch, capsys):
    limits = load_script("reproduce_limits")
    numbers = {"plateau_along_slopes": (-3.0, 2.0), "effective_bound": (4.0,)}
    entropies = [{"magnitude": size, "layer": 0, "entropy": 1 / size} for size in (1, 10)]
    known = SimpleNamespace(numbers=numbers, entropies=entropies)
    monkeypatch.setattr(limits, "survey", lambda model: known)
    monkeypatch.setattr(limits, "SPREADS", (1,))
    (model,) = untrained(Experiment("linear-1l1ah", hidden_size=6, points=5), None, 0)
    row = limits.examine(model, 2)
    assert [row[name] for name in ("plateau", "B_eff", "entropy at 10")] == [3.0, 4.0, 0.1]
    assert row["deviant 1"] > 0 and len(row["heat"]) == 1
    monkeypatch.setattr(reproduction, "trained_models", lambda given, run, steps: [model, model])
    monkeypatch.setattr(limits, "examine", lambda model, functions: row)
    monkeypatch.setattr(limits, "CELLS", {"a": {}, "b": {"normalizer": "ssa"}})
    words = ["--data", str(tmp_path), "--out", str(tmp_path / "runs"), "--functions", "2"]
    run_script(limits.main, [*words, "--seeds", "2"])
    kept = sorted(file.name for file in (tmp_path / "2l2ah-4000").glob("*.json"))
    assert kept == [f"{cell}-seed{seed}-2.json" for cell in "ab" for seed in (0, 1)]
    monkeypatch.setattr(reproduction, "trained_models", None)  # finished units are not made again
    run_script(limits.main, [*words, "--seeds", "2"])
    first, second = capsys.readouterr().out.split("plateau")[1:]
    assert first.count("±") > 8 and first.splitlines()[1] == second.splitlines()[1]


def test_differences_are_paired_by_seed(load_script):
    limits = load_script("reproduce_limits")
    softmax = [{"heat": [float(seed)] * 16} for seed in (1, 2, 3)]
    ssa = [{"heat": [seed - 0.5] * 15 + [seed * 1.5]} for seed in (1, 2, 3)]
    lines = limits.differences(softmax, ssa).splitlines()
    assert lines[2].split() == ["1", *["-0.500", "±", "0.000*"] * 4]
    assert lines[5].split()[-3:] == ["1.000", "±", "1.242"]  # gaps 0.5, 1, 1.5: t · s / √3


def test_the_degree_that_a_model_equals(load_script):
    schedules = load_script("reproduce_schedules")
    fits = {f"polynomial-{d}": 1 / d for d in range(1, 8)}
    assert [schedules.equalled(x, fits) for x in (1.5, 1.0, 0.4, 0.1)] == ["0", "1", "2", "7+"]
    orders = schedules.schedules(3000)
    task = Experiment("polynomial-1l1ah", **orders["sequential"]).task()
    assert [int(task.degree_curriculum.at(s)) for s in (0, 999, 1000, 2000, 2999)] == [
        1,
        1,
        3,
        5,
        5,
    ]
    task = Experiment("polynomial-1l1ah", **orders["growing"]).task()
    assert [int(task.degree_curriculum.at(s)) for s in (0, 600, 1200, 2999)] == [1, 2, 3, 5]


def test_schedules_are_tested_on_unseen_classes(load_script, tmp_path, monkeypatch, capsys):
    schedules = load_script("reproduce_schedules")
    zero = {"model": lambda x, y: np.zeros_like(y)}
    monkeypatch.setattr(schedules, "CLASSES", ["polynomial:degree=3", "smooth"])
    found = schedules.examine(zero, Sampling(2, 3))
    assert list(found) == ["degree 3", "degree 3 x2", "smooth", "smooth x2"]
    assert all(row["model"] == pytest.approx(1) for row in found.values())
    row = {name: {"model": 0.3} for name in found}
    fits = {
        name: {"knn-3": 0.2, **{f"polynomial-{d}": 1 / d**2 for d in range(1, 8)}} for name in found
    }
    lines = schedules.table({"mixed": [row, row]}, fits).splitlines()
    assert lines[1].split() == ["degree", "3", "0.200", "0.300", "±", "0.000", "(1)"]


def test_how_training_decides(load_script, tmp_path, monkeypatch, capsys):
    training = load_script("reproduce_training")
    assert training.trainings(500_000)["curriculum"] == {"point_curriculum": "11:41:2:2000"}
    units = {"N-0-1": 1.0, "N-0-3": 3.0, "N-0-10": 10.0, "curriculum": 2.0}
    for name, value in units.items():
        for seed in (0, 1):
            found = dict.fromkeys(training.COLUMNS, value + seed * (1 if name == "N-0-1" else 2))
            file = tmp_path / "3l4ah-4000" / f"{name}-seed{seed}-100.json"
            file.parent.mkdir(exist_ok=True)
            file.write_text(json.dumps({"found": found}))
    run_script(training.main, ["--data", str(tmp_path), "--seeds", "2"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].split()[2:5] == ["4", "±", "12.7"]  # of 3 and 5: t · s / √2
    assert lines[3].split()[:4] == ["difference", "2.5", "±", "6.35"]  # 2 and 3
    assert max(map(len, lines)) <= 80
