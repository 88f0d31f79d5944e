"""Heads, kinds of layers and inputs: each in every form that the model has."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict

from attention.transformer import TransformerConfig, unstack_layers


def close(found, expected, tolerance=1e-5):
    """The largest difference, as a share of the largest expected number."""
    expected = np.asarray(expected)
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * np.abs(expected).max())


HEAD_SHAPES = {
    "causal_lm": ("llama", "BT29"),
    "masked_lm": ("bert", "BT29"),
    "none": ("llama", "BT18"),
    "regression": ("llama", "BT7"),
    "token": ("bert", "BT7"),
    "sequence": ("gpt2", "B7"),
}


@pytest.mark.quick("masked_lm", "sequence", "regression")
@pytest.mark.parametrize("head", HEAD_SHAPES)
def test_head_shapes(configs, random_params, apply, tokens, head):
    name, shape = HEAD_SHAPES[head]
    config = dataclasses.replace(
        configs[name], head=head, num_labels=7, dtype="bfloat16", tie_word_embeddings=False
    )
    out = apply(config, random_params(config), tokens, np.ones(tokens.shape, bool))
    sizes = {"B": tokens.shape[:1], "BT": tokens.shape}
    lead = shape.rstrip("0123456789")
    assert out.shape == (*sizes[lead], int(shape[len(lead) :]))
    assert out.dtype == (jnp.bfloat16 if head == "none" else jnp.float32)


@pytest.mark.parametrize("name", ["llama", "bert"])
def test_a_sequence_is_read_at_its_last_or_first_real_token(
    configs, random_params, apply, tokens, name
):
    config = dataclasses.replace(configs[name], head="sequence", num_labels=7)
    params = random_params(config)
    padded, where = np.zeros((3, 11), np.int32), np.zeros((3, 11), bool)
    for row, start in enumerate((0, 4, 2)):
        padded[row, start : start + 7] = tokens[0, :7]
        where[row, start : start + 7] = True
    rows = np.asarray(apply(config, params, padded, where))
    alone = np.asarray(apply(config, params, tokens[:1, :7]))[0]
    for row in rows:
        close(row, alone)


def test_vector_inputs(random_params, apply):
    config = TransformerConfig(
        hidden_size=12,
        num_hidden_layers=2,
        num_attention_heads=3,
        intermediate_size=17,
        input_size=7,
        position_embedding="none",
        head="regression",
        num_labels=5,
    )
    params = random_params(config)
    assert params["embed"]["kernel"].shape == (7, 12)
    x = np.random.default_rng(2).normal(size=(3, 11, 7)).astype(np.float32)
    out = apply(config, params, x)
    assert out.shape == (3, 11, 5)
    where = np.ones((3, 11), bool)
    where[:, 8:] = False
    close(np.asarray(apply(config, params, x, where))[:, :8], np.asarray(out)[:, :8])


VARIANTS = {
    "attention only": {"mlp": False},
    "mlp only": {"attention": False},
    "no residual": {"residual": False},
    "no norm": {"norm": "none"},
    "no final norm": {"final_norm": False},
    "ssa": {"normalizer": "ssa"},
    "ssa for each head": {"normalizer": "ssa:learn=n+b,per=head"},
    "ssa for all layers": {"normalizer": "ssa:n=2,learn=n+b,per=model"},
    "ssa fixed": {"normalizer": "ssa:learn=none"},
    "cosformer": {"normalizer": "cosformer:length=31"},
    "no positions": {"position_embedding": "none"},
}


@pytest.mark.quick("cosformer", "ssa for all layers", "attention only")
@pytest.mark.parametrize("variant", VARIANTS)
def test_variants_run_in_every_form(configs, random_params, apply, tokens, variant):
    config = dataclasses.replace(configs["llama"], num_hidden_layers=2, **VARIANTS[variant])
    params = random_params(config)
    logits = np.asarray(apply(config, params, tokens))
    assert np.isfinite(logits).all()
    close(apply(config, unstack_layers(params), tokens), logits)
    close(apply(config, params, tokens, keep=np.ones((2, 2), bool)), logits)
    plain = dataclasses.replace(configs["llama"], num_hidden_layers=2)
    shared = flatten_dict(random_params(plain)) | flatten_dict(params)
    shared = {path: leaf for path, leaf in shared.items() if "normalizer" not in path}
    whole = apply(plain, unflatten_dict(shared), tokens)
    assert np.abs(logits - whole).max() > 1e-3
    for half in ("attention", "mlp"):
        assert (half in params["layers"]) == getattr(config, half)


def test_a_model_without_attention_has_no_weights_to_show(configs, random_params, apply, tokens):
    config = dataclasses.replace(configs["llama"], attention=False)
    params = random_params(config)
    for how in ({"capture": ("values",)}, {"capture": ("attention_weights",)}):
        with pytest.raises(ValueError, match="no attention"):
            apply(config, params, tokens, **how)
    assert apply(config, params, tokens, capture=("hidden_states",))[1]["hidden_states"].any()
