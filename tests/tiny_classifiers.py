"""Tiny random classifiers, and inputs for them."""

import jax
import numpy as np

from attention.explanation.classifier import Inputs
from attention.transformer import Transformer, TransformerConfig

TOKENS, REAL = 19, 17
SHARED = {
    "hidden_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 4,
    "intermediate_size": 13,
    "vocab_size": 53,
    "num_labels": 2,
    "max_position_embeddings": 160,
    "initializer_range": 0.5,
}
ENCODER = {
    "family": "bert",
    "num_key_value_heads": None,
    "head_dim": None,
    "type_vocab_size": 2,
    "position_embedding": "learned",
    "norm": "layernorm",
    "norm_placement": "post",
    "embedding_norm": True,
    "final_norm": False,
    "causal": False,
    "gated_mlp": False,
    "mlp_bias": True,
    "attention_bias": True,
    "attention_out_bias": True,
    "hidden_act": "gelu",
}


def model(head="sequence", **changes):
    config = TransformerConfig(**{**SHARED, "head": head, **changes})
    params = Transformer(config).init(jax.random.key(3), np.zeros((1, 3), np.int32))["params"]
    return config, params


def inputs(read=None, seed=1):
    tokens = np.random.default_rng(seed).integers(3, 53, TOKENS).astype(np.int32)
    return Inputs(tokens, np.arange(TOKENS) < REAL, np.zeros(TOKENS, np.int32), read)
