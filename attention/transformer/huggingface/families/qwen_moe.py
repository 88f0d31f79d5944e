"""Qwen3 MoE: Qwen3 with a mixture of experts in every layer."""

from __future__ import annotations

from typing import Any

from attention.transformer.config import TransformerConfig
from attention.transformer.huggingface.families.definition import Family, HfConfig
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
)
