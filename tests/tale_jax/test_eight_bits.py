"""A search of a model whose linear layers are held in 8 bits."""

import jax
import numpy as np
import pytest

from attention.errors import InputError
from attention.transformer import is_quantized, load_pretrained
from tale_jax import evaluate, export, search
from tale_jax.commands.finetune import finetune
from tale_jax.opening import open_variants, reopen_model
from tale_jax.runs import load_run


@pytest.fixture(scope="module")
def run(write_model, tmp_path_factory, write_letters):
    root = tmp_path_factory.mktemp("eight")
    write_model(root / "tiny", num_hidden_layers=3)
    task = write_letters(root / "a.jsonl", 23, 1)
    how = {"weights": "int8", "quiet": True, "null_control": 0}
    search(str(root / "tiny"), task, root / "run", max_drops=2, epsilon=1, **how)
    return root / "run"


def test_it_is_asked_as_it_was_searched(run):
    searched = load_run(run)
    assert searched.summary["options"]["weights"] == "int8"
    assert searched.settings["weights"] == "int8"
    model = reopen_model(searched)
    assert is_quantized(model.params)
    found = evaluate(str(run.parent / "tiny"), str(run.parent / "a.jsonl"), weights="int8")
    assert found["search"]["correct"] == searched.summary["baseline"]["correct"]
    exact, _ = open_variants(run, None, (), weights="exact")
    assert not is_quantized(exact.params)


def test_what_is_exported_is_exact(run, tmp_path):
    found = export(run, "bsba", tmp_path / "shorter")
    config, params = load_pretrained(tmp_path / "shorter")
    _, whole = load_pretrained(run.parent / "tiny")
    assert config.num_hidden_layers == len(found["kept"])
    kept = np.array(found["kept"])
    for ours, theirs in zip(jax.tree.leaves(params), jax.tree.leaves(whole), strict=True):
        theirs = theirs if ours.shape == theirs.shape else theirs[kept]
        np.testing.assert_array_equal(ours, theirs)


def test_it_is_not_trained(run, tmp_path):
    given = {"model": str(run.parent / "tiny"), "task": str(run.parent / "a.jsonl")}
    with pytest.raises(InputError, match="leave out --weights int8"):
        finetune(**given, out=tmp_path / "out", weights="int8")
    assert not (tmp_path / "out").exists()
