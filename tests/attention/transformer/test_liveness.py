"""Every field of TransformerConfig does something: no dead configuration."""

import dataclasses
import functools
import re

import jax
import numpy as np
import pytest

from attention.transformer import (
    Rope,
    RopeScaling,
    Transformer,
    TransformerConfig,
    abstract_params,
)
from attention.transformer.huggingface.config import to_hf
from attention.transformer.huggingface.families import tensor_table
from attention.transformer.huggingface.matching import wanted_tensors

LLAMA = TransformerConfig(
    hidden_size=12,
    num_hidden_layers=2,
    num_attention_heads=6,
    num_key_value_heads=2,
    head_dim=10,
    intermediate_size=17,
    vocab_size=29,
)
LEARNED = dataclasses.replace(
    LLAMA, position_embedding="learned", type_vocab_size=2, embedding_norm=True
)
WINDOW = dataclasses.replace(LLAMA, sliding_window=3)
MIXTURE = dataclasses.replace(LLAMA, num_experts=5, num_experts_per_tok=2)
VECTORS = dataclasses.replace(LLAMA, vocab_size=None, input_size=7, head="regression")

# field → (base, another value); the table must name every field
PERTURBED = {
    "hidden_size": (LLAMA, 18),
    "num_hidden_layers": (LLAMA, 3),
    "num_attention_heads": (LLAMA, 2),
    "intermediate_size": (LLAMA, 19),
    "vocab_size": (LLAMA, 31),
    "input_size": (VECTORS, 5),
    "embedding_size": (dataclasses.replace(LLAMA, head="none"), 7),
    "head_act": (dataclasses.replace(LLAMA, head="masked_lm"), "relu"),
    "head_bias": (dataclasses.replace(LLAMA, head="masked_lm"), False),
    "head_norm": (dataclasses.replace(LLAMA, head="token"), True),
    "pooling": (dataclasses.replace(LLAMA, head="sequence", causal=False), "mean"),
    "first_norm": (LLAMA, False),
    "num_key_value_heads": (LLAMA, 3),
    "head_dim": (LLAMA, 14),
    "family": (LLAMA, "mistral"),
    "embedding_multiplier": (LLAMA, 3.5),
    "position_embedding": (LLAMA, "none"),
    "max_position_embeddings": (LEARNED, 37),
    "position_offset": (LEARNED, 2),
    "type_vocab_size": (LEARNED, 3),
    "rope_theta": (LLAMA, 5000.0),
    "rope_scaling": (LLAMA, RopeScaling("linear", 2.0)),
    "partial_rotary_factor": (LLAMA, 0.6),
    "sliding_rope": (WINDOW, Rope(5000.0)),
    "no_rope_layers": (LLAMA, (1, 0)),
    "causal": (LLAMA, False),
    "sliding_window": (WINDOW, 5),
    "layer_types": (WINDOW, ("full_attention", "sliding_attention")),
    "attention_bias": (LLAMA, True),
    "attention_out_bias": (LLAMA, True),
    "qk_norm": (LLAMA, "head"),
    "attention_multiplier": (LLAMA, 0.3),
    "attn_logit_softcapping": (LLAMA, 30.0),
    "normalizer": (LLAMA, "ssa"),
    "attention_implementation": (LLAMA, "chunked"),
    "attention": (LLAMA, False),
    "mlp": (LLAMA, False),
    "layer_halves": (LLAMA, ("both", "mlp")),
    "residual": (LLAMA, False),
    "residual_multiplier": (LLAMA, 0.3),
    "parallel_residual": (LLAMA, "separate_norms"),
    "norm": (LLAMA, "layernorm"),
    "norm_eps": (LLAMA, 1e-5),
    "norm_bias": (dataclasses.replace(LLAMA, norm="layernorm"), False),
    "norm_less_one": (LLAMA, True),
    "norm_placement": (LLAMA, "post"),
    "embedding_norm": (LLAMA, True),
    "final_norm": (LLAMA, False),
    "hidden_act": (LLAMA, "relu"),
    "gated_mlp": (LLAMA, False),
    "mlp_bias": (LLAMA, True),
    "num_experts": (LLAMA, 3),
    "num_experts_per_tok": (MIXTURE, 1),
    "norm_topk_prob": (MIXTURE, True),
    "head": (LLAMA, "token"),
    "num_labels": (VECTORS, 3),
    "tie_word_embeddings": (LLAMA, True),
    "logits_scaling": (LLAMA, 8.0),
    "final_logit_softcapping": (LLAMA, 20.0),
    "initializer_range": (LLAMA, 0.3),
    "initializer": (LLAMA, "gpt2"),
    "dtype": (LLAMA, "bfloat16"),
    "matmul_precision": (LLAMA, "default"),
    "remat": (LLAMA, "full"),
    "param_dtype": (LLAMA, "bfloat16"),
    "derivatives": (LLAMA, "cpu"),
}
LLAMA3 = RopeScaling("llama3", 8.0, 1.0, 4.0, 128)
YARN = RopeScaling("yarn", 8.0, original_max_position_embeddings=128)
WITH_MSCALE = dataclasses.replace(YARN, mscale=2.0, mscale_all_dim=1.5)
LONG = RopeScaling(
    "longrope",
    8.0,
    original_max_position_embeddings=4,
    short_factor=(1.5,) * 7,
    long_factor=(2.5,) * 7,
)
# field → (base, another value); the table must name every field
SCALED = {
    "rope_type": (RopeScaling("linear", 2.0), "dynamic"),
    "factor": (LLAMA3, 4.0),
    "low_freq_factor": (LLAMA3, 1.5),
    "high_freq_factor": (LLAMA3, 3.0),
    "original_max_position_embeddings": (LLAMA3, 64),
    "attention_factor": (YARN, 1.25),
    "beta_fast": (YARN, 2.0),
    "beta_slow": (YARN, 2.0),
    "mscale": (WITH_MSCALE, 3.0),
    "mscale_all_dim": (WITH_MSCALE, 2.5),
    "truncate": (YARN, False),
    "short_factor": (LONG, (1.25,) * 7),
    "long_factor": (LONG, (2.25,) * 7),
    "llama_4_scaling_beta": (YARN, 0.1),
}
# The only fields for which a different checkpoint is enough.
OF_CHECKPOINTS = {"family"}


