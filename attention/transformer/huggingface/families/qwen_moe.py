"""Qwen3 MoE: Qwen3 with a mixture of experts in every layer."""

from __future__ import annotations

from typing import Any

from attention.files import GgufHeader
from attention.transformer.config import TransformerConfig
from attention.transformer.huggingface.families.definition import Family, HfConfig
from attention.transformer.huggingface.families.gguf_layouts import Layout
from attention.transformer.huggingface.families.llama_like import (
    LLAMA_FIELDS,
    LLAMA_TENSORS,
    read_llama,
    write_llama,
)


def _read(hf: HfConfig) -> dict[str, Any]:
    return {**read_llama(hf), "num_experts": hf.get("num_experts", hf.get("num_local_experts"))}


def _write(config: TransformerConfig) -> dict[str, Any]:
    return {
        **write_llama(config),
        "num_experts": config.num_experts,
        "use_sliding_window": config.sliding_window is not None,
        "intermediate_size": config.intermediate_size,  # of layers without experts: there are none
    }


_WORDS = {
    "expert_count": "num_experts",
    "expert_used_count": "num_experts_per_tok",
    "expert_feed_forward_length": "moe_intermediate_size",
}
"""Metadata of GGUF, and attributes."""


def _gguf(header: GgufHeader) -> dict[str, Any]:
    """The weights of the experts sum to one in this architecture, which no metadata say."""
    found = {name: header.about(key) for key, name in _WORDS.items()}
    return {k: v for k, v in found.items() if v is not None} | {"norm_topk_prob": True}


def _gguf_words(config: TransformerConfig) -> dict[str, Any]:
    return {
        "expert_count": config.num_experts,
        "expert_used_count": config.num_experts_per_tok,
        "expert_feed_forward_length": config.intermediate_size,
    }


QWEN3_MOE = Family(
    "Qwen3Moe",
    {
        **{k: v for k, v in LLAMA_FIELDS.items() if k != "intermediate_size"},
        "moe_intermediate_size": "intermediate_size",
        "num_experts_per_tok": "num_experts_per_tok",
        "norm_topk_prob": "norm_topk_prob",
        "sliding_window": "sliding_window",
    },
    {"qk_norm": "head"},
    LLAMA_TENSORS,
    reads=(
        "rope_parameters",
        "attention_bias",
        "intermediate_size",
        "num_experts",
        "num_local_experts",
        "use_sliding_window",
    ),
    read=_read,
    write=_write,
    expected={"decoder_sparse_step": 1, "mlp_only_layers": []},
    gguf={"qwen3moe": Layout(extra=_gguf, metadata=_gguf_words)},
)
