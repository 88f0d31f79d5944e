"""ModernBERT: an encoder with rotary positions, layers of local attention and a gated MLP."""

from __future__ import annotations

from typing import Any

from attention.transformer.config import FULL_ATTENTION, SLIDING_ATTENTION, TransformerConfig
from attention.transformer.huggingface.families.definition import Family, HfConfig
from attention.transformer.huggingface.families.rope_settings import read_rope, rope_parameters
from attention.transformer.huggingface.families.tensors import ATTENTION, Table, linear, norm, row

_LAYER = "layers.{i}"
_QKV = tuple(f"{ATTENTION}/{name}" for name in ("query", "key", "value"))
_GLU = ("layers/mlp/gate", "layers/mlp/up")
_LABELS = (
    *linear("head.dense", "head/dense"),
    *norm("head.norm", "head/norm"),
    *linear("classifier", "head/out"),
)
_POOLING = {"cls": "first", "mean": "mean"}


def _read(hf: HfConfig) -> dict[str, Any]:
    types = tuple(hf["layer_types"])
    slides = SLIDING_ATTENTION in types
    return {
        **read_rope(hf),
        "attention_out_bias": hf["attention_bias"],
        # half of the window lies on either side, and the token itself between
        "sliding_window": hf["local_attention"] // 2 + 1 if slides else None,
        "layer_types": types if slides else None,
        "head_act": hf["classifier_activation"],
        "pooling": _POOLING[hf["classifier_pooling"]],
    }


def _write(config: TransformerConfig) -> dict[str, Any]:
    types = [FULL_ATTENTION if w is None else SLIDING_ATTENTION for w in config.windows]
    ropes = {FULL_ATTENTION: config.rope, SLIDING_ATTENTION: config.sliding_rope or config.rope}
    return {
        "layer_types": types,
        "local_attention": 2 * ((config.sliding_window or 65) - 1),
        "rope_parameters": {name: rope_parameters(rope) for name, rope in ropes.items()},
        "classifier_activation": config.head_act or config.hidden_act,
        "classifier_pooling": {ours: theirs for theirs, ours in _POOLING.items()}[config.pooling],
    }


MODERNBERT = Family(
    "ModernBert",
    {
        "vocab_size": "vocab_size",
        "hidden_size": "hidden_size",
        "num_hidden_layers": "num_hidden_layers",
        "num_attention_heads": "num_attention_heads",
        "intermediate_size": "intermediate_size",
        "max_position_embeddings": "max_position_embeddings",
        "hidden_activation": "hidden_act",
        "initializer_range": "initializer_range",
        "norm_eps": "norm_eps",
        "norm_bias": "norm_bias",
        "attention_bias": "attention_bias",
        "mlp_bias": "mlp_bias",
        "classifier_bias": "head_bias",
        "tie_word_embeddings": "tie_word_embeddings",
    },
    {"norm": "layernorm", "causal": False, "embedding_norm": True, "first_norm": False},
    Table(
        prefix="model.",
        attention=f"{_LAYER}.attn",
        rows=(
            row("embeddings.tok_embeddings.weight", "embed/embedding"),
            *norm("embeddings.norm", "embedding_norm"),
            *norm(f"{_LAYER}.attn_norm", "layers/attention_norm"),
            row(f"{_LAYER}.attn.Wqkv.weight", tuple(f"{p}/kernel" for p in _QKV), "linear_parts"),
            row(f"{_LAYER}.attn.Wqkv.bias", tuple(f"{p}/bias" for p in _QKV), "flat_qkv"),
            *linear(f"{_LAYER}.attn.Wo", f"{ATTENTION}/out", "linear_out"),
            *norm(f"{_LAYER}.mlp_norm", "layers/mlp_norm"),
            row(f"{_LAYER}.mlp.Wi.weight", tuple(f"{p}/kernel" for p in _GLU), "linear_parts"),
            row(f"{_LAYER}.mlp.Wi.bias", tuple(f"{p}/bias" for p in _GLU), "flat_qkv"),
            *linear(f"{_LAYER}.mlp.Wo", "layers/mlp/down"),
            *norm("final_norm", "final_norm"),
        ),
        heads={
            "masked_lm": (
                *linear("head.dense", "head/dense"),
                *norm("head.norm", "head/norm"),
                row("decoder.bias", "head/bias"),
                row("decoder.weight", "lm_head/kernel"),
            ),
            "sequence": _LABELS,
            "token": _LABELS,
        },
        tied=(("decoder.weight", "embeddings.tok_embeddings.weight"),),
    ),
    reads=(
        "rope_parameters",
        "layer_types",
        "local_attention",
        "classifier_activation",
        "classifier_pooling",
        "global_attn_every_n_layers",
        "global_rope_theta",
        "local_rope_theta",
    ),
    read=_read,
    write=_write,
    expected={"decoder_bias": True, "position_embedding_type": "absolute"},
    bare_lm="ForMaskedLM",
    fixed_for={"sequence": {"head_norm": True}, "token": {"head_norm": True}},
)
