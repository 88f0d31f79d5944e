"""The table of logical axes fits the parameters of every family, head and normalizer."""

import dataclasses

import jax
import pytest

from attention.training.sharding import transformer_axes
from attention.transformer import abstract_params, unstack_layers


@pytest.mark.quick(
    "softmax-own",
    "softmax-token",
    "ssa:per=head-regression",
    "ssa:per=head-none",
    "ssa:per=model-sequence",
)
@pytest.mark.parametrize("head", ["own", "sequence", "token", "regression", "none"])
@pytest.mark.parametrize("normalizer", ["softmax", "ssa:per=head", "ssa:per=model"])
def test_every_parameter_has_axes(configs, head, normalizer):
    for config in configs.values():
        head_of = config.head if head == "own" else head
        config = dataclasses.replace(config, head=head_of, normalizer=normalizer)
        params = abstract_params(config)
        zeros = jax.tree.map(lambda leaf: jax.numpy.zeros(leaf.shape), params)
        for tree in (params, unstack_layers(zeros)):
            axes = transformer_axes(tree)
            jax.tree.map(lambda leaf, names: _check(leaf, names), tree, axes)


def test_vector_inputs_have_axes(configs):
    config = dataclasses.replace(configs["llama"], vocab_size=None, input_size=3, head="regression")
    transformer_axes(abstract_params(config))


def _check(leaf, names):
    assert len(names) == leaf.ndim
