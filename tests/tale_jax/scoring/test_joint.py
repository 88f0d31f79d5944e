"""Several tasks scored as one, on a tiny random model."""

import json

import pytest

from attention.errors import InputError
from attention.terminal import Terminal
from tale_jax import evaluate, search
from tale_jax.commands.export import export
from tale_jax.commands.pick import pick
from tale_jax.models import load_model
from tale_jax.opening import open_scorers, open_subject, read_task
from tale_jax.options import Options, Subject
from tale_jax.runs import load_run

QUICK = {"epsilon": 0.3, "max_drops": 2, "quiet": True}


@pytest.fixture(scope="module")
def tasks(searched, tmp_path_factory):
    """A folder of data with the tasks ``a`` (47 and 31 rows) and ``b`` (47, no test split)."""
    root = tmp_path_factory.mktemp("joint")
    for task, splits in {"a": ("a", "a-test"), "b": ("b",), "c": ("b",)}.items():
        (root / task).mkdir()
        for name, file in zip(("validation", "test"), splits, strict=False):
            lines = (searched / f"{file}.jsonl").read_text().splitlines(keepends=True)
            fewer = lines[: 29 if task == "b" else None]
            (root / task / f"{name}.jsonl").write_text("".join(fewer))
    return root


@pytest.fixture(scope="module")
def run(searched, tasks, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "joint"
    search(
        str(searched / "tiny"),
        ("a", "b"),
        out,
        data=tasks,
        null_control=1,
        untouched=("c",),
        **QUICK,
    )
    return out


@pytest.mark.quick("mean")
@pytest.mark.parametrize("objective", ["mean", "min"])
def test_a_race_over_tasks_is_exact(searched, tasks, check_race, objective):
    model, options = load_model(str(searched / "tiny")), Options(data=tasks, batch_tokens=64)
    asked = {name: read_task(name, options) for name in "ab"}
    scorer = open_scorers(model, asked, objective, options, Terminal(quiet=True))
    check_race(scorer, 5, scorer.total)


def test_the_files_have_the_counts_of_each_task(run, searched, tasks):
    summary, found = json.loads((run / "summary.json").read_text()), load_run(run)
    for name in ("baseline", "best", "bsba"):
        dropped = summary[name]["dropped"]
        alone = evaluate(str(searched / "tiny"), ("a", "b"), drop=dropped, data=tasks)["tasks"]
        counts = {task: alone[task]["search"]["correct"] for task in "ab"}
        assert {t: part["correct"] for t, part in summary[name]["tasks"].items()} == counts
        shares = [counts["a"] / 47, counts["b"] / 29]
        assert summary[name]["accuracy"] == pytest.approx(sum(shares) / 2)
        assert summary[name]["low"] < summary[name]["accuracy"] < summary[name]["high"]
        assert list(summary[name]["test"]["tasks"]) == ["a"]
        assert summary[name]["test"]["correct"] == alone["a"]["test"]["correct"]
    assert found.tasks == ("a", "b")
    for row in found.trajectory:
        assert found.measure(row)["correct"] == row["correct"]
        assert row["total"] == 2 * 47 * 29
    exact = [row for row in found.candidates if not row["bound"]]
    assert exact
    for row in exact:
        assert found.measure(row)["correct"] == row["correct"]
    assert "<svg" in (run / "report.html").read_text()
    assert summary["null_control"]["shuffles"] == 1
    assert "--task a,b" in summary["commands"][0]
    damage = summary["damage"]
    assert damage["text"]["source"] == "general"
    assert damage["text"]["baseline"]["perplexity"] > 1
    whole = evaluate(str(searched / "tiny"), "c", data=tasks)["search"]["correct"]
    assert damage["untouched"]["c"]["baseline"]["correct"] == whole


def test_it_resumes_to_itself_and_other_commands_read_it(run, searched, tasks, tmp_path, capsys):
    before = {file.name: file.read_bytes() for file in run.iterdir()}
    given = {"data": tasks, "null_control": 1, "resume": True, **QUICK}
    given["untouched"] = ("c",)
    search(str(searched / "tiny"), ("a", "b"), run, **given | {"quiet": False})
    said = capsys.readouterr().err  # the answers are random
    assert "baseline, a: not above one fixed answer" in said
    assert {file.name: file.read_bytes() for file in run.iterdir()} == before
    best = json.loads((run / "summary.json").read_text())["best"]
    assert export(run, "best", tmp_path / "best")["dropped"] == best["dropped"]
    chosen = pick(run, budget_layers=4, quiet=True)
    assert set(chosen["tasks"]) == {"a", "b"}
    assert chosen["test"]["tasks"]["a"]["total"] == 31


def test_one_of_its_tasks_is_looked_at(run, searched, tasks):
    with pytest.raises(InputError, match="several tasks: --task a or b"):
        open_subject(Subject(run=run), Options())
    opened = open_subject(Subject(run=run, task="a"), Options())
    assert opened.options.data == tasks and len(opened.task.search) == 47
    assert opened.dropped == load_run(run).dropped("best")


def test_each_task_by_itself(searched, tasks, tmp_path):
    model, how = str(searched / "tiny"), {"data": tasks, "target_layers": 4, **QUICK}
    found = search(model, ("a", "b"), tmp_path / "both", objective="each", **how)
    alone = search(model, "a", tmp_path / "a", **how)
    for name in ("baseline", "best", "bsba"):
        assert found["tasks"]["a"][name] == alone[name]
    assert alone["stop_reason"] == "target layers"
    settings = json.loads((tmp_path / "both" / "a" / "settings.json").read_text())
    assert settings == json.loads((tmp_path / "a" / "settings.json").read_text())
    assert load_run(tmp_path / "both" / "b").tasks == ("b",)


def test_a_dry_run_counts_what_is_asked_and_writes_nothing(searched, tasks, tmp_path):
    model, how = str(searched / "tiny"), {"data": tasks, "quiet": True, "dry_run": True}
    found = search(model, "a", tmp_path / "out", max_drops=2, **how)
    assert not (tmp_path / "out").exists()
    assert (found["rounds"], found["candidates"]) == (2, 1 + 5 + 4)
    pass_of = found["tasks"]["a"]
    assert pass_of["examples"] == 47
    layers = found["token_layers"]
    assert layers["whole"] == pass_of["tokens"] * (5 + 5 * 4 + 4 * 3)
    assert layers["shared_states"] == pass_of["shared_tokens"] * (5 + 5 * 4 / 2 + 4 * 3 / 2)
    assert (
        pass_of["tokens"] > pass_of["shared_tokens"]
    )  # two choices of an example share its prompt
    fewer = search(model, "a", tmp_path / "out", target_layers=4.5, granularity="mlp", **how)
    assert fewer["rounds"] == 1
