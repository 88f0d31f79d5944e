"""The models: which places are read, and that they begin as GPT-2 does."""

import math

import jax
import numpy as np
import pytest

from attention.transformer import Transformer
from icl.tasks import inputs_and_places
from icl.training import ModelOptions, init, model


@pytest.mark.quick("2al1ah", "2mlp")
@pytest.mark.parametrize("architecture", ["2l1ah", "2al1ah", "2mlp"])
def test_reading_some_positions_is_reading_all(architecture):
    config = model(architecture, ModelOptions(hidden_size=6))
    params = init(config, 0)
    x = jax.random.normal(jax.random.key(1), (3, 5, 1))
    tokens, places = inputs_and_places(x, x[:, :, 0])

    def apply(**how):
        read = jax.jit(lambda params: Transformer(config).apply({"params": params}, tokens, **how))
        return np.asarray(read(params))

    every = apply()
    np.testing.assert_allclose(apply(read_at=places), every[:, ::2], atol=1e-5)
    indices = np.array([[0, 3], [2, 8], [1, 1]])
    some = np.take_along_axis(every, indices[:, :, None], axis=1)
    np.testing.assert_allclose(apply(read_at=indices), some, atol=1e-5)


@pytest.mark.nightly
def test_the_start_is_gpt2s():
    config = model("12l8ah")
    params = init(config, 0)
    assert config.hidden_size == 256 and len(params["layers"]) == 12
    count = sum(leaf.size for leaf in jax.tree.leaves(params))
    # torch: GPT2Model without its vocabulary, 9,608,704, and two nn.Linear, 512 + 257
    assert count == 9_609_473
    layer = params["layers"][5]
    assert layer["mlp"]["up"]["kernel"].std() == pytest.approx(0.02, rel=0.02)
    for kernel in (layer["mlp"]["down"]["kernel"], layer["attention"]["out"]["kernel"]):
        assert kernel.std() == pytest.approx(0.02 / math.sqrt(24), rel=0.02)
    read_in, read_out = params["embed"], params["head"]["out"]
    assert 0.9 < abs(read_in["kernel"]).max() <= 1 and 0.9 < abs(read_in["bias"]).max() <= 1
    assert 0.055 < abs(read_out["kernel"]).max() <= 1 / 16
