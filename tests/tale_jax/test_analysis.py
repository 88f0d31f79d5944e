"""Compare, transfer, pick, export, benchmark, information and lens on a tiny random model."""

import csv
import json

import numpy as np
import pytest
import yaml
from tiny_models import write_model

from attention.errors import InputError
from tale_jax import evaluate, export, search
from tale_jax.analysis.latency import Workload
from tale_jax.cli import main
from tale_jax.commands.benchmark import benchmark
from tale_jax.commands.compare import compare
from tale_jax.commands.information import entropy, estimate, information
from tale_jax.commands.lens import lens
from tale_jax.commands.pick import _fast_enough, pareto_front, pick
from tale_jax.commands.transfer import transfer
from tale_jax.exporting.formats import mergekit_recipe
from tale_jax.runs import load_run


@pytest.fixture(scope="module")
def root(tmp_path_factory, write_letters):
    root = tmp_path_factory.mktemp("analysis")
    write_model(root / "tiny")
    for name, seed in (("a", 1), ("b", 5)):
        task, test = (
            write_letters(root / f"{name}{end}.jsonl", count, seed + i)
            for i, (end, count) in enumerate((("", 47), ("-test", 31)))
        )
        search(str(root / "tiny"), task, root / name, epsilon=0.3, test=test, null_control=2)
    return root


def rows(file):
    with file.open(newline="") as opened:
        return list(csv.DictReader(opened))


def test_the_control_is_in_summary_and_report(root):
    control = json.loads((root / "a" / "summary.json").read_text())["null_control"]
    assert control["shuffles"] == len(control["gains"]) == 2
    assert "Null control" in (root / "a" / "report.html").read_text()
    assert "--null-control 2" in (root / "a" / "report.html").read_text()


def test_criteria_at_equal_depth(root):
    given = {"test": str(root / "a-test.jsonl"), "draws": 2, "depth": 2}
    names = ["accuracy", "cosine", "random", "last"]
    model, task = str(root / "tiny"), str(root / "a.jsonl")
    found = compare(model, task, root / "criteria", criteria=names, **given)
    assert len(found) == 5 * 3
    last = [row for row in found if row["criterion"] == "last"]
    assert [row["dropped"] for row in last] == [(), (4,), (3, 4)]
    again = evaluate(model, task, drop=[3, 4], test=given["test"])
    assert last[2]["correct"] == again["test"]["correct"]
    before = (root / "criteria" / "comparison.csv").read_bytes()
    compare(model, task, root / "criteria", criteria=names, resume=True, **given)
    assert (root / "criteria" / "comparison.csv").read_bytes() == before
    assert (root / "criteria" / "comparison.svg").stat().st_size > 1000
    with pytest.raises(InputError, match="depth must be"):
        compare(model, task, root / "deep", depth=5)
    with pytest.raises(InputError, match="unknown criterion 'luck'"):
        compare(model, task, root / "deep", criteria=["luck"])


def test_transfer_scores_each_task_without_the_layers_of_each(root):
    found = transfer([root / "a", root / "b"], root / "transfer", pick="bsba")
    assert len(found) == 3 * 2
    task, test = str(root / "b.jsonl"), str(root / "b-test.jsonl")
    crossed = next(r for r in found if r["found_on"].endswith("a.jsonl") and r["scored_on"] == task)
    assert crossed["dropped"] == load_run(root / "a").dropped("bsba")
    again = evaluate(str(root / "tiny"), task, drop=crossed["dropped"], test=test)
    assert crossed["correct"] == again["test"]["correct"]
    assert len(rows(root / "transfer" / "transfer.csv")) == 6
    few = transfer([root / "a", root / "b"], root / "few", pick="bsba", limit=7)
    assert {row["total"] for row in few} == {7}
    again = evaluate(str(root / "tiny"), task, drop=crossed["dropped"], test=test, limit=7)
    assert few[4]["dropped"] == crossed["dropped"]
    assert few[4]["correct"] == again["test"]["correct"]
    with pytest.raises(InputError, match="limit 0"):
        transfer([root / "a", root / "b"], root / "none", limit=0)
    for runs, message in (([root / "a"], "at least two"), ([root / "a"] * 2, "of one task")):
        with pytest.raises(InputError, match=message):
            transfer(runs, root / "other")


def test_the_front_has_no_dominated_model(root):
    run = load_run(root / "a")
    front = pareto_front(run)
    depths = [len(point["dropped"]) for point in front]
    assert depths == sorted(set(depths))
    counts = [point["correct"] for point in front]
    assert counts == sorted(set(counts), reverse=True)
    best_at = {}
    for candidate in run.candidates:
        if not candidate["bound"]:
            depth = candidate["iteration"]
            best_at[depth] = max(best_at.get(depth, 0), candidate["correct"])
    for point in front[1:]:
        assert point["correct"] == best_at[len(point["dropped"])]


