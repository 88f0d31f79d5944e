"""What the model is: blind to padding, the same in every form; its heads and its views."""

import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.errors import ScopeParamShapeError

from attention.transformer import (
    Transformer,
    TransformerConfig,
    abstract_params,
    self_attention,
    unstack_layers,
)


def close(found, expected, tolerance=1e-5):
    """The largest difference, as a share of the largest expected number."""
    expected = np.asarray(expected)
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * np.abs(expected).max())


@pytest.mark.quick("llama", "gemma2", "bert")
def test_padding_is_invisible(tiny, apply, tokens):
    """And without padding ``where`` changes nothing."""
    slots, (rows, length) = 17, tokens.shape
    rng = np.random.default_rng(3)
    padded = rng.integers(0, 29, (rows, slots)).astype(np.int32)  # of no consequence
    where = np.zeros(padded.shape, bool)
    starts = (0, 6, 2, 5)  # right, left, both sides; the last row is all padding
    for row, start in enumerate(starts):
        padded[row, start : start + length] = tokens[row]
        where[row, start : start + length] = True
    logits = np.asarray(apply(tiny.config, tiny.params, padded, where))
    plain = np.asarray(apply(tiny.config, tiny.params, tokens))
    assert plain.dtype == np.float32
    assert plain.shape == (rows, length, tiny.config.vocab_size)
    for row, start in enumerate(starts):
        close(logits[row, start : start + length], plain[row])
    assert np.isfinite(logits).all()


def test_parameters_of_another_shape_are_refused(tiny_models, tokens):
    _, config, params = tiny_models("llama")
    wider = dataclasses.replace(config, vocab_size=config.vocab_size + 2)
    with pytest.raises(ScopeParamShapeError, match=r'"embedding" in "/embed"'):
        jax.eval_shape(lambda: Transformer(wider).apply({"params": params}, tokens))


def test_position_matters(tiny_models, apply):
    """Else the padding test would pass without positions."""
    for name in ("llama", "gpt2", "bert"):
        _, config, params = tiny_models(name)
        pair = np.array([[5, 7, 9, 9], [7, 5, 9, 9]])
        first, second = np.asarray(apply(config, params, pair))[:, -1]
        assert np.abs(first - second).max() > 1e-3


@pytest.mark.quick("llama", "qwen3_moe")
def test_stacked_unstacked_and_unjitted_agree(tiny, apply, tokens):
    stacked = np.asarray(apply(tiny.config, tiny.params, tokens))
    close(apply(tiny.config, unstack_layers(tiny.params), tokens), stacked)
    if tiny.name == "llama":
        close(Transformer(tiny.config).apply({"params": tiny.params}, tokens), stacked)


@pytest.mark.parametrize("name", ["qwen2-mixed", "bert"])
def test_captured(tiny_models, apply, tokens, name):
    _, config, params = tiny_models(name)
    where = np.ones(tokens.shape, bool)
    where[0, :3] = where[1, 8:] = False
    names = ("hidden_states", "attention_weights", "values")
    logits, seen = apply(config, params, tokens, where, capture=names)
    (batch, length), depth = tokens.shape, config.num_hidden_layers
    close(logits, apply(config, params, tokens, where))

    assert seen.keys() == set(names)
    assert seen["hidden_states"].shape == (depth, batch, length, config.hidden_size)
    heads = (depth, batch, config.num_attention_heads, length, length)
    assert seen["attention_weights"].shape == heads
    values = (depth, batch, config.key_value_heads, length, config.head_size)
    assert seen["values"].shape == values

    model = Transformer(config)
    read = jax.jit(lambda h: model.apply({"params": params}, h, where, method="read_out"))
    close(read(seen["hidden_states"][-1]), logits)
    weights = np.asarray(seen["attention_weights"])
    assert (weights >= 0).all()
    hidden_keys = np.broadcast_to(~where[None, :, None, None, :], heads)
    assert (weights[hidden_keys] == 0).all()
    real_rows = weights.swapaxes(2, 3)[:, where]
    np.testing.assert_allclose(real_rows.sum(-1), 1, atol=1e-6)
    if config.causal:
        assert (np.triu(weights, 1) == 0).all()
        far = np.tril(np.ones((length, length)), -3)
        assert (weights[1:, 2:] * far == 0).all()  # rows without padding
        assert (weights[0, 2] * far > 0).any()


