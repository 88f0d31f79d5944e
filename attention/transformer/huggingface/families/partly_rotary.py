"""Families of which only a part of each head turns: Phi-3, StableLM, GPT-NeoX, Nemotron."""

from __future__ import annotations

import dataclasses
from typing import Any

from attention.files import GgufHeader
from attention.transformer.config import TransformerConfig
from attention.transformer.huggingface.families.definition import COMMON_FIELDS, Family, HfConfig
from attention.transformer.huggingface.families.gguf_layouts import Layout
from attention.transformer.huggingface.families.llama_like import LLAMA_FIELDS, LLAMA_TENSORS
from attention.transformer.huggingface.families.rope_settings import read_rope, write_rope
from attention.transformer.huggingface.families.tensors import (
    ATTENTION,
    Table,
    linear,
    norm,
    row,
)

_PARTLY = ("partial_rotary_factor",)
_LAYER = "layers.{i}"
_QKV = tuple(f"{ATTENTION}/{name}" for name in ("query", "key", "value"))


def _write_partly(config: TransformerConfig) -> dict[str, Any]:
    """The settings of positions; the share that turns is told even where all of a head does."""
    return write_rope(config) | {"partial_rotary_factor": config.partial_rotary_factor}


def _gguf_parallel(config: TransformerConfig) -> dict[str, Any]:
    return {"use_parallel_residual": config.parallel_residual is not None}


# Phi-3, Phi-3.5 and Phi-4 (mini): Llama with fused projections.

_PHI3_TENSORS = dataclasses.replace(
    LLAMA_TENSORS,
    rows=(
        row("embed_tokens.weight", "embed/embedding"),
        row(f"{_LAYER}.input_layernorm.weight", "layers/attention_norm/scale"),
        row(
            f"{_LAYER}.self_attn.qkv_proj.weight",
            tuple(f"{path}/kernel" for path in _QKV),
            "linear_parts",
        ),
        *linear(f"{_LAYER}.self_attn.o_proj", f"{ATTENTION}/out", "linear_out"),
        row(f"{_LAYER}.post_attention_layernorm.weight", "layers/mlp_norm/scale"),
        row(
            f"{_LAYER}.mlp.gate_up_proj.weight",
            ("layers/mlp/gate/kernel", "layers/mlp/up/kernel"),
            "linear_parts",
        ),
        *linear(f"{_LAYER}.mlp.down_proj", "layers/mlp/down"),
        row("norm.weight", "final_norm/scale"),
    ),
)


def _write_phi3(config: TransformerConfig) -> dict[str, Any]:
    written = _write_partly(config)
    if (scaling := config.rope_scaling) is not None:
        length = scaling.original_max_position_embeddings
        written["original_max_position_embeddings"] = length  # it is read before the settings
    return written


PHI3 = Family(
    "Phi3",
    {**LLAMA_FIELDS, "sliding_window": "sliding_window"},
    {},
    _PHI3_TENSORS,
    reads=("rope_parameters", "original_max_position_embeddings", *_PARTLY),
    read=lambda hf: read_rope(hf, _PARTLY),
    write=_write_phi3,
    gguf={
        "phi3": Layout(
            extra=lambda header: {
                "original_max_position_embeddings": header.about(
                    "rope.scaling.original_context_length", header.about("context_length")
                )
            }
        )
    },
)

# StableLM 3B and StableLM 2.

_QK_NORMS = (f"{ATTENTION}/query_norm", f"{ATTENTION}/key_norm")
_STABLELM_TENSORS = dataclasses.replace(
    LLAMA_TENSORS,
    rows=(
        *(each for each in LLAMA_TENSORS.rows if not each.paths[0].startswith(_QK_NORMS)),
        *norm(f"{_LAYER}.input_layernorm", "layers/norm"),  # of parallel halves
        row(f"{_LAYER}.self_attn.q_layernorm.norms.{{h}}.weight", f"{ATTENTION}/query_norm/scale"),
        row(f"{_LAYER}.self_attn.k_layernorm.norms.{{h}}.weight", f"{ATTENTION}/key_norm/scale"),
    ),
)


def _read_stablelm(hf: HfConfig) -> dict[str, Any]:
    return {
        **read_rope(hf, _PARTLY),
        "qk_norm": "each_head" if hf["qk_layernorm"] else None,
        "parallel_residual": "shared_norm" if hf["use_parallel_residual"] else None,
    }


def _write_stablelm(config: TransformerConfig) -> dict[str, Any]:
    return {
        **_write_partly(config),
        "num_key_value_heads": config.key_value_heads,
        "qk_layernorm": config.qk_norm is not None,
        "use_parallel_residual": config.parallel_residual is not None,
    }


