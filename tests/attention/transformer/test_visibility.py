"""Who sees whom: causal, both sides, windows; measured as the influence of one place on another."""

import dataclasses

import jax
import numpy as np
import pytest

from attention.transformer import Transformer
from attention.transformer.depth import run_layers


def influence(config, params, length):
    """``[t, s]``: how much the output at t changes with the embedding at s."""
    tokens = np.zeros((1, length), np.int32)
    model = Transformer(config)

    def output(embedded, t):
        _, context = model.apply({"params": params}, tokens, method="embed_inputs")
        hidden = run_layers(config, params["layers"], embedded, context)[0]
        return model.apply({"params": params}, hidden, method="read_out")[0, t].sum()

    rng = np.random.default_rng(1)
    embedded = rng.normal(size=(1, length, config.hidden_size)).astype(np.float32)
    gradient = jax.jit(jax.grad(output))
    return np.stack([np.abs(gradient(embedded, t)[0]).max(-1) for t in range(length)])


@pytest.mark.quick("llama")
@pytest.mark.parametrize("name", ["llama", "qwen3", "gpt2"])
def test_the_past_alone_is_seen(tiny_models, name):
    _, config, params = tiny_models(name)
    seen = influence(config, params, 7)
    future = np.triu(np.ones((7, 7), bool), 1)
    assert (seen[future] == 0).all()
    assert (seen[~future] > 1e-6).all()


def test_an_encoder_sees_both_sides(tiny_models):
    _, config, params = tiny_models("bert")
    assert (influence(config, params, 7) > 1e-6).all()


@pytest.mark.quick("True")
@pytest.mark.parametrize("causal_", [True, False])
def test_a_layer_reaches_no_further_than_its_window(configs, random_params, causal_):
    window, depth, length = 3, 2, 11
    config = dataclasses.replace(
        configs["llama"], num_hidden_layers=depth, sliding_window=window, causal=causal_
    )
    seen = influence(config, random_params(config), length)
    distance = np.subtract.outer(np.arange(length), np.arange(length))
    reached = np.abs(distance) <= depth * (window - 1)
    if causal_:
        reached &= distance >= 0
    np.testing.assert_array_equal(seen > 0, reached)


def test_only_sliding_layers_slide(configs, random_params):
    config = dataclasses.replace(
        configs["llama"],
        num_hidden_layers=2,
        sliding_window=3,
        layer_types=("full_attention", "sliding_attention"),
    )
    assert (influence(config, random_params(config), 7)[-1] > 0).all()