def test_captured_in_part_and_with_layers_dropped(tiny_models, apply, tokens):
    _, config, params = tiny_models("llama")
    mask = (True, False, True)
    whole = apply(config, params, tokens, capture=("hidden_states",))[1]
    _, seen = apply(config, params, tokens, capture=("hidden_states",), layer_mask=mask)
    assert seen.keys() == {"hidden_states"}
    assert seen["hidden_states"].shape[0] == 2
    close(seen["hidden_states"][0], whole["hidden_states"][0])
    with pytest.raises(ValueError, match=r"cannot capture \['logits'\]"):
        apply(config, params, tokens, capture=("logits",))


def tapped(model, tokens, tap, where=None):
    run = lambda params: Transformer(model.config).apply(  # noqa: E731
        {"params": params}, tokens, where=where, tap=tap
    )
    return jax.jit(run)(model.params)


def test_taps(tiny_models, apply, tokens):
    model = tiny_models("llama")
    config = model.config
    plain = apply(config, model.params, tokens)
    seen = []

    def identity(layer, weights, values, mask):
        seen.append((layer, weights.shape, values.shape, mask.shape, mask.dtype))
        return weights

    close(tapped(model, tokens, identity), plain)
    batch, length = tokens.shape
    assert seen == [
        (i, (batch, 6, length, length), (batch, 2, length, 10), (1, length, length), bool)
        for i in range(config.num_hidden_layers)
    ]

    def uniform_in_layer_1(layer, weights, values, mask):
        even = mask / jnp.maximum(mask.sum(-1, keepdims=True), 1)
        return jnp.broadcast_to(even[:, None], weights.shape) if layer == 1 else weights

    assert np.abs(tapped(model, tokens, uniform_in_layer_1) - plain).max() > 1e-3


@pytest.mark.nightly  # test_halves.py has gradients with and without it
def test_rematerialisation_changes_no_gradient(configs, random_params, tokens):
    config = configs["mistral"].keep_layers((0, 1))
    params = random_params(config)

    def gradient(config, params):
        def loss(params):
            logits = Transformer(config).apply({"params": params}, tokens)
            return jnp.mean(jax.nn.logsumexp(logits, -1))

        return jax.jit(jax.grad(loss))(params)

    plain = gradient(config, params)
    saved = gradient(dataclasses.replace(config, remat=True), params)
    jax.tree.map(close, saved, plain)
    assert all(np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(plain))


def test_places_a_stride_apart():
    x = np.arange(2 * 7 * 3.0).reshape(2, 7, 3)
    for places in (slice(None, None, 2), slice(1, None, 2), slice(0, 5, 3), slice(2, 6, 2)):
        np.testing.assert_array_equal(self_attention.at(x, places), x[:, places])
        np.testing.assert_array_equal(self_attention.places_apart(x, places), x[:, places])


@pytest.mark.parametrize("name", ["llama", "bert"])
def test_read_at_is_slicing(tiny_models, apply, tokens, name):
    _, config, params = tiny_models(name)
    logits = np.asarray(apply(config, params, tokens))
    read_at = np.array([[10, 0], [3, 3], [7, 8], [0, 1], [9, 4]])
    found = apply(config, params, tokens, read_at=read_at)
    close(found, np.take_along_axis(logits, read_at[:, :, None], 1))
    pooled = dataclasses.replace(config, head="sequence", num_labels=3)
    with pytest.raises(ValueError, match="no read_at"):
        jax.eval_shape(Transformer(pooled).init, jax.random.key(0), tokens, read_at=read_at)


def test_segments_matter(tiny_models, apply, tokens):
    _, config, params = tiny_models("bert")
    plain = apply(config, params, tokens)
    zeros = np.zeros(tokens.shape, np.int32)
    close(apply(config, params, tokens, token_type_ids=zeros), plain)
    ones = apply(config, params, tokens, token_type_ids=zeros + 1)
    assert np.abs(ones - plain).max() > 1e-3


def test_a_token_outside_the_vocabulary_is_not_some_other_token(tiny_models, apply, tokens):
    _, config, params = tiny_models("llama")
    wrong = tokens.copy()
    wrong[0, 4] = 29
    logits = np.asarray(apply(config, params, wrong))
    assert np.isnan(logits[0, 4:]).all()
    assert np.isfinite(logits[1:]).all()