def _gguf_stablelm(header: GgufHeader) -> dict[str, Any]:
    alone = "blk.0.ffn_norm.weight" not in header.tensors
    return {"use_parallel_residual": header.about("use_parallel_residual", alone)}


STABLELM = Family(
    "StableLm",
    {
        **COMMON_FIELDS,
        "num_key_value_heads": "num_key_value_heads",
        "layer_norm_eps": "norm_eps",
        "use_qkv_bias": "attention_bias",
    },
    {"norm": "layernorm"},
    _STABLELM_TENSORS,
    reads=("rope_parameters", "qk_layernorm", "use_parallel_residual", *_PARTLY),
    read=_read_stablelm,
    write=_write_stablelm,
    gguf={"stablelm": Layout(extra=_gguf_stablelm, metadata=_gguf_parallel)},
)

# GPT-NeoX, Pythia, RedPajama-INCITE.

_NEOX_TENSORS = Table(
    prefix="gpt_neox.",
    attention=f"{_LAYER}.attention",
    rows=(
        row("embed_in.weight", "embed/embedding"),
        *norm(f"{_LAYER}.input_layernorm", "layers/attention_norm"),
        *(
            row(
                f"{_LAYER}.attention.query_key_value.{stored}",
                tuple(f"{path}/{name}" for path in _QKV),
                "by_head",
            )
            for stored, name in (("weight", "kernel"), ("bias", "bias"))
        ),
        *linear(f"{_LAYER}.attention.dense", f"{ATTENTION}/out", "linear_out"),
        *norm(f"{_LAYER}.post_attention_layernorm", "layers/mlp_norm"),
        *linear(f"{_LAYER}.mlp.dense_h_to_4h", "layers/mlp/up"),
        *linear(f"{_LAYER}.mlp.dense_4h_to_h", "layers/mlp/down"),
        *norm("final_layer_norm", "final_norm"),
    ),
    heads={
        "causal_lm": (row("embed_out.weight", "lm_head/kernel"),),
        "sequence": (row("score.weight", "head/out/kernel", "linear"),),
        "token": linear("classifier", "head/out"),
    },
    ignored=(r"layers\.[0-9]+\.attention\.(bias|masked_bias|rotary_emb\.inv_freq)",),
    tied=(
        ("lm_head.weight", "embed_out.weight"),  # the name that newer programs give it
        ("lm_head.weight", "embed_in.weight"),
        ("embed_out.weight", "embed_in.weight"),
    ),
)


def _read_neox(hf: HfConfig) -> dict[str, Any]:
    return {
        **read_rope(hf, _PARTLY),
        "attention_out_bias": hf["attention_bias"],
        "parallel_residual": "separate_norms" if hf["use_parallel_residual"] else None,
    }


def _write_neox(config: TransformerConfig) -> dict[str, Any]:
    written = write_rope(config)
    return {
        "rotary_emb_base": written["rope_theta"],
        "rotary_pct": config.partial_rotary_factor,
        "rope_scaling": written["rope_scaling"],
        "use_parallel_residual": config.parallel_residual is not None,
    }


def _gguf_neox(header: GgufHeader) -> dict[str, Any]:
    head = header.about("embedding_length") // header.about("attention.head_count")
    return {
        "rotary_emb_base": header.about("rope.freq_base", 10000.0),
        "rotary_pct": header.about("rope.dimension_count", head) / head,
        "use_parallel_residual": header.about("use_parallel_residual", True),
    }


GPT_NEOX = Family(
    "GPTNeoX",
    {**COMMON_FIELDS, "layer_norm_eps": "norm_eps", "attention_bias": "attention_bias"},
    {"norm": "layernorm", "gated_mlp": False, "mlp_bias": True},
    _NEOX_TENSORS,
    reads=(
        "rope_parameters",
        "rotary_pct",
        "rotary_emb_base",
        "use_parallel_residual",
        *_PARTLY,
    ),
    read=_read_neox,
    write=_write_neox,
    gguf={"gptneox": Layout(parts_first=True, extra=_gguf_neox, metadata=_gguf_parallel)},
)

# Nemotron 3, 4 and Minitron: LayerNorms whose scales are stored less one, and no gate.

NEMOTRON = Family(
    "Nemotron",
    {
        **COMMON_FIELDS,
        "num_key_value_heads": "num_key_value_heads",
        "head_dim": "head_dim",
        "norm_eps": "norm_eps",
        "attention_bias": "attention_bias",
        "mlp_bias": "mlp_bias",
    },
    {"norm": "layernorm", "norm_less_one": True, "gated_mlp": False},
    LLAMA_TENSORS,
    reads=("rope_parameters", *_PARTLY),
    read=lambda hf: {**read_rope(hf, _PARTLY), "attention_out_bias": hf["attention_bias"]},
    write=_write_partly,
    gguf={"nemotron": Layout(shifted_norms=True)},
)
