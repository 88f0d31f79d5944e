"""Runs are listed, and made again from the file that each of them holds."""

import json

import yaml

from attention.commands.runs import runs
from attention.files import read_json_lines
from tale_jax.cli import main


def test_a_search_is_made_again_from_its_file(searched, tmp_path):
    held = yaml.safe_load((searched / "a/config.yaml").read_text())
    assert held["command"] == "tale search" and held["epsilon"] == "0.3"
    words = ["--config", str(searched / "a/config.yaml"), "--out", str(tmp_path / "again")]
    main(["search", *words, "--quiet"])
    first, again = (
        json.loads((where / "summary.json").read_text())
        for where in (searched / "a", tmp_path / "again")
    )
    for name in ("seconds", "compilations", "commands"):
        first.pop(name), again.pop(name)
    assert again == first
    for name in ("candidates.csv", "settings.json", "config.yaml"):
        assert (tmp_path / "again" / name).read_text() == (searched / "a" / name).read_text()
    tracked = read_json_lines(searched / "a/trajectory.jsonl")
    assert tracked == read_json_lines(tmp_path / "again/trajectory.jsonl")


def test_finished_searches_are_listed(searched, capsys):
    found = {each["run"]: each for each in runs(searched)["runs"]}
    assert {"a", "b", "halves"} <= found.keys()
    assert found["a"]["task"].endswith("a.jsonl") and found["a"]["state"] == "finished"
    best = json.loads((searched / "a/summary.json").read_text())["best"]
    assert found["a"]["best"]["dropped"] == best["dropped"]
    assert found["a"]["held_out"]["p_value"] == best["test"]["p_value"]
    main(["runs", "--under", str(searched), "--json"])
    assert len(json.loads(capsys.readouterr().out)["runs"]) == len(found)