def test_wrong_arguments_raise(tiny_models, apply, tokens):
    _, config, params = tiny_models("llama")
    for wrong in (tokens[0], tokens[..., None]):
        with pytest.raises((ValueError, TypeError, IndexError)):
            apply(config, params, wrong)
    with pytest.raises((ValueError, TypeError, IndexError)):
        apply(config, params, tokens, np.ones(11, bool))
    with pytest.raises(ValueError, match="layer_mask has 4 entries for 3 layers"):
        apply(config, params, tokens, layer_mask=(True,) * 4)
    with pytest.raises(ValueError, match=r"keep has shape \(3,\)"):
        apply(config, params, tokens, keep=np.ones(3, bool))
    with pytest.raises(ValueError, match="keep needs stacked layers"):
        apply(config, unstack_layers(params), tokens, keep=np.ones((3, 2), bool))
    with pytest.raises(ValueError, match="keep is data"):
        apply(config, params, tokens, keep=np.ones((3, 2), bool), layer_mask=(True,) * 3)
    _, config, params = tiny_models("gpt2")
    with pytest.raises(ValueError, match="24 tokens are more than the model's 23"):
        apply(config, params, np.zeros((1, 24), np.int32))


@pytest.mark.parametrize("name", ["llama", "qwen2-mixed"])
def test_parameters_of_another_depth_raise(tiny_models, apply, tokens, name):
    _, config, params = tiny_models(name)
    for kept in ((0, 2), (1,)):
        shallow = config.keep_layers(kept)
        for form in (params, unstack_layers(params)):
            with pytest.raises(ValueError, match=f"3 layers for {len(kept)}"):
                apply(shallow, form, tokens)


def test_every_layer_is_drawn_with_its_own_key(configs):
    config = dataclasses.replace(configs["llama"], attention=False, initializer_range=0.3)
    init = jax.jit(Transformer(config).init)
    params = init(jax.random.key(0), np.zeros((1, 1), np.int32))["params"]
    up = np.asarray(params["layers"]["mlp"]["up"]["kernel"])
    assert up.shape == (3, 18, 17)
    assert len({*up.ravel()}) == up.size
    np.testing.assert_allclose(up.std(), 0.3, rtol=0.1)


@pytest.mark.parametrize("derivatives", ["jax", "cpu"])
def test_products_in_bfloat16_are_summed_in_float32(configs, tokens, derivatives):
    """Processors that have such products have this kind fast (docs/results)."""
    config = dataclasses.replace(configs["llama"], dtype="bfloat16", derivatives=derivatives)
    model = Transformer(config)

    def loss(params):
        return model.apply({"params": params}, tokens).sum()

    traced = jax.make_jaxpr(jax.grad(loss) if derivatives == "cpu" else loss)
    outputs = re.findall(r":(\w+)\[[\d,]*\] = dot_general\[", str(traced(abstract_params(config))))
    passes = 3 if derivatives == "cpu" else 1
    assert outputs.count("bf16") == passes  # attention's sums of values, and their derivatives
    assert outputs.count("f32") >= passes * (7 + 1 + 1)  # projections, scores, the head


def test_config_refuses_what_cannot_be():
    sizes = {"hidden_size": 12, "num_hidden_layers": 2, "intermediate_size": 17}
    cases = {
        "exactly one of vocab_size and input_size": {"num_attention_heads": 3},
        "exactly one of": {"num_attention_heads": 3, "vocab_size": 5, "input_size": 5},
        "num_key_value_heads=2 do not divide num_attention_heads=3": {
            "num_attention_heads": 3,
            "num_key_value_heads": 2,
            "vocab_size": 5,
        },
        "give head_dim": {"num_attention_heads": 5, "vocab_size": 5},
        "even head_dim, not 3": {"num_attention_heads": 4, "vocab_size": 5},
        "layer_types has 1 entries for 2 layers": {
            "num_attention_heads": 3,
            "vocab_size": 5,
            "layer_types": ("full_attention",),
        },
        "unknown layer_types": {
            "num_attention_heads": 3,
            "vocab_size": 5,
            "layer_types": ("full_attention", "chunked_attention"),
        },
    }
    heads = {"num_attention_heads": 3, "vocab_size": 5}
    cases["unknown matrix precision 'tf32'"] = {**heads, "matmul_precision": "tf32"}
    for message, fields in cases.items():
        with pytest.raises(ValueError, match=message):
            TransformerConfig(**sizes, **fields)
    for name in ("tensorfloat32", "TF32_TF32_F32"):
        assert TransformerConfig(**sizes, **heads, matmul_precision=name).precision == name
