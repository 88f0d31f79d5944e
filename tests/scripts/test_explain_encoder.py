"""The script that explains a classifier's decisions before and after elimination."""

import json

import pytest

from attention.errors import InputError


@pytest.fixture(scope="module")
def script(load_script):
    return load_script("explain_encoder")


def test_random_models_lose_as_many_layers_as_the_deepest_pick(script):
    found = script.variants({"BEST": (), "BSBA": (1,), "last step": (1, 3)}, 5, 2)
    assert list(found) == ["whole", "BEST", "BSBA", "last step", "random 0", "random 1"]
    assert found["whole"] == () and found["last step"] == (1, 3)
    assert all(len(set(found[f"random {i}"])) == 2 for i in (0, 1))
    with pytest.raises(InputError, match="half-layers"):
        script.variants({"BEST": ("0.mlp",)}, 5, 1)


@pytest.mark.nightly  # compiles each classifier that is left
def test_a_classifier_is_searched_and_explained(script, tmp_path):
    results = tmp_path / "r"
    how = {"texts": 23, "limit": 1, "draws": 1, "results": results, "out": tmp_path / "o",
           "epsilon": 0.5, "quiet": True}  # fmt: skip
    found = script.main("demo", "demo", **how)
    steps, whole = found["search"]["steps"], found["variants"]["whole"]
    assert steps[0][0] == [] and len(steps) == found["search"]["depth"]  # down to one layer
    assert whole["dropped"] == [] and whole["examples"] == 1
    last, random = (found["variants"][name]["dropped"] for name in ("last step", "random 0"))
    assert last == steps[-1][0] and len(random) == len(last) == found["search"]["depth"] - 1
    files = {file.name: json.loads(file.read_text()) for file in results.glob("*.json")}
    assert "encoder-demo-whole-1.json" in files
    assert script.main("demo", "demo", **how) == found  # read, not measured