@pytest.mark.parametrize("strategy", ["beam:2", "floating"])
def test_the_front_of_other_strategies(root, tmp_path, strategy):
    """Counts are those that evaluation gives, whichever model a candidate was made from."""
    model, task = str(root / "tiny"), str(root / "a.jsonl")
    given = {"epsilon": 0.3, "max_drops": 3, "batch_tokens": 64}  # many batches: many bounds
    search(model, task, tmp_path / "run", strategy=strategy, **given)
    run = load_run(tmp_path / "run")
    assert any(candidate["bound"] for candidate in run.candidates)
    front = pareto_front(run)
    exact = {tuple(c["dropped"]): c["correct"] for c in run.candidates if not c["bound"]}
    for point in front:
        assert point["correct"] == exact.get(tuple(point["dropped"]), point["correct"])
        assert evaluate(model, task, drop=point["dropped"])["search"]["correct"] == point["correct"]
        dominating = [c for d, c in exact.items() if len(d) >= len(point["dropped"])]
        assert max(dominating, default=0) <= point["correct"]
    chosen = pick(tmp_path / "run", budget_layers=3)["dropped"]
    assert chosen == next(p["dropped"] for p in front if len(p["dropped"]) >= 2)


def test_picking_by_depth_and_accuracy(root, tmp_path):
    front = pareto_front(load_run(root / "a"))
    chosen = pick(root / "a", tmp_path / "list", budget_layers=3, form="list")
    assert chosen["dropped"] == next(p["dropped"] for p in front if len(p["dropped"]) >= 2)
    dropped = [int(x) for x in (tmp_path / "list").read_text().split(",")]
    assert dropped == chosen["dropped"]
    again = evaluate(
        str(root / "tiny"), str(root / "a.jsonl"), drop=dropped, test=str(root / "a-test.jsonl")
    )
    assert again["test"]["correct"] == chosen["test"]["correct"]
    assert again["search"]["correct"] == chosen["correct"]
    assert pick(root / "a", min_accuracy=0.01)["dropped"] == front[-1]["dropped"]
    for limits, message in (
        ({}, "exactly one"),
        ({"min_accuracy": 0.5, "budget_layers": 2}, "exactly one"),
        ({"min_accuracy": 1.1}, "no recorded model reaches"),
        ({"budget_layers": 0}, "no recorded model has"),
    ):
        with pytest.raises(InputError, match=message):
            pick(root / "a", **limits)


def test_the_first_model_fast_enough_is_found():
    front = [{"dropped": list(range(n))} for n in range(6)]
    chosen = _fast_enough(front, 0.7, lambda point: 1 - 0.1 * len(point["dropped"]) - 1e-9)
    assert chosen["dropped"] == [0, 1, 2]
    with pytest.raises(InputError, match=r"takes 0\.90"):
        _fast_enough(front, 0.5, lambda point: 0.9)


def test_recipes_name_ranges_of_layers(root, tmp_path):
    recipe = yaml.safe_load(mergekit_recipe('a"b: c', [0, 1, 3, 5, 6], "bfloat16"))
    sources = [s["sources"][0] for s in recipe["slices"]]
    assert [s["layer_range"] for s in sources] == [[0, 2], [3, 4], [5, 7]]
    assert {s["model"] for s in sources} == {'a"b: c'}
    assert recipe["merge_method"] == "passthrough"
    export(root / "a", "bsba", tmp_path / "x.yaml", form="mergekit")
    with pytest.raises(InputError, match="exists"):
        export(root / "a", "bsba", tmp_path / "x.yaml", form="list")


def test_benchmark_tells_sizes_exactly(root, tmp_path):
    work = Workload(1, 5, 3, rounds=2, warmup=1)
    found = benchmark(
        str(root / "tiny"), drop=[1, 3], batches=[2], work=work, out=tmp_path / "b.csv"
    )
    full, shorter = found
    assert full["cache_mib"] * 2**20 == 5 * 2 * (5 + 3) * 2 * 14 * 4
    assert shorter["cache_mib"] == pytest.approx(full["cache_mib"] * 3 / 5)
    layer = 22 * 14 * (2 + 1 + 1 + 2) + 3 * 22 * 31 + 2 * 22
    assert (full["parameters_mib"] - shorter["parameters_mib"]) * 2**20 == 2 * layer * 4
    assert shorter["memory_ratio"] < full["memory_ratio"] == 1
    assert full["first_token_ratio"] == full["decode_ratio"] == 1
    assert len(rows(tmp_path / "b.csv")) == 2
    for given, message in (
        ({"work": Workload(new_tokens=1)}, "at least 2 new"),
        ({"work": Workload(prompt_length=99)}, "positions"),
        ({"run": root / "a"}, "leave out --drop"),
    ):
        with pytest.raises(InputError, match=message):
            benchmark(str(root / "tiny"), drop=[1], **given)
    with pytest.raises(InputError, match="give --run"):
        benchmark(str(root / "tiny"))


