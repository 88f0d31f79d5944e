"""Runs below a folder, by the commands of the three programs."""

import json

import pytest

from attention.commands.runs import runs as attn_runs
from attention.errors import InputError
from icl.commands.runs import runs as icl_runs
from tale_jax.commands.runs import runs as tale_runs


def made(folder, command, lines=(), **settings):
    folder.mkdir(parents=True)
    (folder / "settings.json").write_text(json.dumps({"command": command, **settings}))
    for name, text in lines:
        (folder / name).write_text(text)


def test_each_program_lists_its_own_runs(tmp_path):
    made(tmp_path / "a/tuned", "tale finetune", model="demo", task="demo:facts")
    made(tmp_path / "a/checkpoints/x", "tale search", model="hidden")
    steps = '{"step": 4, "loss": 0.5}\n{"step": 9, "loss": 0.25}\n'
    made(tmp_path / "b", "icl train", [("metrics.jsonl", steps)], preset="linear-1l1ah", seeds=3)
    summary = json.dumps({"in_domain": {"loss": 2.5}})
    made(tmp_path / "c", "attn pretrain", [("summary.json", summary)], normalizer="ssa")
    (tmp_path / "d").mkdir()
    (tmp_path / "d/settings.json").write_text("no run")
    (run,) = tale_runs(tmp_path)["runs"]
    assert run == {"run": "a/tuned", "command": "finetune", "state": "unfinished",
                   "model": "demo", "task": "demo:facts"}  # fmt: skip
    (run,) = icl_runs(tmp_path)["runs"]
    assert (run["what"], run["step"], run["loss"], run["seeds"]) == ("linear-1l1ah", 10, 0.25, 3)
    (run,) = attn_runs(tmp_path)["runs"]
    assert (run["normalizer"], run["loss"], run["state"]) == ("ssa", 2.5, "finished")
    for listing in (tale_runs, icl_runs, attn_runs):
        assert str(listing(tmp_path)).startswith("run")
        assert "no runs below" in str(listing(tmp_path / "d"))
        with pytest.raises(InputError, match="no such folder; --under"):
            listing(tmp_path / "nowhere")
