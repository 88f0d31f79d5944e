"""The settings of rotary positions in ``config.json`` ⇄ fields of TransformerConfig."""

from __future__ import annotations

import dataclasses
from typing import Any

from attention.errors import InputError
from attention.transformer.config import RopeScaling, TransformerConfig
from attention.transformer.huggingface.families.definition import HfConfig


def read_rope(hf: HfConfig) -> dict[str, Any]:
    """The fields ``rope_theta`` and ``rope_scaling``.

    Raises:
        InputError: a scaling that is not known, or lacks a setting.
    """
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


def write_rope(config: TransformerConfig) -> dict[str, Any]:
    """The attributes of ``config.json`` that ``read_rope`` reads."""
    # The layout of transformers 4, which transformers 5 and other programs read too.
    if config.rope_scaling is None:
        return {"rope_theta": config.rope_theta, "rope_scaling": None}
    scaling = dataclasses.asdict(config.rope_scaling)
    if config.rope_scaling.rope_type == "linear":
        scaling = {"rope_type": "linear", "factor": config.rope_scaling.factor}
    return {"rope_theta": config.rope_theta, "rope_scaling": scaling}
