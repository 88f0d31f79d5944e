"""The script that explains a classifier's decisions before and after elimination."""

import json

import pytest


@pytest.fixture(scope="module")
def script(load_script):
    return load_script("explain_encoder")


@pytest.mark.nightly  # compiles each classifier that is left
def test_a_classifier_is_searched_and_explained(script, tmp_path):
    results = tmp_path / "r"
    how = {"texts": 23, "limit": 1, "draws": 1, "results": results, "out": tmp_path / "o",
           "epsilon": 0.5, "quiet": True}  # fmt: skip
    found = script.main("demo", "demo", **how)
    steps, whole = found["search"]["steps"], found["variants"]["whole"]
    assert steps[0][0] == [] and len(steps) == found["search"]["depth"]  # down to one layer
    assert whole["dropped"] == [] and whole["examples"] == 1
    assert len(found["variants"]["random 0"]["dropped"]) == len(found["search"]["bsba"])
    files = {file.name: json.loads(file.read_text()) for file in results.glob("*.json")}
    assert "encoder-demo-whole-1.json" in files
    assert script.main("demo", "demo", **how) == found  # read, not measured
