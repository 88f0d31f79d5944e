"""The settings of rotary positions in ``config.json`` ⇄ fields of TransformerConfig."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attention.errors import InputError
from attention.transformer.config import FULL_ATTENTION, SLIDING_ATTENTION, TransformerConfig
from attention.transformer.frequencies import ROPE_TYPES, Rope, RopeScaling
from attention.transformer.huggingface.families.definition import HfConfig

_ORIGINAL = "original_max_position_embeddings"
_NEUTRAL = {"partial_rotary_factor": (None, 1, 1.0), "llama_4_scaling_beta": (None, 0, 0.0)}
"""Settings that only some families compute with, and the values at which they do nothing."""


def read_rope(hf: HfConfig, computes: Sequence[str] = ()) -> dict[str, Any]:
    """The fields ``rope_theta``, ``rope_scaling``, ``partial_rotary_factor``, ``sliding_rope``.

    Args:
        hf: the config in the layout of transformers 5: ``rope_parameters`` holds the settings of
            all layers, or those of each type of layer.
        computes: keys of ``_NEUTRAL`` that models of the family compute with.

    Raises:
        InputError: a scaling that is not known or lacks a setting, or a setting that the family's
            models do not compute with.
    """
    given = hf.get("rope_parameters") or {}
    types = [name for name in (FULL_ATTENTION, SLIDING_ATTENTION) if given.get(name)]
    ropes = [_rope(hf, given[name], computes) for name in types] or [_rope(hf, given, computes)]
    sliding = ropes[-1] if ropes[-1] != ropes[0] else None
    return {
        "rope_theta": ropes[0].rope_theta,
        "rope_scaling": ropes[0].rope_scaling,
        "partial_rotary_factor": ropes[0].partial_rotary_factor,
        "sliding_rope": sliding,
    }


def _rope(hf: HfConfig, settings: Mapping[str, Any], computes: Sequence[str]) -> Rope:
    given = {name: value for name, value in settings.items() if value is not None}
    theta, share = given.get("rope_theta"), given.get("partial_rotary_factor", 1.0)
    kind = given.get("rope_type", given.get("type", "default"))
    for name, neutral in _NEUTRAL.items():
        if name not in computes and given.get(name) not in neutral:
            raise InputError(f"config.json: {name}={given[name]!r} is not handled for this family")
    if not isinstance(theta, int | float):
        raise InputError(f"rope_parameters: rope_theta is {theta!r}")
    if kind == "default":
        if given.get("llama_4_scaling_beta"):
            raise InputError("rope_parameters: llama_4_scaling_beta goes with rope_type yarn")
        return Rope(float(theta), None, float(share))
    return Rope(float(theta), _scaling(hf, kind, given), float(share))


def _scaling(hf: HfConfig, kind: str, given: Mapping[str, Any]) -> RopeScaling:
    """What the type uses of the settings; like transformers, the others are passed over."""
    settings = ROPE_TYPES.pick(kind).settings
    used = {name: given[name] for name in ("factor", *settings) if name in given}
    length = hf.get("max_position_embeddings")
    if _ORIGINAL in settings and (kind == "dynamic" or _ORIGINAL not in used):
        used[_ORIGINAL] = length
    if "factor" not in used and kind in ("yarn", "longrope"):
        used["factor"] = float(length or 0) / (used[_ORIGINAL] or 1)
    for name in ("short_factor", "long_factor"):
        if name in used:
            used[name] = tuple(used[name])
    if kind == "llama3" and (missing := [name for name in settings if name not in given]):
        raise InputError(f"rope_parameters: rope_type 'llama3' lacks {', '.join(missing)}")
    if "factor" not in used:
        raise InputError(f"rope_parameters: rope_type {kind!r} lacks factor")
    return RopeScaling(kind, **used)


def write_rope(config: TransformerConfig) -> dict[str, Any]:
    """The attributes of ``config.json`` that ``read_rope`` reads.

    The layout is that of transformers 4, which transformers 5 and other programs read too, unless
    layers differ.
    """
    if config.sliding_rope is not None:
        kinds = {FULL_ATTENTION: config.rope, SLIDING_ATTENTION: config.sliding_rope}
        return {"rope_parameters": {name: rope_parameters(rope) for name, rope in kinds.items()}}
    found = rope_parameters(config.rope)
    share = found.pop("partial_rotary_factor", None)
    theta, kind = found.pop("rope_theta"), found["rope_type"]
    written = {"rope_theta": theta, "rope_scaling": None if kind == "default" else found}
    return written if share is None else written | {"partial_rotary_factor": share}


def rope_parameters(rope: Rope) -> dict[str, Any]:
    """The settings of one rope in the layout of transformers 5."""
    found: dict[str, Any] = {"rope_type": "default", "rope_theta": rope.rope_theta}
    if rope.partial_rotary_factor != 1:
        found["partial_rotary_factor"] = rope.partial_rotary_factor
    if (scaling := rope.rope_scaling) is None:
        return found
    found |= {"rope_type": scaling.rope_type, "factor": scaling.factor}
    for name in ROPE_TYPES[scaling.rope_type].settings:
        value = getattr(scaling, name)
        if value is not None and not (scaling.rope_type == "dynamic" and name == _ORIGINAL):
            found[name] = list(value) if isinstance(value, tuple) else value
    return found
