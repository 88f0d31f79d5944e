"""Llama and its likes: Qwen2, Qwen3, Mistral."""

from __future__ import annotations

from typing import Any

from attention.files import GgufHeader
from attention.transformer.config import SLIDING_ATTENTION, TransformerConfig
from attention.transformer.huggingface.families.definition import COMMON_FIELDS, Family, HfConfig
from attention.transformer.huggingface.families.gguf_layouts import Layout
from attention.transformer.huggingface.families.rope_settings import read_rope, write_rope
from attention.transformer.huggingface.families.tensors import ATTENTION, Table, linear, row

LLAMA_FIELDS = {
    **COMMON_FIELDS,
    "num_key_value_heads": "num_key_value_heads",
    "head_dim": "head_dim",
    "rms_norm_eps": "norm_eps",
}

_LAYER = "layers.{i}"
LLAMA_TENSORS = Table(
    prefix="model.",
    attention=f"{_LAYER}.self_attn",
    rows=(
        row("embed_tokens.weight", "embed/embedding"),
        row(f"{_LAYER}.input_layernorm.weight", "layers/attention_norm/scale"),
        *linear(f"{_LAYER}.self_attn.q_proj", f"{ATTENTION}/query"),
        *linear(f"{_LAYER}.self_attn.k_proj", f"{ATTENTION}/key"),
        *linear(f"{_LAYER}.self_attn.v_proj", f"{ATTENTION}/value"),
        *linear(f"{_LAYER}.self_attn.o_proj", f"{ATTENTION}/out", "linear_out"),
        row(f"{_LAYER}.self_attn.q_norm.weight", f"{ATTENTION}/query_norm/scale"),
        row(f"{_LAYER}.self_attn.k_norm.weight", f"{ATTENTION}/key_norm/scale"),
        row(f"{_LAYER}.post_attention_layernorm.weight", "layers/mlp_norm/scale"),
        *linear(f"{_LAYER}.mlp.gate_proj", "layers/mlp/gate"),
        *linear(f"{_LAYER}.mlp.up_proj", "layers/mlp/up"),
        *linear(f"{_LAYER}.mlp.down_proj", "layers/mlp/down"),
        row("norm.weight", "final_norm/scale"),
    ),
    heads={
        "causal_lm": (row("lm_head.weight", "lm_head/kernel"),),
        "sequence": linear("score", "head/out"),
        "token": linear("score", "head/out"),
    },
    ignored=(r"layers\.[0-9]+\.self_attn\.rotary_emb\.inv_freq", r"rotary_emb\.inv_freq"),
    tied=(("lm_head.weight", "embed_tokens.weight"),),
)


def _read_llama(hf: HfConfig) -> dict[str, Any]:
    return {**read_rope(hf), "attention_out_bias": hf.get("attention_bias", False)}


def _write_llama(config: TransformerConfig) -> dict[str, Any]:
    return {**write_rope(config), "attention_bias": config.attention_bias}


def _read_qwen(hf: HfConfig) -> dict[str, Any]:
    types = tuple(hf.get("layer_types") or ())
    slides = SLIDING_ATTENTION in types
    return {
        **read_rope(hf),
        "sliding_window": hf["sliding_window"] if slides else None,
        "layer_types": types if slides else None,
    }


def _write_qwen(config: TransformerConfig) -> dict[str, Any]:
    types = config.layer_types or ()
    first = types.index(SLIDING_ATTENTION) if SLIDING_ATTENTION in types else None
    slides = first is not None
    return {
        **write_rope(config),
        "use_sliding_window": slides,
        "sliding_window": config.sliding_window if slides else None,
        "max_window_layers": first if slides else config.num_hidden_layers,
        "layer_types": list(types) or ["full_attention"] * config.num_hidden_layers,
    }


def _gguf_biases(header: GgufHeader) -> dict[str, Any]:
    return {"attention_bias": "blk.0.attn_q.bias" in header.tensors}


_GGUF_LLAMA = {"llama": Layout(paired=True, extra=_gguf_biases)}
_QWEN_READS = ("rope_parameters", "layer_types", "sliding_window", "use_sliding_window")

LLAMA = Family(
    "Llama",
    {**LLAMA_FIELDS, "attention_bias": "attention_bias", "mlp_bias": "mlp_bias"},
    {},
    LLAMA_TENSORS,
    reads=("rope_parameters",),
    read=_read_llama,
    write=_write_llama,
    gguf=_GGUF_LLAMA,
)
QWEN2 = Family(
    "Qwen2",
    LLAMA_FIELDS,
    {"attention_bias": True},
    LLAMA_TENSORS,
    reads=_QWEN_READS,
    read=_read_qwen,
    write=_write_qwen,
    expected={"use_mrope": False},  # Qwen2.5-7B says so
    gguf={"qwen2": Layout()},
)
QWEN3 = Family(
    "Qwen3",
    {**LLAMA_FIELDS, "attention_bias": "attention_bias"},
    {"qk_norm": "head"},
    LLAMA_TENSORS,
    reads=_QWEN_READS,
    read=lambda hf: {**_read_qwen(hf), "attention_out_bias": hf["attention_bias"]},
    write=_write_qwen,
    gguf={"qwen3": Layout()},
)
MISTRAL = Family(
    "Mistral",
    {**LLAMA_FIELDS, "sliding_window": "sliding_window"},
    {},
    LLAMA_TENSORS,
    reads=("rope_parameters",),
    read=read_rope,
    write=write_rope,
    gguf=_GGUF_LLAMA,  # which has no window
)
