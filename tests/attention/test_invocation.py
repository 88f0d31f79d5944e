"""What every command takes: option files, trackers, listeners, devices."""

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Annotated

import pytest
import yaml
from rich.text import Text

from attention import invocation, words
from attention.command_line import Commas, Result, command, run_script
from attention.errors import InputError
from attention.files import TRACKERS, RunDirectory, tell, write_json
from attention.options import Display
from attention.terminal import plain_table

PROGRAMS = ("tale_jax", "icl", "attention")


@command
def draw(
    out: Path,
    *,
    seed: int = 0,
    sizes: Annotated[tuple[int, ...], Commas()] = (2, 3),
    share: float = 0.5,
    halves: bool = True,
    fail: bool = False,
    resume: bool = False,
    display: Display = Display(),
) -> Result:
    """Draw something.

    Args:
        out: directory of the run
        seed: of the numbers
        sizes: how many
        share: of what
        halves: whether there are some
        fail: end badly
        resume: go on
    """
    settings = {"seed": seed, "sizes": list(sizes), "share": share, "halves": halves}
    with RunDirectory(out, "test_invocation.py", settings, resume=resume) as run:
        for step in sizes:
            tell("metrics", {"loss": share / step, "name": "x", "rate": None}, step)
        if fail:
            raise InputError("it ended badly")
        result = {"total": seed + sum(sizes), "halves": halves}
        write_json(run.path / "summary.json", result)
    return Result(result, "drawn")


def run(*given):
    run_script(draw, [str(word) for word in given])


