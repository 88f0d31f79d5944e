"""Runs below a folder, of any of the programs."""

import json

import pytest

from attention.commands.runs import runs
from attention.errors import InputError


def made(folder, command, files=(), **settings):
    folder.mkdir(parents=True)
    (folder / "settings.json").write_text(json.dumps({"command": command, **settings}))
    for name, text in files:
        (folder / name).write_text(text)


def test_runs_are_listed_with_what_came_out(tmp_path):
    made(tmp_path / "a/tuned", "tale finetune", model="demo", task="demo:facts")
    made(tmp_path / "a/checkpoints/x", "tale search", model="hidden")
    steps = '{"step": 4, "loss": 0.5}\n{"step": 9, "loss": 0.25}\n'
    made(tmp_path / "b", "icl train", [("metrics.jsonl", steps)], preset="linear-1l1ah", seeds=3)
    pick = {"dropped": [3, 5], "accuracy": 0.75, "test": {"accuracy": 0.5, "p_value": 0.25}}
    summary = {"best": pick, "bsba": pick, "baseline": {"test": {"accuracy": 0.625}}}
    made(
        tmp_path / "c", "tale search", [("summary.json", json.dumps(summary))], model="m", task="t"
    )
    made(tmp_path / "d", "tale search", [("summary.json", '{"best": 3, "bsba": 4}')], model="m")
    (tmp_path / "e").mkdir()
    (tmp_path / "e/settings.json").write_text("no run")
    listing = runs(tmp_path)
    found = {each["run"]: each for each in listing["runs"]}
    assert [*found] == ["a/tuned", "b", "c", "d"]
    assert (found["a/tuned"]["task"], found["a/tuned"]["state"]) == ("demo:facts", "unfinished")
    assert (found["b"]["what"], found["b"]["step"], found["b"]["loss"]) == (
        "linear-1l1ah",
        10,
        0.25,
    )
    assert found["c"]["held_out"] == {"change": -0.125, "p_value": 0.25}
    assert found["d"]["state"] == "damaged"
    assert "BEST -2 75.0 %, BSBA -2 75.0 %, held out -12.5 (p = 0.25)" in " ".join(
        str(listing).split()
    )
    assert "no runs below" in str(runs(tmp_path / "e"))
    with pytest.raises(InputError, match="no such folder; --under"):
        runs(tmp_path / "nowhere")
