"""Accuracy read after each layer."""

import pytest

from attention.errors import InputError
from tale_jax import evaluate
from tale_jax.commands.lens import lens


@pytest.mark.quick("True")
@pytest.mark.parametrize("final_norm", [True, False])
def test_the_lens_is_the_model_without_the_layers_behind(searched, final_norm):
    model, task = str(searched / "tiny"), str(searched / "a.jsonl")
    choices = lens(model=model, task=task, drop=[2], final_norm=final_norm)["rows"]
    full = [row for row in choices if row["model"] == "full"]
    assert [row["layer"] for row in full] == [-1, 0, 1, 2, 3, 4]
    assert [row["layer"] for row in choices[6:]] == [-1, 0, 1, 3, 4]
    if final_norm:
        behind = evaluate(model, task, drop=[2, 4])
        assert choices[6:][3]["correct"] == behind["search"]["correct"]
        assert full[-1]["correct"] == behind["search"]["full"]
        written = lens(model=model, task=task, protocol="decode")["rows"]
        behind = evaluate(model, task, drop=[3, 4], protocol="decode")
        assert written[3]["correct"] == behind["search"]["correct"]


def test_a_run_brings_its_own_options(searched):
    few = lens(run=searched / "a", limit=7)
    assert {row["total"] for row in few["rows"]} == {7}
    assert {row["split"] for row in few["rows"]} == {"test"}
    train = lens(run=searched / "a", split="validation", limit=5)
    assert {(row["split"], row["total"]) for row in train["rows"]} == {("validation", 5)}
    for given, message in (
        ({"shots": 3}, "leave out --shots, or give --task"),
        ({"split": "train"}, "no train split"),
    ):
        with pytest.raises(InputError, match=message):
            lens(run=searched / "a", **given)