def test_estimates_know_and_know_not():
    number = np.random.default_rng(0)
    labels = np.arange(90) % 3
    blind = estimate(number.normal(size=(90, 2)), labels)
    assert blind.low < 0.1
    assert blind.cross_validated < 0.15
    seeing = estimate(np.eye(3)[labels] + 0.01 * number.normal(size=(90, 3)), labels)
    assert entropy(labels) == pytest.approx(np.log2(3))
    assert seeing.cross_validated > 1.2
    assert seeing.low <= seeing.cross_validated <= seeing.high


def test_the_papers_estimate_finds_what_is_not_there():
    """On states of noise, more dimensions than examples: far above 0 in the mean, not always."""
    number = np.random.default_rng(0)
    found = [estimate(number.normal(size=(100, 307)), np.arange(100) % 2) for _ in range(7)]
    assert np.mean([bits.same_states for bits in found]) > 0.05
    assert np.mean([bits.cross_validated for bits in found]) < 0
    assert max(bits.low for bits in found) < 0.05


def test_the_cross_validated_estimate_is_the_information_of_two_gaussians():
    """x ~ N(±1, 1): I = 1 − E log2(1 + exp(−2x)), x ~ N(1, 1), where logistic regression is right.

    The integral is a sum over a fine grid.
    """
    grid = np.linspace(-9, 11, 20001)
    density = np.exp(-((grid - 1) ** 2) / 2) / np.sqrt(2 * np.pi)
    exact = 1 - np.sum(density * np.log2(1 + np.exp(-2 * grid))) * (grid[1] - grid[0])
    assert exact == pytest.approx(0.486, abs=1e-3)
    number, labels = np.random.default_rng(3), np.arange(1501) % 2
    states = number.normal(size=(1501, 3))
    states[:, 0] += 2 * labels - 1
    bits = estimate(states, labels)
    for estimated in (bits.same_states, bits.cross_validated):
        assert estimated == pytest.approx(exact, abs=0.05)
    assert bits.low < exact < bits.high


def test_information_before_and_after(root):
    found = information(run=root / "a", pick="bsba", examples=41, quiet=True)
    dropped = load_run(root / "a").dropped("bsba")
    assert len(found) == 6 + (6 - len(dropped) if dropped else 0)
    assert [row["layer"] for row in found[:6]] == [-1, 0, 1, 2, 3, 4]
    assert len(rows(root / "a" / "information.csv")) == len(found)
    assert "What each layer knows" in (root / "a" / "report.html").read_text()
    with pytest.raises(InputError, match="different answers"):
        information(run=root / "a", examples=10)
    with pytest.raises(InputError, match="give --run, or both"):
        information(str(root / "tiny"))


@pytest.mark.parametrize("final_norm", [True, False])
def test_the_lens_is_the_model_without_the_layers_behind(root, final_norm):
    model, task = str(root / "tiny"), str(root / "a.jsonl")
    choices = lens(model, task, drop=[2], final_norm=final_norm)
    full = [row for row in choices if row["model"] == "full"]
    assert [row["layer"] for row in full] == [-1, 0, 1, 2, 3, 4]
    assert [row["layer"] for row in choices[6:]] == [-1, 0, 1, 3, 4]
    if final_norm:
        behind = evaluate(model, task, drop=[2, 4])
        assert choices[6:][3]["correct"] == behind["search"]["correct"]
        assert full[-1]["correct"] == behind["search"]["full"]
        written = lens(model, task, protocol="decode")
        behind = evaluate(model, task, drop=[3, 4], protocol="decode")
        assert written[3]["correct"] == behind["search"]["correct"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["pick", "--run", "nowhere", "--budget-layers", "3"], "holds no run"),
        (["benchmark", "--run", "nowhere"], "holds no run"),
        (["benchmark", "--model", "demo", "--drop", "1", "--batch", "x"], "numbers between commas"),
        (["transfer", "--runs", "nowhere", "nowhere", "--out", "x"], "holds no run"),
        (["information", "--model", "demo"], "give --run, or both"),
        (["lens", "--run", "nowhere", "--drop", "1"], "leave out --drop"),
        (["compare", "--model", "demo", "--task", "no.jsonl", "--out", "x"], "no such file"),
        (["finetune", "--model", "demo", "--task", "demo:facts", "--out", "x", "--schedule", "up"],
         "unknown schedule"),
        (["arms", "--model", "demo", "--task", "no.jsonl", "--out", "x"], "no such file"),
    ],
)  # fmt: skip
def test_bad_words_end_in_one_line(capsys, words, message):
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert message in error


def test_a_run_brings_its_own_options(root):
    with pytest.raises(InputError, match="leave out --limit"):
        lens(run=root / "a", limit=3)
