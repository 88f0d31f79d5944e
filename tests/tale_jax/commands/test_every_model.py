"""Every model that this library writes opens in every command: here SSA in place of softmax."""

import pytest

from attention.errors import InputError
from attention.transformer import load_config
from tale_jax import evaluate, export, search
from tale_jax.commands.benchmark import benchmark
from tale_jax.commands.finetune import finetune
from tale_jax.commands.lens import lens


@pytest.fixture(scope="module")
def root(write_model, tmp_path_factory, write_letters):
    """A model with SSA, a task, and a search that dropped half a layer of it."""
    root = tmp_path_factory.mktemp("models")
    write_model(root / "ssa", num_hidden_layers=3, normalizer="ssa:n=1.7,b=0.6")
    write_letters(root / "task.jsonl", 29, 3)
    write_letters(root / "train.jsonl", 13, 4)
    search(
        root / "ssa", root / "task.jsonl", root / "run", initial=["1.attention"],
        granularity="sublayer", max_drops=0, quiet=True,
    )  # fmt: skip
    export(root / "run", "best", root / "half", format="tale")
    return root


def test_a_search_counts_what_its_export_answers(root):
    summary = evaluate(root / "ssa", root / "task.jsonl", drop=["1.attention"], quiet=True)
    again = evaluate(root / "half", root / "task.jsonl", quiet=True)
    assert again["search"]["correct"] == summary["search"]["correct"]
    assert (
        load_config(root / "half").normalizer == load_config(root / "ssa").normalizer != "softmax"
    )


@pytest.mark.quick("mergekit")
@pytest.mark.parametrize("format", ["huggingface", "mergekit"])
def test_formats_that_have_softmax_alone_refuse(root, tmp_path, format):
    search(root / "ssa", root / "task.jsonl", tmp_path / "run", max_drops=0, quiet=True)
    with pytest.raises(InputError, match="only models with softmax export"):
        export(tmp_path / "run", "best", tmp_path / "x", format=format)


@pytest.mark.nightly
def test_it_is_read_timed_and_trained(root, tmp_path):
    model, task = root / "half", root / "task.jsonl"
    rows = lens(model=model, task=task, quiet=True)["rows"]
    full = evaluate(model, task, quiet=True)["search"]["correct"]
    assert rows[-1]["layer"] == 2 and rows[-1]["correct"] == full
    quick = {"prompt_length": 5, "new_tokens": 2, "rounds": 1, "warmup": 0}
    whole, less = benchmark(model=model, drop=[2], quiet=True, **quick)["rows"]
    assert less["parameters_mib"] < whole["parameters_mib"]
    tuned = finetune(
        model=model, task=task, train=root / "train.jsonl", out=tmp_path / "tuned", steps=1,
        batch_size=5, lora_rank=2, quiet=True,
    )  # fmt: skip
    assert load_config(tuned["out"]).layer_halves == load_config(model).layer_halves
    assert evaluate(tuned["out"], task, quiet=True)["search"]["total"] == 29
