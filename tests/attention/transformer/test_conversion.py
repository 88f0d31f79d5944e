"""Softmax models with another normalizer: what is fitted, saved, trained, logged and drawn."""

import dataclasses
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tokenizers import Tokenizer

from attention import cli
from attention.errors import InputError
from attention.normalizers import CONSTRAINTS
from attention.training import learned
from attention.training.loop import fit
from attention.transformer import (
    Transformer,
    TransformerConfig,
    convert,
    keep_halves,
    load_pretrained,
    save_pretrained,
    unstack_layers,
)

DEMO = Path(__file__).parents[3] / "tale_jax" / "assets" / "demo"
STORY = "Once upon a time there was a little girl. She had a red ball and a big dog named Max. " * 9
TINY = TransformerConfig(
    hidden_size=12,
    num_hidden_layers=2,
    num_attention_heads=6,
    num_key_value_heads=2,
    intermediate_size=17,
    vocab_size=29,
    max_position_embeddings=32,
    initializer_range=0.7,
)


@pytest.fixture(scope="module")
def tiny():
    tokens = jax.random.randint(jax.random.key(0), (3, 11), 0, 29)
    return TINY, jax.jit(Transformer(TINY).init)(jax.random.key(1), tokens)["params"], tokens


@pytest.fixture(scope="module", params=["TinyStories-656K", "stories260K-hf", "demo"])
def pretrained(request):
    if request.param == "demo":
        folder = DEMO
    else:
        folder = request.getfixturevalue("shared") / "models" / request.param
    ids = Tokenizer.from_file(str(folder / "tokenizer.json")).encode(STORY).ids
    config, params = load_pretrained(folder)
    return folder, config, params, np.reshape(ids[:62], (2, 31))


@pytest.mark.quick("demo")
def test_pretrained_models_hardly_change(pretrained, apply, tmp_path):
    """And keep what they have through a file."""
    folder, config, params, tokens = pretrained
    new_config, new, drift = convert(config, params, "ssa:learn=n+b", tokens)
    assert 0 < drift.logit_mean < 0.03 * drift.logit_std
    assert drift.agreement > 0.9
    assert max(drift.divergence) < 0.01 and len(drift.divergence) == config.num_hidden_layers
    raw = new["layers"]["attention"]["normalizer"]
    assert raw["n"].shape == (config.num_hidden_layers,)
    np.testing.assert_allclose(np.exp(raw["n"] + raw["b"]), 1, atol=0.2)  # slope 1 at zero
    logits = apply(new_config, new, tokens)
    save_pretrained(tmp_path / "new", new_config, new, source=folder)
    again_config, again = load_pretrained(tmp_path / "new")
    assert again_config == new_config
    np.testing.assert_array_equal(apply(again_config, again, tokens), logits)


@pytest.mark.nightly  # one bound is tried on the demo model
def test_a_larger_bound_is_closer(tiny):
    config, params, tokens = tiny
    found = [
        convert(config, params, "ssa:learn=n+b", tokens, largest=largest)[2]
        for largest in (2, 8, 32)
    ]
    means = [drift.logit_mean for drift in found]
    assert means[0] > 3 * means[1] > 9 * means[2] > 0
    # and the fit beats what one would write down
    plain, new = (
        convert(config, params, spec, tokens, largest=2)[2]
        for spec in ("ssa:n=2,b=0.5,learn=n,per=model", "ssa:learn=n+b,per=head")
    )
    assert max(new.divergence) < min(plain.divergence)


def test_temperature_is_softmax_exactly(tiny):
    config, params, tokens = tiny
    for per, shape in (("layer", (2,)), ("head", (2, 6))):
        _, new, drift = convert(config, params, f"temperature:per={per}", tokens)
        value = np.exp(new["layers"]["attention"]["normalizer"]["temperature"])
        assert value.shape == shape
        np.testing.assert_allclose(value, 1, rtol=1e-3)
        np.testing.assert_allclose(drift.learned["temperature"], value.reshape(2, -1).mean(1))
        assert drift.logit_max < 1e-3 * drift.logit_std


def test_scores_are_scaled_and_capped_as_the_model_does(tiny):
    config, params, tokens = tiny
    plain = convert(config, params, "temperature", tokens)[2].score_range[0]
    scale = 3 * config.head_size**-0.5
    other = dataclasses.replace(config, attention_multiplier=scale, attn_logit_softcapping=0.8)
    drift = convert(other, params, "temperature", tokens)[2]
    np.testing.assert_allclose(drift.score_range[0], 0.8 * np.tanh(3 * plain / 0.8), rtol=1e-5)
    assert drift.logit_max < 1e-3 * drift.logit_std