@functools.cache
def program(config, gradient=True):
    """The traced program, of a gradient or of the loss alone, with its constants, as text."""
    length = 7
    tokens = np.zeros((1, length), np.int32)
    if config.input_size is not None:
        tokens = np.zeros((1, length, config.input_size), np.float32)

    def loss(params):
        return Transformer(config).apply({"params": params}, tokens).sum()

    traced = jax.make_jaxpr(jax.grad(loss) if gradient else loss)(abstract_params(config))
    text = re.sub(r"0x[0-9a-f]+", "", str(traced))
    return text, [np.asarray(const).tobytes() for const in traced.consts]


def shapes(config):
    """Shapes of the parameters."""
    return str(abstract_params(config))


def forward(config):
    """What is quicker to trace than a gradient."""
    return program(config, gradient=False)


@functools.cache
def draw(config):
    """The traced program that draws the parameters, as text."""
    if config.input_size is not None:
        return ""

    def init(key):
        return Transformer(config).init(key, np.zeros((1, 1), np.int32))

    return re.sub(r"0x[0-9a-f]+", "", str(jax.make_jaxpr(init)(jax.random.key(0))))


def different(one, other):
    """Whether parameters or programs differ; what is quick to find out comes first."""
    return any(view(one) != view(other) for view in (shapes, forward, program, draw))


def checkpoint(config):
    """Its config.json and tensor names."""
    flat = jax.tree_util.tree_flatten_with_path(abstract_params(config))[0]
    paths = {"/".join(str(part.key) for part in path): leaf for path, leaf in flat}
    return to_hf(config), sorted(wanted_tensors(config, tensor_table(config), paths))


def test_every_field_is_in_the_table():
    fields = {field.name for field in dataclasses.fields(TransformerConfig)}
    assert fields == PERTURBED.keys(), "say how the new field shows"
    scaled = {field.name for field in dataclasses.fields(RopeScaling)}
    assert scaled == SCALED.keys()


@pytest.mark.parametrize("field", PERTURBED)
def test_field_is_alive(field):
    base, value = PERTURBED[field]
    assert getattr(base, field) != value
    changed = dataclasses.replace(base, **{field: value})
    if field in OF_CHECKPOINTS:
        assert checkpoint(base) != checkpoint(changed)
    else:
        assert different(base, changed)


# fields with more than two values: field → a further value, whose program is a third one
THIRD = {
    "qk_norm": ("each_head", "projection"),
    "parallel_residual": ("shared_norm",),
    "norm_placement": ("output", "sandwich"),
    "norm": ("none",),
}


@pytest.mark.parametrize("field", THIRD)
def test_each_value_is_alive(field):
    values = (getattr(LLAMA, field), PERTURBED[field][1], *THIRD[field])
    configs = [dataclasses.replace(LLAMA, **{field: value}) for value in values]
    assert all(different(a, b) for i, a in enumerate(configs) for b in configs[:i])


@pytest.mark.parametrize("field", SCALED)
def test_rope_scaling_field_is_alive(field):
    scaling, value = SCALED[field]
    base = dataclasses.replace(LLAMA, head_dim=14, rope_scaling=scaling)
    changed = dataclasses.replace(scaling, **{field: value})
    assert forward(base) != forward(dataclasses.replace(base, rope_scaling=changed))


@pytest.mark.quick("llama")
@pytest.mark.parametrize("base", [LLAMA, LEARNED, VECTORS], ids=["llama", "learned", "vectors"])
def test_an_equal_config_gives_the_same_program(base):
    """Else the tests above could not fail."""
    again = dataclasses.replace(base)
    for view in (shapes, program.__wrapped__, draw.__wrapped__):
        assert view(base) == view(again)
