"""Llama and its likes: Qwen2, Qwen3, Mistral, Ministral 3, SmolLM3, Granite, OLMo 2, StarCoder2."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from attention.transformer.config import SLIDING_ATTENTION, TransformerConfig
from attention.transformer.huggingface.families.definition import COMMON_FIELDS, Family, HfConfig
from attention.transformer.huggingface.families.gguf_layouts import Layout
from attention.transformer.huggingface.families.rope_settings import (
    read_rope,
    rope_parameters,
    write_rope,
)
from attention.transformer.huggingface.families.tensors import (
    ATTENTION,
    Row,
    Table,
    linear,
    norm,
    row,
)
from attention.transformer.stacking import belongs

LLAMA_FIELDS = {
    **COMMON_FIELDS,
    "num_key_value_heads": "num_key_value_heads",
    "head_dim": "head_dim",
    "rms_norm_eps": "norm_eps",
}

_LAYER = "layers.{i}"
_LLAMA_NORMS = {"attention_norm": "input_layernorm", "mlp_norm": "post_attention_layernorm"}


def llama_tensors(
    norms: Mapping[str, str] = MappingProxyType(_LLAMA_NORMS),
    *,
    up: str = "up_proj",
    down: str = "down_proj",
    side_by_side: bool = False,
) -> Table:
    """The tensors of a model that names its parts as Llama does.

    Args:
        norms: parameter of a layer → name of that norm.
        up: name of the MLP's first projection.
        down: name of the MLP's last projection.
        side_by_side: rotary pairs of queries and keys are neighbours, not halves of a head apart.
    """
    into, each = ("linear_pairs", "pairs") if side_by_side else ("linear", "copy")
    before: list[Row] = []
    between: list[Row] = []
    for part, name in norms.items():
        rows = before if belongs(part, (True, False)) else between
        rows += norm(f"{_LAYER}.{name}", f"layers/{part}")
    return Table(
        prefix="model.",
        attention=f"{_LAYER}.self_attn",
        rows=(
            row("embed_tokens.weight", "embed/embedding"),
            *before,
            *linear(f"{_LAYER}.self_attn.q_proj", f"{ATTENTION}/query", into),
            *linear(f"{_LAYER}.self_attn.k_proj", f"{ATTENTION}/key", into),
            *linear(f"{_LAYER}.self_attn.v_proj", f"{ATTENTION}/value"),
            *linear(f"{_LAYER}.self_attn.o_proj", f"{ATTENTION}/out", "linear_out"),
            row(f"{_LAYER}.self_attn.q_norm.weight", f"{ATTENTION}/query_norm/scale", each),
            row(f"{_LAYER}.self_attn.k_norm.weight", f"{ATTENTION}/key_norm/scale", each),
            *between,
            *linear(f"{_LAYER}.mlp.gate_proj", "layers/mlp/gate"),
            *linear(f"{_LAYER}.mlp.{up}", "layers/mlp/up"),
            *linear(f"{_LAYER}.mlp.{down}", "layers/mlp/down"),
            row(f"{_LAYER}.mlp.gate.weight", "layers/mlp/router/kernel", "linear"),
            *(
                row(f"{_LAYER}.mlp.experts.{{h}}.{part}_proj.weight", path, "linear")
                for part in ("gate", "up", "down")
                for path in (f"layers/mlp/expert_{part}/kernel",)
            ),
            *norm("norm", "final_norm"),
        ),
        heads={
            "causal_lm": (row("lm_head.weight", "lm_head/kernel"),),
            "sequence": linear("score", "head/out"),
            "token": linear("score", "head/out"),
        },
        ignored=(r"layers\.[0-9]+\.self_attn\.rotary_emb\.inv_freq", r"rotary_emb\.inv_freq"),
        tied=(("lm_head.weight", "embed_tokens.weight"),),
    )


LLAMA_TENSORS = llama_tensors()


def read_llama(hf: HfConfig) -> dict[str, Any]:
    """Fields of rotary positions, and ``attention_bias``, which is of the output too."""
    bias = hf.get("attention_bias", False)
    return {**read_rope(hf), "attention_bias": bias, "attention_out_bias": bias}


def write_llama(config: TransformerConfig) -> dict[str, Any]:
    """The attributes that ``read_llama`` reads."""
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


_GGUF_LLAMA = {"llama": Layout(paired=True)}
_QWEN_READS = ("rope_parameters", "layer_types", "sliding_window", "use_sliding_window")

LLAMA = Family(
    "Llama",
    {**LLAMA_FIELDS, "mlp_bias": "mlp_bias"},
    {},
    LLAMA_TENSORS,
    reads=("rope_parameters", "attention_bias"),
    read=read_llama,
    write=write_llama,
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
GRANITE = Family(
    "Granite",
    {
        **LLAMA_FIELDS,
        "mlp_bias": "mlp_bias",
        "embedding_multiplier": "embedding_multiplier",
        "attention_multiplier": "attention_multiplier",
        "residual_multiplier": "residual_multiplier",
        "logits_scaling": "logits_scaling",
    },
    {},
    LLAMA_TENSORS,
    reads=("rope_parameters", "attention_bias"),
    read=read_llama,
    write=write_llama,
    gguf={"granite": Layout(paired=True)},
)
OLMO2 = Family(
    "Olmo2",
    LLAMA_FIELDS,
    {"norm_placement": "output", "qk_norm": "projection"},
    llama_tensors(
        {"attention_norm": "post_attention_layernorm", "mlp_norm": "post_feedforward_layernorm"}
    ),
    reads=("rope_parameters", "attention_bias"),
    read=read_llama,
    write=write_llama,
    gguf={"olmo2": Layout()},
)


def _read_starcoder2(hf: HfConfig) -> dict[str, Any]:
    biases = ("attention_bias", "attention_out_bias", "mlp_bias")
    return {**read_rope(hf), **dict.fromkeys(biases, hf["use_bias"])}


STARCODER2 = Family(
    "Starcoder2",
    {
        **{k: v for k, v in LLAMA_FIELDS.items() if k != "rms_norm_eps"},
        "norm_epsilon": "norm_eps",
        "sliding_window": "sliding_window",
    },
    {"norm": "layernorm", "gated_mlp": False},
    llama_tensors(up="c_fc", down="c_proj"),
    reads=("rope_parameters", "use_bias"),
    read=_read_starcoder2,
    write=lambda config: {**write_rope(config), "use_bias": config.mlp_bias},
    gguf={
        "starcoder2": Layout(
            extra=lambda header: {"use_bias": "blk.0.attn_q.bias" in header.tensors},
        )
    },
)


def _write_ministral3(config: TransformerConfig) -> dict[str, Any]:
    settings = rope_parameters(config.rope)  # transformers computes with the last two of any type
    settings.setdefault("llama_4_scaling_beta", 0.0)
    settings.setdefault("original_max_position_embeddings", config.max_position_embeddings)
    return {"rope_parameters": settings}


MINISTRAL3 = Family(
    "Ministral3",
    {**LLAMA_FIELDS, "sliding_window": "sliding_window"},
    {},
    LLAMA_TENSORS,
    reads=("rope_parameters",),
    read=lambda hf: read_rope(hf, ("llama_4_scaling_beta",)),
    write=_write_ministral3,
    gguf={"mistral3": Layout(paired=True)},
)


def _read_smollm3(hf: HfConfig) -> dict[str, Any]:
    turning = tuple(hf["no_rope_layers"][: hf["num_hidden_layers"]])  # 1: the layer has positions
    return {
        **_read_qwen(hf),
        "attention_out_bias": hf["attention_bias"],
        "no_rope_layers": None if all(turning) else turning,
    }


def _write_smollm3(config: TransformerConfig) -> dict[str, Any]:
    written = _write_qwen(config)
    del written["max_window_layers"]
    every = (1,) * config.num_hidden_layers
    return {**written, "no_rope_layers": list(config.no_rope_layers or every)}


SMOLLM3 = Family(
    "SmolLM3",
    {**LLAMA_FIELDS, "attention_bias": "attention_bias", "mlp_bias": "mlp_bias"},
    {},
    LLAMA_TENSORS,
    reads=(*_QWEN_READS, "no_rope_layers", "no_rope_layer_interval"),
    read=_read_smollm3,
    write=_write_smollm3,
    gguf={"smollm3": Layout(paired=True)},
)