def test_padding_is_not_looked_at(tiny):
    config, params, tokens = tiny
    where = np.arange(11)[None] < np.array([11, 7, 5])[:, None]
    found = [
        convert(config, params, "ssa:learn=n+b", np.where(where, tokens, fill), where)
        for fill in (0, 28)
    ]
    for one, other in zip(*(jax.tree.leaves(new) for _, new, _ in found), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4)
    assert found[0][2].score_range == found[1][2].score_range


@pytest.mark.quick("layer")
@pytest.mark.parametrize("per", ["layer", "head", "model"])
def test_layers_without_attention_keep_the_usual_values(tiny, per):
    config, params, tokens = tiny
    kept = [(False, True), (True, True)]
    spec = f"ssa:learn=n+b,per={per}"
    config, params = config.keep_halves(kept), keep_halves(params, kept)
    _, new, drift = convert(config, params, spec, tokens)
    assert drift.divergence[0] == drift.score_range[0] == 0 or per == "model"
    assert 0 < drift.divergence[1] < 0.05 and drift.score_range[1] > 0
    if per != "model":
        raw = new["layers"]["attention"]["normalizer"]
        np.testing.assert_allclose(np.exp(raw["n"][0]), 1.5)
        assert np.all(np.exp(raw["n"][1]) > 10)


def test_what_cannot_be_converted(tiny):
    config, params, tokens = tiny
    for spec in ("sparsemax", "ssa:learn=none", "entmax", "softmax"):
        with pytest.raises(InputError, match=r"no learned parameters.*temperature"):
            convert(config, params, spec, tokens)
    with pytest.raises(InputError, match="above 0, not -1"):
        convert(config, params, "ssa", tokens, largest=-1)
    ssa = dataclasses.replace(config, normalizer="ssa")
    with pytest.raises(InputError, match="only softmax models"):
        convert(ssa, params, "ssa", tokens)


@pytest.mark.nightly  # test_lora.py trains what a normalizer learns
@pytest.mark.quick("head")
@pytest.mark.parametrize("per", ["layer", "head", "model"])
def test_what_was_converted_learns_and_is_logged(tiny, tmp_path, per):
    config, params, tokens = tiny
    spec = f"ssa:learn=n+b,per={per}"
    config, params, _ = convert(config, params, spec, tokens, largest=16)

    def loss(params, batch, key):
        del key
        logits = Transformer(config).apply({"params": params}, batch)[:, :-1]
        each = optax.softmax_cross_entropy_with_integer_labels(logits, batch[:, 1:])
        return jnp.sum(each), each.size

    state = fit(
        loss,
        params,
        optax.adam(3e-3),
        lambda t: np.asarray(tokens),
        steps=12,
        key=jax.random.key(2),
        directory=tmp_path,
        log_every=3,
        watch=learned.learned_values(config),
        quiet=True,
    )
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["loss"] < lines[0]["loss"]
    values = learned.learned_values(config)(state.params)
    assert len(values) == {"layer": 4, "head": 24, "model": 2}[per]
    assert values.keys() == {key for key in lines[0] if key.startswith("normalizer/")}
    before = learned.learned_values(config)(params)
    for key, value in before.items():
        np.testing.assert_allclose(lines[0][key], value, rtol=1e-6)
        assert values[key] != value, f"{key} did not learn"
    steps, found = learned.history(tmp_path)
    assert steps == [0, 3, 6, 9, 11] and found.keys() == {"n", "b"}
    layers = ["all"] if per == "model" else ["0", "1"]
    assert list(found["n"]) == layers and all(len(v) == 5 for v in found["n"].values())
    raw = params["normalizer"] if per == "model" else params["layers"]["attention"]["normalizer"]
    first = np.mean(CONSTRAINTS["exp"][0](raw["n"]).reshape(len(layers), -1)[0])
    np.testing.assert_allclose(found["n"][layers[0]][0], first, rtol=1e-5)
    cli.main(["plot", "--run", str(tmp_path), "--out", str(tmp_path / "n.svg")])
    assert "layer 1" in (tmp_path / "n.svg").read_text() or per == "model"


def test_unstacked_layers_are_logged_alike(tiny):
    config, params, tokens = tiny
    config, params, _ = convert(config, params, "ssa:learn=n+b,per=head", tokens)
    watch = learned.learned_values(config)
    stacked, unstacked = watch(params), watch(unstack_layers(params))
    assert stacked.keys() == unstacked.keys() and len(stacked) == 24
    for key, value in stacked.items():
        assert float(value) == float(unstacked[key])
