"""Models with another normalizer than softmax: one checkpoint format, to the bit."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file

from attention.transformer import (
    keep_halves,
    keep_layers,
    load_pretrained,
    normalizer_params,
    save_pretrained,
    unstack_layers,
    with_normalizer_params,
)
from attention.transformer.huggingface import load_config, own_attributes

SPECS = ["ssa:learn=n+b", "ssa:learn=n+b,per=head", "ssa:n=2,per=model", "entmax:per=head"]
PLACES = {
    "llama": "model.layers.{}.self_attn.normalizer.",
    "qwen2-mixed": "model.layers.{}.self_attn.normalizer.",
    "gpt2": "transformer.h.{}.attn.normalizer.",
    "bert": "bert.encoder.layer.{}.attention.self.normalizer.",
    "roberta": "roberta.encoder.layer.{}.attention.self.normalizer.",
}


@pytest.fixture
def ssa(configs, random_params):
    """A tiny Llama with learned SSA, a pair of values for each head."""
    config = dataclasses.replace(configs["llama"], normalizer="ssa:learn=n+b,per=head")
    return config, random_params(config)


@pytest.fixture
def folder(ssa, tmp_path):
    save_pretrained(tmp_path / "model", *ssa)
    return tmp_path / "model"


@pytest.mark.quick(
    "llama-ssa:learn=n+b,per=head", "llama-ssa:n=2,per=model", "roberta-entmax:per=head"
)
@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("name", PLACES)
def test_there_and_back(same, configs, random_params, apply, tokens, tmp_path, name, spec):
    config = dataclasses.replace(configs[name], normalizer=spec)
    params = random_params(config)
    save_pretrained(tmp_path / "m", config, params)
    again, loaded = load_pretrained(tmp_path / "m")
    assert again.normalizer == spec and again.windows == config.windows
    same(loaded, params)
    stored = {k: v for k, v in load_file(tmp_path / "m" / "model.safetensors").items()
              if "normalizer" in k}  # fmt: skip
    raw = normalizer_params(params)
    for each, value in raw.items():
        if spec.endswith("per=model"):
            prefix = PLACES[name].split(".")[0]
            np.testing.assert_array_equal(stored.pop(f"{prefix}.normalizer.{each}"), value)
        else:
            for layer, own in enumerate(value):
                found = stored.pop(PLACES[name].format(layer) + each)
                np.testing.assert_array_equal(found, own)
                assert found.shape == own.shape
    assert raw and not stored
    if name == "llama":
        found, expected = apply(again, loaded, tokens), apply(config, params, tokens)
        np.testing.assert_array_equal(found, expected)
        save_pretrained(tmp_path / "unstacked", config, unstack_layers(params))
        for file in ("config.json", "model.safetensors"):
            one, other = ((tmp_path / f / file).read_bytes() for f in ("m", "unstacked"))
            assert one == other


@pytest.mark.quick("ssa:learn=none", "sigmoid")
@pytest.mark.parametrize("spec", ["ssa:learn=none", "sparsemax", "softmax1", "sigmoid"])
def test_what_learns_nothing_is_in_the_config_alone(
    same, configs, random_params, apply, tokens, tmp_path, spec
):
    config = dataclasses.replace(configs["llama"], normalizer=spec)
    params = random_params(config)
    save_pretrained(tmp_path / "m", config, params)
    assert own_attributes(load_config(tmp_path / "m")) == {"normalizer": spec}
    again, loaded = load_pretrained(tmp_path / "m")
    assert again == config
    same(loaded, params)
    plain = apply(configs["llama"], params, tokens)
    assert np.abs(apply(again, loaded, tokens) - plain).max() > 1e-3


@pytest.mark.quick("bfloat16")
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_learned_values_stay_float32(same, ssa, tmp_path, dtype):
    config, params = ssa
    save_pretrained(tmp_path / "whole", config, params)
    save_pretrained(tmp_path / "short", config, params, dtype=dtype)
    stored = load_file(tmp_path / "short" / "model.safetensors")
    assert {str(t.dtype) for name, t in stored.items() if "normalizer" in name} == {"float32"}
    assert {str(t.dtype) for name, t in stored.items() if "normalizer" not in name} == {dtype}
    cast = jax.tree.map(lambda leaf: jnp.asarray(leaf).astype(dtype), params)
    expected = with_normalizer_params(cast, normalizer_params(params))
    for name, wanted in (("whole", dtype), ("short", dtype), ("short", None)):
        again, loaded = load_pretrained(tmp_path / name, wanted)
        assert again.dtype == dtype
        same(loaded, expected)


def test_shards_and_what_comes_from_the_source(edit_config, same, ssa, folder, tmp_path):
    config, params = ssa
    edit_config(folder, eos_token_id=7)
    save_pretrained(tmp_path / "m", config, params, source=folder, max_shard_bytes=3000)
    assert len(list((tmp_path / "m").glob("*.safetensors"))) > 3
    same(load_pretrained(tmp_path / "m")[1], params)
    hf = json.loads((tmp_path / "m" / "config.json").read_text())
    assert (hf["model_type"], hf["eos_token_id"]) == ("tale_jax_llama", 7)
    assert hf["normalizer"] == config.normalizer
    plain = dataclasses.replace(config, normalizer="softmax")
    attention = dict(params["layers"]["attention"])
    attention.pop("normalizer")
    layers = {**params["layers"], "attention": attention}
    save_pretrained(tmp_path / "plain", plain, {**params, "layers": layers}, source=folder)
    hf = json.loads((tmp_path / "plain" / "config.json").read_text())
    assert hf["model_type"] == "llama" and "normalizer" not in hf


def test_dropped_layers_and_halves(same, ssa, tmp_path):
    config, params = ssa
    kept = (0, 2)
    save_pretrained(tmp_path / "layers", config.keep_layers(kept), keep_layers(params, kept))
    again, loaded = load_pretrained(tmp_path / "layers")
    assert again == config.keep_layers(kept)
    same(loaded, keep_layers(params, kept))
    halves = [(True, False), (False, True), (True, True)]
    shorter, left = config.keep_halves(halves), keep_halves(params, halves)
    save_pretrained(tmp_path / "halves", shorter, left)
    assert own_attributes(shorter) == {
        "layer_halves": ["attention", "mlp", "both"],
        "normalizer": config.normalizer,
    }
    again, loaded = load_pretrained(tmp_path / "halves")
    assert again == shorter
    names = load_file(tmp_path / "halves" / "model.safetensors")
    assert sorted(name for name in names if name.endswith("normalizer.n")) == [
        "model.layers.0.self_attn.normalizer.n",
        "model.layers.2.self_attn.normalizer.n",
    ]
    for one, other in zip(
        keep_halves(unstack_layers(loaded), again.halves)["layers"],
        keep_halves(unstack_layers(params), halves)["layers"],
        strict=True,
    ):
        same(one, other)


def test_transformers_refuses_what_it_would_spoil(folder):
    from transformers import AutoConfig, AutoModelForCausalLM

    for kind in (AutoConfig, AutoModelForCausalLM):
        with pytest.raises(ValueError, match="tale_jax_llama"):
            kind.from_pretrained(folder)


N = "model.layers.1.self_attn.normalizer.n"
SPOILT = {
    "missing": (lambda t: t.pop(N) is ..., "layers.1.self_attn.normalizer.n is missing"),
    "of another shape": (
        lambda t: t.update({N: np.zeros((), np.float32)}),
        "normalizer.n has shape (), expected (6,)",
    ),
    "of a layer too many": (
        lambda t: t.update({N.replace("1", "3"): t[N]}),
        "layers.3.self_attn.normalizer.n is not known",
    ),
    "of another normalizer": (
        lambda t: t.update({N.removesuffix("n") + "alpha": t[N]}),
        "normalizer.alpha is not known",
    ),
}


@pytest.mark.parametrize("case", SPOILT)
def test_a_value_that_is(edit_tensors, refused, folder, case):
    edit, message = SPOILT[case]
    edit_tensors(folder, lambda tensors: edit(tensors) or None)
    refused(folder, message)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"normalizer": "ssa"}, "has shape (6,), expected ()"),
        ({"normalizer": "ssa:per=head"}, "normalizer.b is not known"),
        ({"normalizer": "entmax:per=head"}, "normalizer.alpha is missing"),
        ({"normalizer": "ssb"}, "unknown normalizer 'ssb'"),
        ({"normalizer": "ssa:m=2"}, "'m=2' is not understood"),
        ({"normalizer": 3}, "normalizer is 3, not a specification"),
        ({"normalizer": ...}, "needs layer_halves or normalizer"),
        ({"model_type": "llama"}, "not handled: normalizer="),
    ],
)
def test_a_config_that_says(edit_config, refused, folder, changes, message):
    edit_config(folder, **changes)
    refused(folder, message)
