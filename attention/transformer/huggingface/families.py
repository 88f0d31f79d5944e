"""What each family of Hugging Face models is: a row of a table."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from attention.errors import InputError
from attention.transformer.config import SLIDING_ATTENTION, RopeScaling, TransformerConfig

HfConfig = Mapping[str, Any]

_COMMON = {
    name: name
    for name in (
        "vocab_size",
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
        "intermediate_size",
        "max_position_embeddings",
        "hidden_act",
        "initializer_range",
        "tie_word_embeddings",
    )
}
_LLAMA = {
    **_COMMON,
    "num_key_value_heads": "num_key_value_heads",
    "head_dim": "head_dim",
    "rms_norm_eps": "norm_eps",
}
_GPT2 = {
    "vocab_size": "vocab_size",
    "n_embd": "hidden_size",
    "n_layer": "num_hidden_layers",
    "n_head": "num_attention_heads",
    "n_inner": "intermediate_size",
    "n_positions": "max_position_embeddings",
    "activation_function": "hidden_act",
    "layer_norm_epsilon": "norm_eps",
    "initializer_range": "initializer_range",
    "tie_word_embeddings": "tie_word_embeddings",
}
_BERT = {**_COMMON, "type_vocab_size": "type_vocab_size", "layer_norm_eps": "norm_eps"}

_LAYER_NORMED = {
    "position_embedding": "learned",
    "norm": "layernorm",
    "gated_mlp": False,
    "attention_bias": True,
    "attention_out_bias": True,
    "mlp_bias": True,
}
_ENCODER = {
    **_LAYER_NORMED,
    "norm_placement": "post",
    "embedding_norm": True,
    "final_norm": False,
    "causal": False,
}


@dataclasses.dataclass(frozen=True)
class Family:
    """How one ``model_type`` of Hugging Face describes its models.

    ``fields`` are attributes that mean the same under both names, ``fixed`` what every model of the
    family has, ``expected`` attributes accepted at one value only.  ``read(hf)`` gives further
    fields and ``write(config)`` the attributes they came from; ``reads`` names those attributes.
    """

    class_prefix: str
    fields: Mapping[str, str]
    fixed: Mapping[str, Any]
    reads: tuple[str, ...] = ()
    read: Callable[[HfConfig], dict[str, Any]] = lambda hf: {}
    write: Callable[[TransformerConfig], dict[str, Any]] = lambda config: {}
    expected: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    bare_lm: str = "ForCausalLM"  # what its plain language model's class is called


def _read_rope(hf: HfConfig) -> dict[str, Any]:
    rope = dict(hf.get("rope_parameters") or {})
    theta = rope.pop("rope_theta", None)
    kind = rope.pop("rope_type", rope.pop("type", "default"))
    rope.pop("type", None)
    names = {field.name for field in dataclasses.fields(RopeScaling)} - {"rope_type"}
    if kind not in ("default", "linear", "llama3") or not isinstance(theta, int | float):
        raise InputError(f"rope_parameters: rope_type {kind!r} with theta {theta!r} is not handled")
    wanted = {"default": set(), "linear": {"factor"}, "llama3": names}[kind]
    if set(rope) != wanted:
        wrong = ", ".join(sorted(set(rope) ^ wanted))
        raise InputError(f"rope_parameters: {wrong} missing or not known for rope_type {kind!r}")
    scaling = None if kind == "default" else RopeScaling(rope_type=kind, **rope)
    return {"rope_theta": float(theta), "rope_scaling": scaling}


def _write_rope(config: TransformerConfig) -> dict[str, Any]:
    # The layout of transformers 4, which transformers 5 and other programs read too.
    if config.rope_scaling is None:
        return {"rope_theta": config.rope_theta, "rope_scaling": None}
    scaling = dataclasses.asdict(config.rope_scaling)
    if config.rope_scaling.rope_type == "linear":
        scaling = {"rope_type": "linear", "factor": config.rope_scaling.factor}
    return {"rope_theta": config.rope_theta, "rope_scaling": scaling}


def _read_llama(hf: HfConfig) -> dict[str, Any]:
    return {**_read_rope(hf), "attention_out_bias": hf.get("attention_bias", False)}


def _write_llama(config: TransformerConfig) -> dict[str, Any]:
    return {**_write_rope(config), "attention_bias": config.attention_bias}


def _read_qwen(hf: HfConfig) -> dict[str, Any]:
    types = tuple(hf.get("layer_types") or ())
    slides = SLIDING_ATTENTION in types
    return {
        **_read_rope(hf),
        "sliding_window": hf["sliding_window"] if slides else None,
        "layer_types": types if slides else None,
    }


def _write_qwen(config: TransformerConfig) -> dict[str, Any]:
    types = config.layer_types or ()
    first = types.index(SLIDING_ATTENTION) if SLIDING_ATTENTION in types else None
    slides = first is not None
    return {
        **_write_rope(config),
        "use_sliding_window": slides,
        "sliding_window": config.sliding_window if slides else None,
        "max_window_layers": first if slides else config.num_hidden_layers,
        "layer_types": list(types) or ["full_attention"] * config.num_hidden_layers,
    }


_QWEN_READS = ("rope_parameters", "layer_types", "sliding_window", "use_sliding_window")

FAMILIES: dict[str, Family] = {
    "llama": Family(
        "Llama",
        {**_LLAMA, "attention_bias": "attention_bias", "mlp_bias": "mlp_bias"},
        {},
        reads=("rope_parameters",),
        read=_read_llama,
        write=_write_llama,
    ),
    "qwen2": Family(
        "Qwen2",
        _LLAMA,
        {"attention_bias": True},
        reads=_QWEN_READS,
        read=_read_qwen,
        write=_write_qwen,
        expected={"use_mrope": False},  # Qwen2.5-7B says so
    ),
    "qwen3": Family(
        "Qwen3",
        {**_LLAMA, "attention_bias": "attention_bias"},
        {"qk_norm": True},
        reads=_QWEN_READS,
        read=lambda hf: {**_read_qwen(hf), "attention_out_bias": hf["attention_bias"]},
        write=_write_qwen,
    ),
    "mistral": Family(
        "Mistral",
        {**_LLAMA, "sliding_window": "sliding_window"},
        {},
        reads=("rope_parameters",),
        read=_read_rope,
        write=_write_rope,
    ),
    "gpt2": Family(
        "GPT2",
        _GPT2,
        _LAYER_NORMED,
        read=lambda hf: {"intermediate_size": hf["n_inner"] or 4 * hf["n_embd"]},
        bare_lm="LMHeadModel",
    ),
    "bert": Family(
        "Bert",
        _BERT,
        _ENCODER,
        expected={"position_embedding_type": "absolute"},
        bare_lm="ForMaskedLM",
    ),
    "roberta": Family(
        "Roberta",
        _BERT,
        _ENCODER,
        reads=("pad_token_id",),
        read=lambda hf: {
            "position_offset": hf["pad_token_id"] + 1,
            "max_position_embeddings": hf["max_position_embeddings"] - hf["pad_token_id"] - 1,
        },
        write=lambda config: {
            "pad_token_id": config.position_offset - 1,
            "max_position_embeddings": config.max_position_embeddings + config.position_offset,
        },
        expected={"position_embedding_type": "absolute"},
        bare_lm="ForMaskedLM",
    ),
}
