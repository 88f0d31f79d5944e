"""One tiny model a family, with sizes that cannot be mistaken for one another."""

import dataclasses
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest

from attention.transformer import (
    RopeScaling,
    Transformer,
    TransformerConfig,
    abstract_params,
    save_pretrained,
)

B, T, V, L = 5, 11, 29, 3

LLAMA = TransformerConfig(
    hidden_size=18,
    num_hidden_layers=L,
    num_attention_heads=6,
    num_key_value_heads=2,
    head_dim=10,
    intermediate_size=17,
    vocab_size=V,
    max_position_embeddings=31,
    # No default, so that a field that is not read or not written shows.
    rope_theta=5000.0,
    norm_eps=1e-3,
    initializer_range=0.03,
)
ENCODER = TransformerConfig(
    hidden_size=14,
    num_hidden_layers=L,
    num_attention_heads=2,
    intermediate_size=17,
    vocab_size=V,
    max_position_embeddings=23,
    position_embedding="learned",
    type_vocab_size=2,
    causal=False,
    attention_bias=True,
    attention_out_bias=True,
    norm="layernorm",
    norm_eps=1e-3,
    initializer_range=0.03,
    norm_placement="post",
    embedding_norm=True,
    final_norm=False,
    hidden_act="gelu",
    gated_mlp=False,
    mlp_bias=True,
    head="masked_lm",
    tie_word_embeddings=True,
    family="bert",
)
GPT2 = dataclasses.replace(
    ENCODER,
    type_vocab_size=0,
    causal=True,
    norm_placement="pre",
    embedding_norm=False,
    final_norm=True,
    hidden_act="relu",
    head="causal_lm",
    family="gpt2",
)
QWEN2 = dataclasses.replace(LLAMA, family="qwen2", attention_bias=True, tie_word_embeddings=True)
MIXED = ("full_attention", "sliding_attention", "sliding_attention")

OLMO2 = dataclasses.replace(LLAMA, family="olmo2", norm_placement="output", qk_norm="projection")
GEMMA2 = dataclasses.replace(
    LLAMA,
    family="gemma2",
    norm_placement="sandwich",
    norm_less_one=True,
    embedding_multiplier=18**0.5,
    attention_multiplier=7**-0.5,
    attn_logit_softcapping=3.0,
    final_logit_softcapping=7.0,
    layer_types=("sliding_attention", "full_attention", "sliding_attention"),
    sliding_window=3,
    tie_word_embeddings=True,
)
QWEN3_MOE = dataclasses.replace(
    LLAMA,
    family="qwen3_moe",
    qk_norm="head",
    num_experts=5,
    num_experts_per_tok=2,
    norm_topk_prob=True,
)
COHERE = dataclasses.replace(
    LLAMA,
    family="cohere",
    parallel_residual="shared_norm",
    norm="layernorm",
    norm_bias=False,
    qk_norm="each_head",
    logits_scaling=1 / 0.3,
    tie_word_embeddings=True,
)

CONFIGS = {
    "llama": LLAMA,
    "llama3-rope": dataclasses.replace(
        LLAMA, rope_scaling=RopeScaling("llama3", 8.0, 1.0, 4.0, 128)
    ),
    "qwen2": QWEN2,
    "qwen2-mixed": dataclasses.replace(QWEN2, sliding_window=3, layer_types=MIXED),
    "qwen3": dataclasses.replace(LLAMA, family="qwen3", qk_norm="head"),
    "mistral": dataclasses.replace(LLAMA, family="mistral", sliding_window=5),
    "olmo2": OLMO2,
    "gemma2": GEMMA2,
    "qwen3_moe": QWEN3_MOE,
    "cohere": COHERE,
    "gpt2": GPT2,
    "bert": ENCODER,
    "roberta": dataclasses.replace(ENCODER, family="roberta", position_offset=2, type_vocab_size=1),
    "distilbert": dataclasses.replace(
        ENCODER, family="distilbert", type_vocab_size=0, norm_eps=1e-12
    ),
    "electra": dataclasses.replace(
        ENCODER, family="electra", embedding_size=10, hidden_act="relu", head_act="gelu"
    ),
}
# A form of a layer whose families are not in the list.
BLOCKS = {
    "parallel": dataclasses.replace(
        LLAMA, parallel_residual="separate_norms", norm="layernorm", qk_norm="head"
    ),
}
CAUSAL = [name for name, config in CONFIGS.items() if config.causal]


def random_params(config: TransformerConfig, seed: int = 0) -> dict[str, Any]:
    """Every parameter random, biases and scales too; large enough that a mistake shows."""
    rng = np.random.default_rng(seed)

    def draw(path, leaf):
        noise = rng.normal(0, 0.3, leaf.shape)
        return (noise + ("scale" in str(path[-1]))).astype(leaf.dtype)

    return jax.tree_util.tree_map_with_path(draw, abstract_params(config))


@partial(jax.jit, static_argnums=0, static_argnames=("layer_mask", "capture"))
def apply(config, params, tokens, where=None, **arguments):
    """The model, jitted once for all tests."""
    return Transformer(config).apply({"params": params}, tokens, where=where, **arguments)


class Tiny(NamedTuple):
    name: str
    config: TransformerConfig
    params: dict[str, Any]


@cache
def tiny_model(name: str) -> Tiny:
    config = (CONFIGS | BLOCKS)[name]
    return Tiny(name, config, random_params(config))


@pytest.fixture(params=CONFIGS)
def tiny(request) -> Tiny:
    """A model of each family."""
    return tiny_model(request.param)


@pytest.fixture(params=CAUSAL)
def causal(request) -> Tiny:
    """A model of each causal family."""
    return tiny_model(request.param)


@pytest.fixture(scope="session")
def tiny_models():
    """Name → model."""
    return tiny_model


@pytest.fixture(scope="session")
def configs():
    return CONFIGS


@pytest.fixture(name="random_params", scope="session")
def random_params_fixture():
    return random_params


@pytest.fixture(name="apply", scope="session")
def apply_fixture():
    return apply


@pytest.fixture(scope="session")
def tokens():
    """``[B, T]``, no special ids."""
    return np.random.default_rng(7).integers(3, V, (B, T)).astype(np.int32)


@pytest.fixture
def folder(tmp_path, tiny_models):
    """A checkpoint of a tiny Llama, to be spoilt."""
    _, config, params = tiny_models("llama")
    save_pretrained(tmp_path / "model", config, params)
    return tmp_path / "model"
