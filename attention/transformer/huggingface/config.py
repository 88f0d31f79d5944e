"""``config.json`` of Hugging Face ⇄ TransformerConfig, with nothing passed over in silence."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence
from typing import Any

from attention.choices import check_trusted
from attention.errors import InputError
from attention.normalizers import NORMALIZERS
from attention.transformer.arithmetic import ACTIVATIONS
from attention.transformer.config import Head, TransformerConfig
from attention.transformer.huggingface.attributes import check_attributes, without_meaning
from attention.transformer.huggingface.families import FAMILIES, Family, HfConfig
from attention.transformer.huggingface.multimodal import text_config

OWN_TYPE = "tale_jax_"
"""Precedes the model type of a model that transformers has not: it refuses what it would spoil."""

HEADS: dict[str, Head] = {
    "ForCausalLM": "causal_lm",
    "LMHeadModel": "causal_lm",
    "ForMaskedLM": "masked_lm",
    "ForPreTraining": "masked_lm",
    "ForSequenceClassification": "sequence",
    "ForTokenClassification": "token",
    "Model": "none",
    "TextForSequenceClassification": "sequence",  # Gemma 3 without the eyes
    "TextModel": "none",
}


def from_hf(hf: HfConfig, dtype: str | None = None) -> TransformerConfig:
    """The config of a ``config.json``, of Hugging Face or of this project alone.

    Two attributes are this project's own: ``layer_halves`` lists what each layer has, where some
    lack a half, and ``normalizer`` is the specification of one that is not softmax.  The model type
    is then ``tale_jax_llama``, say, which transformers refuses.

    Args:
        hf: the decoded JSON, in the layout of transformers 4 or 5; of a model that also sees
            images, its language model is meant.
        dtype: of parameters and products; None takes the checkpoint's own.

    Raises:
        InputError: an unknown architecture, or an attribute that could change what is computed and
            is not understood (``attributes``); the message names it.
    """
    model_type, family, hf, own = _family_of(hf)
    _check_magnitudes(family, hf)
    full, defaults = _complete(model_type, hf)
    head = _head(family, full)
    check_attributes(family, hf, full, defaults)
    fields: dict[str, Any] = {**family.fixed, "family": model_type, "head": head}
    fields |= {field: full[name] for name, field in family.fields.items() if name in full}
    try:
        fields |= {**family.fixed_for.get(head, {}), **family.read(full)}
        if head == "masked_lm" and fields.get("head_act") == fields["hidden_act"]:
            fields["head_act"] = None  # one model, one config
        if head in ("sequence", "token"):
            fields["num_labels"] = len(full["id2label"])
        fields["dtype"] = dtype or str(hf.get("dtype") or hf.get("torch_dtype") or "float32")
        config = TransformerConfig(**fields | own)
    except InputError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"config.json: {error}") from error
    _check_sizes(config)
    return config


def ignored_attributes(hf: HfConfig) -> dict[str, Any]:
    """What a ``config.json`` says that has no part in what is computed, by name.

    Raises:
        InputError: an unknown model type.
    """
    _, family, hf, _ = _family_of(hf)
    return without_meaning(family, hf)


def _family_of(hf: HfConfig) -> tuple[str, Family, HfConfig, dict[str, Any]]:
    """The model type, its row, the config as of Hugging Face, and this project's own fields."""
    hf = text_config(hf)
    model_type, own = hf.get("model_type"), {}
    if isinstance(model_type, str) and model_type.startswith(OWN_TYPE):
        model_type, own = model_type.removeprefix(OWN_TYPE), _own_fields(hf)
        hf = {k: v for k, v in hf.items() if k not in own} | {"model_type": model_type}
    if not isinstance(model_type, str):
        raise InputError(f"unknown model_type {model_type!r}; there are {FAMILIES.listed}")
    return model_type, FAMILIES.pick(model_type), hf, own


def own_attributes(config: TransformerConfig) -> dict[str, Any]:
    """What ``config.json`` says of a model that transformers has not; empty if it has it."""
    own: dict[str, Any] = {}
    if config.layer_halves is not None:
        own["layer_halves"] = list(config.layer_halves)
    if config.normalizer != "softmax":
        own["normalizer"] = config.normalizer
    return own