def test_a_run_is_made_again_from_its_file(tmp_path, capsys):
    """Of the command line and of a call in Python alike; words go before the file."""
    run("--out", tmp_path / "a", "--seed", "7", "--sizes", "5,11", "--no-halves", "--quiet")
    draw(tmp_path / "b", seed=7, sizes=(5, 11), halves=False, quiet=True)
    config = (tmp_path / "a/config.yaml").read_text()
    assert config.splitlines()[0] == "# test_invocation.py --config config.yaml --out NEW"
    held = yaml.safe_load(config)
    assert held["command"] == "test_invocation.py" and held["sizes"] == "5,11"
    assert (tmp_path / "b/config.yaml").read_text() == config
    run("--config", tmp_path / "a/config.yaml", "--out", tmp_path / "c")
    for name in ("settings.json", "summary.json", "config.yaml"):
        assert (tmp_path / "c" / name).read_text() == (tmp_path / "a" / name).read_text()
    capsys.readouterr()
    file = tmp_path / "own.yaml"
    file.write_text("seed: 3\nsizes: [2, 13]\nshare: 0.25\nhalves: false\njson: true\n")
    run("--config", file, "--out", tmp_path / "d", "--seed", "5")
    out = capsys.readouterr()
    assert json.loads(out.out) == {"total": 20, "halves": False}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("seeds: 3", "has no option seeds (did you mean seed?)"),
        ("seed: [1, {a: 2}]", "seed must be a text, a number"),
        ("a: &a [1]\nseed: [*a, *a]", "has no option a"),
        ("- 3", "must hold options, one a line"),
        ("seed: {", "is no YAML"),
        ("seed: x", "--seed must be a whole number, not 'x'"),
        ("halves: 3", "--halves must be true or false"),
        ("seed: true", "--seed must be a value"),
        ("command: tale search", "holds options of tale search, not of test_invocation.py"),
        ("tracker: nobody", "unknown tracker 'nobody'"),
        ("platform: abacus", "unknown platform 'abacus'"),
        ("devices: 0", "--devices must be a whole number of at least 1, not '0'"),
    ],
)
def test_files_of_options_are_checked(text, line, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    file = tmp_path / "options.yaml"
    file.write_text(text)
    with pytest.raises(SystemExit) as ended:
        run("--config", file, "--out", tmp_path / "a")
    assert ended.value.code == 2
    assert line in capsys.readouterr().err.replace(str(file), "FILE")
    assert not (tmp_path / "a").exists()


def lines(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_a_tracker_gets_settings_metrics_and_files(tmp_path):
    draw(tmp_path / "a", sizes=(2, 5), tracker="jsonl", quiet=True)
    first, *rest = lines(tmp_path / "a/tracked.jsonl")
    assert first["settings"] == {"seed": 0, "sizes": [2, 5], "share": 0.5, "halves": True}
    assert rest == [
        {"step": 2, "loss": 0.25},
        {"step": 5, "loss": 0.1},
        {"file": "summary.json"},
        {"finished": True},
    ]
    run("--out", tmp_path / "b", "--tracker", "jsonl", "--quiet")
    assert lines(tmp_path / "b/tracked.jsonl")[-1] == {"finished": True}


def test_a_run_that_fails_is_told_so_and_leaves_nothing_empty(tmp_path):
    heard = []
    with pytest.raises(InputError):
        draw(tmp_path / "a", fail=True, tracker="jsonl", on_event=heard.append)
    assert [event.kind for event in heard] == ["start", "metrics", "metrics", "end"]
    assert heard[-1].values == {"finished": False} and heard[1].run == tmp_path / "a"
    assert not (tmp_path / "a").exists()


def test_a_tracker_of_ones_own(tmp_path, monkeypatch):
    (tmp_path / "my_tracker.py").write_text(
        "kept = []\n"
        "class Mine:\n"
        "    def __init__(self, run, settings, text): kept.append(text)\n"
        "    def metrics(self, step, values): kept.append((step, values))\n"
        "    def file(self, path): kept.append(path.name)\n"
        "    def close(self, finished): kept.append(finished)\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    draw("a", sizes=(5,), tracker="my_tracker:Mine:somewhere")
    kept = sys.modules["my_tracker"].kept
    assert kept == ["somewhere", (5, {"loss": 0.1}), "summary.json", True]


@pytest.mark.nightly
@pytest.mark.parametrize("name", ["tensorboard", "wandb:own", "mlflow:own"])
def test_trackers_of_others_get_all_of_it(name, tmp_path, monkeypatch):
    pytest.importorskip({"tensorboard": "tensorboardX"}.get(name, name.partition(":")[0]))
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.chdir(tmp_path)
    draw(tmp_path / "a", sizes=(2, 5), tracker=name, quiet=True)
    if name == "tensorboard":
        assert [*(tmp_path / "a/tensorboard").glob("events*")]
    elif name == "wandb:own":
        assert [*(tmp_path / "a/wandb").rglob("*.wandb")]
        assert [*(tmp_path / "a/wandb").rglob("files/summary.json")]
    else:
        import mlflow

        (found,) = mlflow.MlflowClient().search_runs(
            [mlflow.MlflowClient().get_experiment_by_name("own").experiment_id]
        )
        assert found.info.status == "FINISHED" and found.data.metrics["loss"] == 0.1
        assert found.data.params["sizes"] == "[2, 5]"
        assert [f.path for f in mlflow.MlflowClient().list_artifacts(found.info.run_id)]


def test_every_command_takes_what_every_command_takes():
    for package in PROGRAMS:
        for name in importlib.import_module(f"{package}.cli").COMMANDS:
            module = importlib.import_module(f"{package}.commands.{name.replace('-', '_')}")
            found = getattr(module, name.replace("-", "_")).command
            page = words._parser(found).format_help()
            for flag in (*(f"--{each}" for each in words.EVERY), "--help"):
                assert flag in page, f"{name} lacks {flag}"


def test_devices_are_chosen_before_jax_looks_for_them(monkeypatch):
    for name in ("JAX_PLATFORMS", "JAX_NUM_CPU_DEVICES", "XLA_PYTHON_CLIENT_PREALLOCATE"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5,7")
    monkeypatch.setenv("TPU_VISIBLE_CHIPS", "")
    monkeypatch.delenv("TPU_VISIBLE_CHIPS")
    monkeypatch.delitem(sys.modules, "jax", raising=False)
    invocation.use_devices("gpu", "2")
    assert os.environ["JAX_PLATFORMS"] == "cuda" and os.environ["JAX_NUM_CPU_DEVICES"] == "2"
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "3,5"
    assert os.environ["TPU_VISIBLE_CHIPS"] == "0,1"
    assert os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false"


def test_trackers_are_listed():
    assert TRACKERS.listed.startswith("none, jsonl, tensorboard, wandb, mlflow, or MODULE")


def test_a_notebook_shows_tables_and_escaped_texts():
    page = Result({"a": 5}, Text("x <b>"), "", plain_table(["h<"], [["c&"]]), "y <i>")._repr_html_()
    assert page.splitlines() == [
        "<pre>x &lt;b&gt;</pre>",
        "<table><thead><tr><th>h&lt;</th></tr></thead><tbody><tr><td>c&amp;</td></tr></tbody></table>",
        "<pre>y &lt;i&gt;</pre>",
    ]
    assert Result({"a": 5})._repr_html_() == "<pre>{\n  &quot;a&quot;: 5\n}</pre>"
