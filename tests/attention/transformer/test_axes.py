"""The table of logical axes fits the parameters of every family, head and normalizer."""

import dataclasses

import jax
import numpy as np
import pytest

from attention.training.sharding import transformer_axes
from attention.transformer import abstract_params, unstack_layers


@pytest.mark.quick("softmax-own")
@pytest.mark.parametrize("head", ["own", "sequence", "token", "regression", "none"])
@pytest.mark.parametrize("normalizer", ["softmax", "ssa:per=head", "ssa:per=model"])
def test_every_parameter_has_axes(configs, head, normalizer):
    for config in configs.values():
        head_of = config.head if head == "own" else head
        check(dataclasses.replace(config, head=head_of, normalizer=normalizer))


def test_every_head_and_every_normalizer_have_axes(configs):
    """One family each, of the table above."""
    for name, head, normalizer in (
        ("gpt2", "sequence", "ssa:per=model"),
        ("bert", "token", "ssa:per=head"),
        ("llama", "regression", "ssa:per=head"),
        ("qwen3_moe", "none", "ssa:per=model"),
    ):
        check(dataclasses.replace(configs[name], head=head, normalizer=normalizer))


def test_vector_inputs_have_axes(configs):
    config = dataclasses.replace(configs["llama"], vocab_size=None, input_size=3, head="regression")
    transformer_axes(abstract_params(config))


def check(config):
    """Every parameter has one name for each of its axes, in both forms of the layers."""
    params = abstract_params(config)
    zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), params)

    def has_names(leaf, names):
        assert len(names) == leaf.ndim

    for tree in (params, unstack_layers(zeros)):
        jax.tree.map(has_names, tree, transformer_axes(tree))
