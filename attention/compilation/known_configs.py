"""Configs of models that are often asked for, so that no checkpoint is needed to compile them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from attention.choices import Choices
from attention.errors import InputError
from attention.normalizers import NORMALIZERS
from attention.transformer import RopeScaling, TransformerConfig, load_config

_LLAMA = TransformerConfig(
    hidden_size=4096, num_hidden_layers=32, num_attention_heads=32, num_key_value_heads=8,
    intermediate_size=14336, vocab_size=128256, max_position_embeddings=131072,
    rope_theta=500000.0, rope_scaling=RopeScaling("llama3", 8.0, 1.0, 4.0, 8192), norm_eps=1e-5,
)  # fmt: skip
MODELS: Choices[TransformerConfig] = Choices(
    "model",
    {
        "llama-3.1-8b": _LLAMA,
        "llama-3.1-70b": dataclasses.replace(
            _LLAMA,
            hidden_size=8192,
            num_hidden_layers=80,
            num_attention_heads=64,
            intermediate_size=28672,
        ),
        "qwen2.5-7b": TransformerConfig(
            family="qwen2", hidden_size=3584, num_hidden_layers=28, num_attention_heads=28,
            num_key_value_heads=4, intermediate_size=18944, vocab_size=152064,
            max_position_embeddings=131072, rope_theta=1000000.0, attention_bias=True,
        ),
        "gpt2": TransformerConfig(
            family="gpt2", hidden_size=768, num_hidden_layers=12, num_attention_heads=12,
            intermediate_size=3072, vocab_size=50257, max_position_embeddings=1024,
            position_embedding="learned", attention_bias=True, attention_out_bias=True,
            norm="layernorm", norm_eps=1e-5, hidden_act="gelu_new", gated_mlp=False, mlp_bias=True,
            tie_word_embeddings=True,
        ),
    },
)  # fmt: skip
"""Models by name, without their weights."""


def with_attention(config: TransformerConfig, implementation: str | None) -> TransformerConfig:
    """The config with an implementation of attention; None: the fused kernel, if it has it."""
    fused = NORMALIZERS.pick(config.scoring).logit_transform is not None
    chosen = implementation or ("pallas" if fused else "xla")
    return dataclasses.replace(config, attention_implementation=chosen)


def read_config(model: str) -> TransformerConfig:
    """The config of a model: a row of ``MODELS``, or a folder with ``config.json``.

    Raises:
        InputError: it is neither.
    """
    if model in MODELS:
        return MODELS[model]
    if not Path(model).exists():
        raise InputError(f"{model}: no such folder, and no model of {MODELS.listed}")
    return load_config(model)
