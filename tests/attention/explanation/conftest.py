"""Tiny random classifiers, texts for them, and one run of the whole study."""

import functools
import json
from typing import NamedTuple

import numpy as np
import pytest

from attention.commands.explain import explain
from attention.explanation import Classifier, Inputs
from attention.transformer import TransformerConfig, save_pretrained

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
    "head": "sequence",
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
KINDS = {
    "encoder": ENCODER,
    "decoder": {},
    "token": {"head": "token"},
    "sigmoid": {"normalizer": "sigmoid"},
    "half": {
        "num_hidden_layers": 3,
        "layer_halves": ("both", "mlp", "attention"),
        "sliding_window": 5,
    },
}


@pytest.fixture(scope="session")
def tiny_classifier(init_params):
    """Config and parameters of a classifier of a kind, with other fields changed."""

    def make(kind, **changes):
        config = TransformerConfig(**{**SHARED, **KINDS[kind], **changes})
        params = init_params(config, 3)
        return config, params

    return make


@pytest.fixture(scope="session")
def classifier(tiny_classifier):
    """A classifier of a kind, in float64; its programs are compiled once."""
    return functools.cache(lambda kind: Classifier(*tiny_classifier(kind), "float64"))


@pytest.fixture(scope="session")
def text():
    """A random text of 17 tokens and two of padding, by seed."""

    def make(read=None, seed=1):
        tokens = np.random.default_rng(seed).integers(3, 53, TOKENS).astype(np.int32)
        return Inputs(tokens, np.arange(TOKENS) < REAL, np.zeros(TOKENS, np.int32), read)

    return make


class Study(NamedTuple):
    """A run of `attn explain`: its keywords, where it is, and what it returned."""

    arguments: dict
    out: object
    summary: dict


@pytest.fixture(scope="session")
def study(letter_tokenizer, tmp_path_factory, tiny_classifier):
    """Two short texts explained, by a decoder that reads letters."""
    root = tmp_path_factory.mktemp("explain")
    save_pretrained(root / "model", *tiny_classifier("decoder"))
    letter_tokenizer().save_pretrained(root / "model")
    lines = [{"text": "a b c d e f g ? h", "label": "x"}, {"text": "b c a", "label": "y"}]
    (root / "data.jsonl").write_text("\n".join(map(json.dumps, lines)))
    arguments = {
        "model": root / "model",
        "task": root / "data.jsonl",
        "limit": 2,
        "show": 1,
        "adversary_steps": 2,
        "quiet": True,
    }
    return Study(arguments, root / "run", explain(**arguments, out=root / "run"))
