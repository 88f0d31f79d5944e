"""Hugging Face configs ⇄ TransformerConfig, a row of a table a family."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from attention.errors import InputError
from attention.transformer.config import SLIDING_ATTENTION, Head, RopeScaling, TransformerConfig
from attention.transformer.layers import ACTIVATIONS

HfConfig = Mapping[str, Any]

# What a config may say without changing the model that is computed.
IGNORABLE = frozenset(
    """
    architectures model_type transformers_version dtype torch_dtype use_cache return_dict
    bos_token_id eos_token_id pad_token_id sep_token_id cls_token_id unk_token_id id2label label2id
    attention_dropout hidden_dropout_prob attention_probs_dropout_prob classifier_dropout
    resid_pdrop embd_pdrop attn_pdrop dropout summary_type summary_use_proj summary_activation
    summary_proj_to_labels summary_first_dropout pretraining_tp _name_or_path problem_type
    task_specific_params finetuning_task gradient_checkpointing n_ctx reorder_and_upcast_attn
    output_hidden_states output_attentions max_window_layers max_length do_sample temperature
    _attn_implementation _attn_implementation_autoset attn_implementation num_labels
    """.split()
)

HEADS: dict[str, Head] = {
    "ForCausalLM": "causal_lm",
    "LMHeadModel": "causal_lm",
    "ForMaskedLM": "masked_lm",
    "ForPreTraining": "masked_lm",
    "ForSequenceClassification": "sequence",
    "ForTokenClassification": "token",
    "Model": "none",
}

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


def from_hf(hf: HfConfig, dtype: str | None = None) -> TransformerConfig:
    """The config of a Hugging Face ``config.json``.

    Args:
        hf: the decoded JSON, in the layout of transformers 4 or 5.
        dtype: of parameters and products; None takes the checkpoint's own.

    Raises:
        InputError: an unknown architecture, or an attribute that is neither handled, nor
            ignorable, nor at its default; the message names it.
    """
    model_type = hf.get("model_type")
    if not isinstance(model_type, str) or model_type not in FAMILIES:
        raise InputError(f"unknown model_type {model_type!r}; there are {', '.join(FAMILIES)}")
    family = FAMILIES[model_type]
    full, defaults = _complete(model_type, hf)
    head = _head(family, full)
    _check_attributes(family, hf, full, defaults)
    fields: dict[str, Any] = {**family.fixed, "family": model_type, "head": head}
    fields |= {field: full[name] for name, field in family.fields.items() if name in full}
    try:
        fields |= family.read(full)
        if head in ("sequence", "token"):
            fields["num_labels"] = len(full["id2label"])
        fields["dtype"] = dtype or str(hf.get("dtype") or hf.get("torch_dtype") or "float32")
        config = TransformerConfig(**fields)
    except InputError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"config.json: {error}") from error
    _check_sizes(config)
    return config


def to_hf(config: TransformerConfig) -> dict[str, Any]:
    """``config.json`` of a model; the inverse of ``from_hf`` but for the dtype.

    Raises:
        InputError: no Hugging Face model of the family is this one (another normalizer, an
            attention-only model, …); the message names the fields.
    """
    family = FAMILIES[config.family]
    suffix = family.bare_lm if config.head in ("causal_lm", "masked_lm") else None
    if suffix is None:
        suffix = next((s for s, head in HEADS.items() if head == config.head), None)
    hf: dict[str, Any] = {
        "architectures": [f"{family.class_prefix}{suffix}"],
        "model_type": config.family,
        "torch_dtype": config.dtype,
    }
    hf |= {name: getattr(config, field) for name, field in family.fields.items()}
    hf |= family.write(config)
    if "head_dim" in hf:
        hf |= {"head_dim": config.head_size, "num_key_value_heads": config.key_value_heads}
    if config.head in ("sequence", "token"):
        hf["id2label"] = {str(i): f"LABEL_{i}" for i in range(config.num_labels)}
    _check_round_trip(config, hf)
    return hf


def _complete(model_type: str, hf: HfConfig) -> tuple[dict[str, Any], dict[str, Any]]:
    """The config with transformers' defaults filled in and its layout modernised; the defaults."""
    from transformers import CONFIG_MAPPING

    kind = CONFIG_MAPPING[model_type]
    try:
        return kind.from_dict(copy.deepcopy(dict(hf))).to_dict(), kind().to_dict()
    except Exception as error:  # its validators raise a dozen types of their own
        reason = " ".join(str(error).split())
        raise InputError(f"config.json is not a {model_type} config: {reason}") from error


def _head(family: Family, full: HfConfig) -> Head:
    architectures = full.get("architectures") or [family.class_prefix + family.bare_lm]
    name = str(architectures[0])
    suffix = name.removeprefix(family.class_prefix)
    if suffix == name or suffix not in HEADS:
        known = ", ".join(family.class_prefix + suffix for suffix in HEADS)
        raise InputError(f"unknown architecture {name!r}; known for this model_type: {known}")
    return HEADS[suffix]


def _check_attributes(
    family: Family, hf: HfConfig, full: HfConfig, defaults: Mapping[str, Any]
) -> None:
    handled = {*family.fields, *family.reads, "rope_theta", "rope_scaling"}
    wrong = []
    for name in {**hf, **full}:
        value = full.get(name, hf.get(name))
        if name in handled or name in IGNORABLE:
            continue
        if name in family.expected and value == family.expected[name]:
            continue
        if name not in defaults or value != defaults[name]:
            wrong.append(f"{name}={value!r}")
    if wrong:
        raise InputError(f"config.json: attributes not handled: {', '.join(sorted(wrong))}")


def _check_sizes(config: TransformerConfig) -> None:
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.type in ("int", "int | None") and value is not None:
            lowest = 0 if field.name in ("type_vocab_size", "position_offset") else 1
            if not isinstance(value, int) or isinstance(value, bool) or value < lowest:
                raise InputError(f"config.json: {field.name} is {value!r}")
    if config.hidden_act not in ACTIVATIONS:
        raise InputError(
            f"config.json: unknown activation {config.hidden_act!r}; "
            f"there are {', '.join(ACTIVATIONS)}"
        )
    if config.dtype not in ("float32", "bfloat16", "float16"):
        raise InputError(f"dtype {config.dtype!r} is none of float32, bfloat16, float16")


def _check_round_trip(config: TransformerConfig, hf: HfConfig) -> None:
    again = from_hf(hf, config.dtype)
    plain = dataclasses.replace(
        config,
        head_dim=again.head_dim,
        num_key_value_heads=again.num_key_value_heads,
        matmul_precision=again.matmul_precision,
        remat=again.remat,
    )
    differing = [
        field.name
        for field in dataclasses.fields(config)
        if getattr(again, field.name) != getattr(plain, field.name)
    ]
    if differing:
        values = ", ".join(f"{name}={getattr(config, name)!r}" for name in differing)
        raise InputError(f"no Hugging Face {config.family} model has {values}")
