"""Gemma 1, 2 and 3 (text)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attention.files import GgufHeader
from attention.transformer.config import FULL_ATTENTION, SLIDING_ATTENTION, TransformerConfig
from attention.transformer.huggingface.families.definition import Family, HfConfig
from attention.transformer.huggingface.families.gguf_layouts import Layout
from attention.transformer.huggingface.families.llama_like import (
    LLAMA_FIELDS,
    LLAMA_TENSORS,
    llama_tensors,
    read_llama,
    write_llama,
)
from attention.transformer.huggingface.families.rope_settings import rope_parameters

_SANDWICH = llama_tensors(
    {
        "attention_norm": "input_layernorm",
        "attention_output_norm": "post_attention_layernorm",
        "mlp_norm": "pre_feedforward_layernorm",
        "mlp_output_norm": "post_feedforward_layernorm",
    }
)
_GEMMA2_FIELDS = {
    **{k: v for k, v in LLAMA_FIELDS.items() if k != "hidden_act"},
    "hidden_activation": "hidden_act",
    "final_logit_softcapping": "final_logit_softcapping",
}
_GEMMA2_READS = (
    "rope_parameters",
    "attention_bias",
    "query_pre_attn_scalar",
    "layer_types",
    "sliding_window",
)


def _read_gemma(hf: HfConfig) -> dict[str, Any]:
    return {**read_llama(hf), "embedding_multiplier": hf["hidden_size"] ** 0.5}


def _read_gemma2(hf: HfConfig) -> dict[str, Any]:
    types = tuple(hf["layer_types"])
    slides = SLIDING_ATTENTION in types
    return {
        **_read_gemma(hf),
        "attention_multiplier": hf["query_pre_attn_scalar"] ** -0.5,
        "sliding_window": hf["sliding_window"] if slides else None,
        "layer_types": types if slides else None,
    }


def _write_gemma2(config: TransformerConfig) -> dict[str, Any]:
    scale = config.attention_multiplier or config.head_size**-0.5
    types = [FULL_ATTENTION if w is None else SLIDING_ATTENTION for w in config.windows]
    return {
        **write_llama(config),
        "query_pre_attn_scalar": round(scale**-2),
        "layer_types": types,
        "sliding_window": config.sliding_window,
    }


def _gguf_scale(largest: int) -> Callable[[GgufHeader], dict[str, Any]]:
    """What GGUF leaves out: the scale of scores, which the largest model alone has otherwise.

    Args:
        largest: layers of that model.
    """

    def extra(header: GgufHeader) -> dict[str, Any]:
        each = header.about("embedding_length") // header.about("attention.head_count")
        usual = header.about("attention.key_length", each)
        scale = each if header.about("block_count") == largest else usual
        window = header.about("attention.sliding_window")
        found = {"query_pre_attn_scalar": scale, "sliding_window": window}
        return {name: value for name, value in found.items() if value is not None}

    return extra


def _gguf_window(config: TransformerConfig) -> dict[str, Any]:
    window = config.sliding_window
    return {} if window is None else {"attention.sliding_window": window}


GEMMA = Family(
    "Gemma",
    LLAMA_FIELDS,
    {"norm_less_one": True},
    LLAMA_TENSORS,
    reads=("rope_parameters", "attention_bias"),
    read=_read_gemma,
    write=write_llama,
    gguf={"gemma": Layout(shifted_norms=True)},
)
GEMMA2 = Family(
    "Gemma2",
    {**_GEMMA2_FIELDS, "attn_logit_softcapping": "attn_logit_softcapping"},
    {"norm_less_one": True, "norm_placement": "sandwich"},
    _SANDWICH,
    reads=_GEMMA2_READS,
    read=_read_gemma2,
    write=_write_gemma2,
    gguf={
        "gemma2": Layout(shifted_norms=True, extra=_gguf_scale(46), metadata=_gguf_window),
    },
)


def _gguf_gemma3(header: GgufHeader) -> dict[str, Any]:
    local = header.about("rope.freq_base_swa", 10000.0)
    return {**_gguf_scale(62)(header), "rope_local_base_freq": local}


def _write_gemma3(config: TransformerConfig) -> dict[str, Any]:
    local = config.sliding_rope or config.rope
    ropes = {FULL_ATTENTION: config.rope, SLIDING_ATTENTION: local}
    written = {
        name: value for name, value in _write_gemma2(config).items() if not name.startswith("rope_")
    }
    parameters = {name: rope_parameters(rope) for name, rope in ropes.items()}
    return {**written, "rope_parameters": parameters}


GEMMA3 = Family(
    "Gemma3",
    _GEMMA2_FIELDS,
    {"norm_less_one": True, "norm_placement": "sandwich", "qk_norm": "head"},
    _SANDWICH,
    reads=(
        *_GEMMA2_READS,
        "rope_local_base_freq",
        "sliding_window_pattern",
        "_sliding_window_pattern",
    ),
    read=_read_gemma2,
    write=_write_gemma3,
    gguf={"gemma3": Layout(shifted_norms=True, extra=_gguf_gemma3, metadata=_gguf_window)},
)
