"""A whole pretraining: what it writes, that it resumes, and what it refuses."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from attention.commands.pretrain import pretrain
from attention.errors import InputError
from attention.files import load_tokenizer, read_json, read_json_lines
from attention.language.pretraining import RECIPES, held_out
from attention.training import load_params
from attention.transformer import load_pretrained

SMALL = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
         "intermediate_size": 24}  # fmt: skip
WORDS = "the dog saw a cat and it ran to the old house near our river".split()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    draw = np.random.default_rng(0)
    text = "\n\n".join(f"Tale {i}. " + " ".join(draw.choice(WORDS, 300)) for i in range(23))
    path = tmp_path_factory.mktemp("corpus") / "tales.txt"
    path.write_text(text)
    return path


@pytest.fixture(scope="module", autouse=True)
def small_recipes(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        for name in ("mini-decoder", "mini-encoder"):
            recipe = RECIPES[name]
            small = dataclasses.replace(
                recipe, model={**recipe.model, **SMALL}, vocabulary=300, length=16, batch=4
            )
            patch.setitem(RECIPES, name, small)
        yield


HOW = {
    "validation": 0.2,
    "test": 0.2,
    "steps": 4,
    "save_every": 2,
    "log_every": 1,
    "evaluate_every": 2,
    "evaluate_rows": 8,
    "quiet": True,
}


@pytest.fixture(scope="module")
def run(corpus, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "ssa"
    pretrain(out=out, corpus=str(corpus), normalizer="ssa", out_of_domain=str(corpus), **HOW)
    return out


def test_a_run_has_all_that_others_read(run):
    settings = read_json(run / "settings.json")
    assert settings["normalizer"] == "ssa" and settings["objective"] == "causal"
    assert settings["steps"] == 4 and settings["tokens"] > 1000 and settings["vocabulary"] == 300
    lines = read_json_lines(run / "heldout.jsonl")
    assert [line["step"] for line in lines] == [0, 2, 4]
    assert lines[-1]["loss"] < lines[0]["loss"]
    metrics = read_json_lines(run / "metrics.jsonl")
    assert "normalizer/n/0" in metrics[0] and "learning_rate" in metrics[0]
    summary = read_json(run / "summary.json")
    found = summary["in_domain"]
    assert found["perplexity"] == pytest.approx(np.exp(found["loss"]))
    per_token = found["bytes"] / (found["tokens"] - found["units"])
    assert found["bits_per_byte"] == pytest.approx(found["loss"] / np.log(2) / per_token)
    assert summary["out_of_domain"]["corpus"] == "tales"
    assert set(summary["floors"]) == {"unigram", "bigram", "trigram"}


def test_the_run_opens_as_a_model(run):
    config, params = load_pretrained(run)
    assert config.normalizer == "ssa" and config.vocab_size == 300
    assert load_tokenizer(run / "model").mask_token == "<mask>"
    trained = load_params(run, {**params, "layers": ({k: jax.tree.map(lambda x: x[0], v)
                          for k, v in params["layers"].items()},)})  # fmt: skip
    np.testing.assert_array_equal(
        trained["layers"][0]["mlp"]["up"]["kernel"], params["layers"]["mlp"]["up"]["kernel"][0]
    )


def test_a_run_that_breaks_off_ends_in_the_same_values(run, corpus, tmp_path, monkeypatch):
    how = {"out": tmp_path / "run", "corpus": str(corpus), "normalizer": "ssa", **HOW,
           "out_of_domain": str(corpus)}  # fmt: skip
    evaluate, calls = held_out.evaluate, []

    def failing(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise RuntimeError("killed")
        return evaluate(*arguments)

    monkeypatch.setattr(held_out, "evaluate", failing)
    with pytest.raises(RuntimeError, match="killed"):
        pretrain(**how)
    pretrain(**how)
    for name in ("heldout.jsonl", "summary.json"):
        assert (tmp_path / "run" / name).read_text() == (run / name).read_text()
    weights = "model/model.safetensors"
    assert (tmp_path / "run" / weights).read_bytes() == (run / weights).read_bytes()
    with pytest.raises(InputError, match="other settings"):
        pretrain(**how | {"seed": 1})


@pytest.mark.nightly
def test_seeds_side_by_side_are_as_if_alone(corpus, tmp_path):
    how = {"corpus": str(corpus), **HOW}
    pretrain(out=tmp_path / "both", seed=3, seeds=2, **how)
    pretrain(out=tmp_path / "one", seed=4, **how)
    both, one = (read_json_lines(tmp_path / name / "heldout.jsonl")[-1]
                 for name in ("both/seed-4", "one"))  # fmt: skip
    assert both["loss"] == pytest.approx(one["loss"], rel=1e-5)
    settings = read_json(tmp_path / "both/seed-4/settings.json")
    assert settings["seed"] == 4 and settings["seeds"] == 1
    load_pretrained(tmp_path / "both/seed-3")


@pytest.mark.nightly
def test_an_encoder_and_going_on_from_a_checkpoint(corpus, run, tmp_path):
    encoder = tmp_path / "encoder"
    pretrain(out=encoder, corpus=str(corpus), recipe="mini-encoder", dtype="bfloat16", **HOW)
    lines = read_json_lines(encoder / "heldout.jsonl")
    assert lines[-1]["loss"] < lines[0]["loss"] and lines[0]["bits_per_byte"] is None
    assert load_pretrained(encoder)[0].head == "masked_lm"
    on = tmp_path / "on"
    pretrain(out=on, corpus=str(corpus), init=str(run), **HOW)
    first = read_json_lines(on / "heldout.jsonl")[0]
    last = read_json_lines(run / "heldout.jsonl")[-1]
    assert first["loss"] == pytest.approx(last["loss"], rel=1e-5)
    assert json.loads((on / "settings.json").read_text())["normalizer"] == "ssa"
    for wrong, message in (
        ({"normalizer": "softmax"}, "has the normalizer ssa, not softmax"),
        ({"tokenizer": encoder / "model"}, "is not the tokenizer of"),
        ({"objective": "masked", "recipe": "mini-encoder"}, "needs masked_lm"),
    ):
        with pytest.raises(InputError, match=message):
            pretrain(out=tmp_path / "wrong", corpus=str(corpus), init=str(run), **HOW | wrong)
        assert not (tmp_path / "wrong").exists()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"length": 10_000}, "fewer than one row"),
        ({"objective": "masked"}, "not for a causal model"),
        ({"recipe": "mini-coder"}, "did you mean"),
        ({"normalizer": "ssb"}, "unknown normalizer"),
        ({"vocabulary": 100}, "at least 261"),
        ({"schedule": "warmup_cosine_decay_schedule:warmup_steps=9"}, "does not go with 4 steps"),
    ],
)
def test_faults_end_in_one_line_and_leave_nothing(wrong, message, corpus, tmp_path):
    with pytest.raises(InputError, match=message):
        pretrain(out=tmp_path / "run", **{"corpus": str(corpus), **HOW, **wrong})
    assert not (tmp_path / "run").exists()