def _own_fields(hf: HfConfig) -> dict[str, Any]:
    """The fields that ``own_attributes`` wrote."""
    own = {name: hf[name] for name in ("layer_halves", "normalizer") if name in hf}
    halves, scoring = own.get("layer_halves", []), own.get("normalizer", "softmax")
    if not own:
        raise InputError(
            f"config.json: model_type {hf['model_type']!r} needs layer_halves or normalizer"
        )
    if not isinstance(halves, list) or not all(isinstance(name, str) for name in halves):
        raise InputError(f"config.json: layer_halves is {halves!r}, not a list of names")
    if not isinstance(scoring, str):
        raise InputError(f"config.json: normalizer is {scoring!r}, not a specification")
    for part in scoring.split("/"):
        name, colon, _ = part.partition(":")
        if colon and name not in {*NORMALIZERS, *NORMALIZERS.installed}:
            check_trusted("normalizer", part)
    return own | ({"layer_halves": tuple(halves)} if "layer_halves" in own else {})


def to_hf(config: TransformerConfig) -> dict[str, Any]:
    """``config.json`` of a model; the inverse of ``from_hf`` but for the dtype.

    Raises:
        InputError: no model of the family is this one, because it has no attention, say; the
            message names the fields.
    """
    family = FAMILIES.pick(config.family)
    suffix = family.bare_lm if config.head in ("causal_lm", "masked_lm") else None
    if suffix is None:
        suffix = next((s for s, head in HEADS.items() if head == config.head), None)
    if suffix is None or config.vocab_size is None:
        name = "head" if suffix is None else "input_size"
        raise InputError(
            f"no Hugging Face {config.family} model has {named_fields(config, [name])}"
        )
    own = own_attributes(config)
    hf: dict[str, Any] = {
        "architectures": [f"{family.class_prefix}{suffix}"],
        "model_type": (OWN_TYPE if own else "") + config.family,
        "torch_dtype": config.dtype,
    }
    hf |= {name: getattr(config, field) for name, field in family.fields.items()}
    hf |= family.write(config) | own
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
    name = str(architectures[0] if isinstance(architectures, list) else architectures)
    prefix = family.class_prefix
    suffix = name[len(prefix) :]
    # Case is not compared: the first conversions of Llama call the class LLaMAForCausalLM.
    if name[: len(prefix)].lower() != prefix.lower() or suffix not in HEADS:
        known = ", ".join(family.class_prefix + suffix for suffix in HEADS)
        raise InputError(f"unknown architecture {name!r}; known for this model_type: {known}")
    return family.classes.get(suffix, HEADS[suffix])


def _check_magnitudes(family: Family, hf: HfConfig) -> None:
    """Refuses absurd numbers before anything is built of that many parts."""
    for name, field in family.fields.items():
        limit = 10**4 if field == "num_hidden_layers" else 2**31
        if isinstance(value := hf.get(name), int) and abs(value) >= limit:
            raise InputError(f"config.json: {name} is {value}")


def _check_sizes(config: TransformerConfig) -> None:
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.type in ("int", "int | None") and value is not None:
            lowest = 0 if field.name in ("type_vocab_size", "position_offset") else 1
            if not isinstance(value, int) or isinstance(value, bool) or value < lowest:
                raise InputError(f"config.json: {field.name} is {value!r}")
    for name in (config.hidden_act, config.head_act or "tanh"):
        if name not in ACTIVATIONS:
            raise InputError(
                f"config.json: unknown activation {name!r}; there are {', '.join(ACTIVATIONS)}"
            )
    if config.dtype not in ("float32", "bfloat16", "float16"):
        raise InputError(f"dtype {config.dtype!r} is none of float32, bfloat16, float16")


def _check_round_trip(config: TransformerConfig, hf: HfConfig) -> None:
    if differing := differing_fields(config, from_hf(hf, config.dtype)):
        raise InputError(
            f"no Hugging Face {config.family} model has {named_fields(config, differing)}"
        )


def differing_fields(config: TransformerConfig, again: TransformerConfig) -> list[str]:
    """Fields by which a config that was written and read again is another model.

    Args:
        config: what was written.
        again: what was read.
    """
    if again.windows == config.windows:  # no layer slides any more, or every one does
        again = dataclasses.replace(
            again, sliding_window=config.sliding_window, layer_types=config.layer_types
        )
    plain = dataclasses.replace(
        config,
        head_dim=again.head_dim,
        num_key_value_heads=again.num_key_value_heads,
        matmul_precision=again.matmul_precision,
        attention_implementation=again.attention_implementation,
        remat=again.remat,
        param_dtype=again.param_dtype,
        derivatives=again.derivatives,
    )
    differing = [
        field.name
        for field in dataclasses.fields(config)
        if getattr(again, field.name) != getattr(plain, field.name)
    ]
    sizes = ("head_size", "key_value_heads")  # told in more ways than one
    return differing + [n for n in sizes if getattr(again, n) != getattr(config, n)]


def named_fields(config: TransformerConfig, fields: Sequence[str]) -> str:
    """Fields with their values, for a message."""
    return ", ".join(f"{name}={getattr(config, name)!r}" for name in fields)
