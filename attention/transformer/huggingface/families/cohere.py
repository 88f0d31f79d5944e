"""Cohere: Command R and Aya 23."""

from __future__ import annotations

from typing import Any

from attention.files import GgufHeader
from attention.transformer.config import TransformerConfig
from attention.transformer.huggingface.families.definition import COMMON_FIELDS, Family, HfConfig
from attention.transformer.huggingface.families.gguf_layouts import Layout
from attention.transformer.huggingface.families.llama_like import (
    llama_tensors,
    read_llama,
    write_llama,
)


def _read(hf: HfConfig) -> dict[str, Any]:
    return {
        **read_llama(hf),
        "logits_scaling": 1 / hf["logit_scale"],
        "qk_norm": "each_head" if hf["use_qk_norm"] else None,
    }


def _write(config: TransformerConfig) -> dict[str, Any]:
    scale = 1 / (config.logits_scaling or 1)
    return {
        **write_llama(config),
        "logit_scale": float(f"{scale:.12g}"),  # what was read, whatever its inverse lost
        "use_qk_norm": config.qk_norm is not None,
    }


def _gguf_extra(header: GgufHeader) -> dict[str, Any]:
    return {
        "logit_scale": header.about("logit_scale"),
        "use_qk_norm": "blk.0.attn_q_norm.weight" in header.tensors,
    }


COHERE = Family(
    "Cohere",
    {
        **COMMON_FIELDS,
        "num_key_value_heads": "num_key_value_heads",
        "head_dim": "head_dim",
        "layer_norm_eps": "norm_eps",
    },
    {"norm": "layernorm", "norm_bias": False, "parallel_residual": "shared_norm"},
    llama_tensors({"norm": "input_layernorm"}, side_by_side=True),
    reads=("rope_parameters", "attention_bias", "logit_scale", "use_qk_norm"),
    read=_read,
    write=_write,
    gguf={
        "command-r": Layout(
            extra=_gguf_extra,
            metadata=lambda config: {"logit_scale": _write(config)["logit_scale"]},
        )
    },
)
