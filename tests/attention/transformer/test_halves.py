"""Models whose layers lack a half: every form against one with silenced output projections."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from attention.commands.describe import describe
from attention.errors import InputError
from attention.transformer import (
    Transformer,
    abstract_params,
    generate,
    keep_halves,
    load_pretrained,
    save_pretrained,
    stack_layers,
    unstack_layers,
)
from attention.transformer.stacking import belongs

# Attention, MLP of each layer; the last layer, which is read alone, in each of its forms.
KEPT = [
    [(True, False), (True, True), (False, True)],
    [(False, True), (False, False), (True, False)],
    [(True, True), (False, True), (True, True)],
]
NAMES = ["llama", "gpt2", "qwen2-mixed"]


def close(found, expected):
    expected = np.asarray(expected)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def silenced(params, kept):
    """The whole model; what is dropped adds zero to its input."""
    layers = params["layers"]
    for half, last in enumerate(("out", "down")):
        name = ("attention", "mlp")[half]
        keep = np.array([pair[half] for pair in kept])
        zeroed = {
            part: np.where(keep.reshape(-1, *[1] * (leaf.ndim - 1)), leaf, 0)
            for part, leaf in layers[name][last].items()
        }
        layers = {**layers, name: {**layers[name], last: zeroed}}
    return {**params, "layers": layers}


def poisoned(params, kept):
    """NaN in all that is dropped."""

    def poison(path, leaf):
        part, leaf = path[0].key, np.array(leaf)
        leaf[[not belongs(part, pair) for pair in kept]] = np.nan
        return leaf

    return {**params, "layers": jax.tree_util.tree_map_with_path(poison, params["layers"])}


@pytest.mark.quick("gemma2-kept6")
@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("llama", KEPT[0]),
        ("gpt2", KEPT[1]),
        ("qwen2-mixed", KEPT[2]),
        ("parallel", KEPT[0]),
        ("parallel", KEPT[1]),
        ("cohere", KEPT[0]),
        ("gemma2", KEPT[2]),
        ("olmo2", KEPT[1]),
    ],
)
def test_the_forms_agree(tiny_models, apply, tokens, name, kept):
    _, config, params = tiny_models(name)
    where = np.ones(tokens.shape, bool)
    where[0, :4] = where[1, 8:] = False
    expected = apply(config, silenced(params, kept), tokens, where)
    broken, keep = poisoned(params, kept), np.array(kept)
    shorter, stacked = config.keep_halves(kept), keep_halves(broken, kept)
    pruned = keep_halves(unstack_layers(broken), kept)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(pruned))
    everything = np.ones((shorter.num_hidden_layers, 2), bool)
    forms = {
        "data": (config, broken, {"keep": keep}),
        "scanned": (shorter, stacked, {}),
        "unrolled, stacked": (shorter, stacked, {"layer_mask": (True,) * len(everything)}),
        "unrolled, pruned": (shorter, pruned, {}),
        "data, of what is left": (shorter, stacked, {"keep": everything}),
    }
    read_at = np.array([[5, 6], [1, 7], [0, 10], [2, 3], [9, 4]])
    for form, (of, held, how) in forms.items():
        logits = np.asarray(apply(of, held, tokens, where, **how))
        assert np.isfinite(logits).all(), form
        close(logits, expected)
        close(
            apply(of, held, tokens, where, read_at=read_at, **how),
            np.take_along_axis(np.asarray(expected), read_at[:, :, None], 1),
        )
    states = apply(shorter, stacked, tokens, where, capture=("hidden_states",))[1]
    again = apply(shorter, pruned, tokens, where, capture=("hidden_states", "values"))[1]
    assert states["hidden_states"].shape[0] == shorter.num_hidden_layers
    assert again["values"].shape[0] == sum(attention for attention, _ in shorter.halves)
    close(states["hidden_states"], again["hidden_states"])


@pytest.mark.quick("gpt2-kept1")
@pytest.mark.parametrize("kept", KEPT[:2])
@pytest.mark.parametrize("name", NAMES[:2])
def test_decoding_with_a_cache_is_decoding_without(tiny_models, apply, tokens, name, kept):
    _, config, params = tiny_models(name)
    shorter, whole = config.keep_halves(kept), silenced(params, kept)
    found = [
        generate(shorter, held, jnp.asarray(tokens[:, :5]), max_new_tokens=3).tokens
        for held in (keep_halves(params, kept), keep_halves(unstack_layers(params), kept))
    ]
    text = tokens[:, :5]
    for _ in range(3):
        logits = np.asarray(apply(config, whole, np.pad(text, ((0, 0), (0, 8 - text.shape[1])))))
        text = np.c_[text, logits[:, text.shape[1] - 1].argmax(-1)]
    for written in found:
        np.testing.assert_array_equal(written, text[:, 5:])


def test_gradients_are_those_of_the_silenced_model(tiny_models, tokens):
    """With and without rematerialisation."""
    _, config, params = tiny_models("llama")
    kept = KEPT[0]

    def gradient(config, params):
        def loss(params):
            return jnp.mean(Transformer(config).apply({"params": params}, tokens) ** 2)

        return jax.jit(jax.grad(loss))(params)

    expected = gradient(config, silenced(params, kept))
    for remat in (False, True):
        found = gradient(dataclasses.replace(config, remat=remat).keep_halves(kept), params)
        for half, last in (("attention", "out"), ("mlp", "down")):
            for i, pair in enumerate(kept):
                leaf = found["layers"][half][last]["kernel"][i]
                if pair[half == "mlp"]:
                    close(leaf, expected["layers"][half][last]["kernel"][i])
                else:
                    assert not np.any(leaf)
        close(found["embed"]["embedding"], expected["embed"]["embedding"])


@pytest.mark.quick(
    "llama-kept0", "gpt2-kept1", "qwen2-mixed-kept0", "bert-kept1", "gemma2-kept0", "cohere-kept1"
)
@pytest.mark.parametrize("kept", KEPT[:2])
@pytest.mark.parametrize("name", ["llama", "gpt2", "qwen2-mixed", "bert", "gemma2", "cohere"])
def test_a_checkpoint_has_what_is_left_and_comes_back(tiny_models, tmp_path, name, kept):
    _, config, params = tiny_models(name)
    shorter, left = config.keep_halves(kept), keep_halves(params, kept)
    save_pretrained(tmp_path / "half", shorter, left)
    again, loaded = load_pretrained(tmp_path / "half")
    assert again.layer_halves == shorter.layer_halves
    assert again.windows == shorter.windows
    pairs = zip(
        keep_halves(unstack_layers(loaded), again.halves)["layers"],
        keep_halves(unstack_layers(params), kept)["layers"],
        strict=True,
    )
    for found, expected in pairs:
        jax.tree.map(np.testing.assert_array_equal, found, expected)
    stored = load_file(tmp_path / "half" / "model.safetensors")
    found = describe(tmp_path / "half")
    assert found["config"]["layer_halves"] == again.layer_halves and "layer_halves" in str(found)
    count = found["parameters"]
    assert count == sum(tensor.size for tensor in stored.values())
    whole = sum(leaf.size for leaf in jax.tree.leaves(abstract_params(config)))
    assert count < whole
    save_pretrained(tmp_path / "again", again, loaded)  # zeros or weights: neither is written
    for file in ("model.safetensors", "config.json"):
        assert (tmp_path / "again" / file).read_bytes() == (tmp_path / "half" / file).read_bytes()


def test_transformers_refuses_what_it_would_spoil(tiny_models, tmp_path):
    from transformers import AutoConfig, AutoModelForCausalLM

    _, config, params = tiny_models("llama")
    save_pretrained(tmp_path / "half", config.keep_halves(KEPT[0]), keep_halves(params, KEPT[0]))
    for kind in (AutoConfig, AutoModelForCausalLM):
        with pytest.raises(ValueError, match="tale_jax_llama"):
            kind.from_pretrained(tmp_path / "half")


def test_whole_layers_are_a_plain_checkpoint(tiny_models, tmp_path):
    _, config, params = tiny_models("llama")
    kept = [(True, True), (False, False), (True, True)]
    save_pretrained(tmp_path / "short", config.keep_halves(kept), keep_halves(params, kept))
    hf = json.loads((tmp_path / "short" / "config.json").read_text())
    assert (hf["model_type"], hf["num_hidden_layers"]) == ("llama", 2)
    assert "layer_halves" not in hf


def test_bad_checkpoints_are_refused(tiny_models, tmp_path):
    _, config, params = tiny_models("llama")
    folder = tmp_path / "half"
    save_pretrained(folder, config.keep_halves(KEPT[0]), keep_halves(params, KEPT[0]))
    hf = json.loads((folder / "config.json").read_text())
    assert hf["layer_halves"] == ["attention", "both", "mlp"]
    for change, message in (
        ({"layer_halves": None}, "not a list of names"),
        ({"layer_halves": ["attention", 1, "mlp"]}, "not a list of names"),
        ({"layer_halves": ["attention", "mlp"]}, "2 entries for 3 layers"),
        ({"layer_halves": ["attention", "all", "mlp"]}, "unknown layer_halves"),
        ({"layer_halves": ["both"] * 3}, "None where every layer has both"),
        ({"layer_halves": ["both", "both", "mlp"]}, "layers.0.mlp.down_proj.weight is missing"),
        ({"model_type": "llama"}, "not handled: layer_halves"),
        ({"layer_halves": ..., "normalizer": ...}, "needs layer_halves or normalizer"),
        ({"model_type": "tale_jax_tale_jax_llama"}, "unknown model_type 'tale_jax_llama'"),
        ({"model_type": "tale_jax_lama"}, "unknown model_type 'lama'"),
    ):
        changed = {name: x for name, x in (hf | change).items() if x is not ...}
        (folder / "config.json").write_text(json.dumps(changed))
        with pytest.raises(InputError, match=message) as caught:
            load_pretrained(folder)
        assert "\n" not in str(caught.value)
    (folder / "config.json").write_text(json.dumps(hf))
    tensors = load_file(folder / "model.safetensors")
    name = "model.layers.{}.mlp.down_proj.weight"
    save_file(tensors | {name.format(0): tensors[name.format(1)]}, folder / "model.safetensors")
    with pytest.raises(InputError, match=r"layers\.0\.mlp\.down_proj\.weight is not known"):
        load_pretrained(folder)


def test_halves_that_cannot_be_kept_raise(configs):
    config = configs["llama"].keep_halves(KEPT[0])
    assert config.keep_halves(config.halves) == config
    assert config.keep_layers((1,)).layer_halves is None
    assert config.keep_layers((0, 2)).halves == ((True, False), (False, True))
    for kept in ([(True, True)] * 3, [(True, False)] * 2):
        with pytest.raises(ValueError, match="not halves of"):
            config.keep_halves(kept)
    for change in ({"attention": False}, {"mlp": False}):
        with pytest.raises(ValueError, match="takes away"):
            dataclasses.replace(config, **change)


def test_stacked_layers_keep_their_shape(tiny_models):
    params = tiny_models("gpt2").params
    stacked = keep_halves(params, KEPT[2])
    jax.tree.map(np.testing.assert_array_equal, stacked, stack_layers(params))
    pruned = keep_halves(unstack_layers(params), KEPT[2])["layers"]
    assert [sorted(layer) for layer in pruned] == [
        ["attention", "attention_norm", "mlp", "mlp_norm"],
        ["mlp", "mlp_norm"],
        ["attention", "attention_norm", "mlp", "mlp_norm"],
    ]
