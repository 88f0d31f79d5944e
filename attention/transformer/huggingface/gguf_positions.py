"""Rotary positions in GGUF: what the metadata say, and divisors of frequencies stored as tensors.

Llama 3's scaling has no settings in GGUF.  Its effect has: ``rope_freqs.weight`` holds the number
that each frequency is divided by.  The two lists of factors of longrope are tensors too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from attention.errors import InputError
from attention.files import GgufHeader
from attention.transformer.config import TransformerConfig
from attention.transformer.frequencies import (
    ROPE_TYPES,
    Rope,
    RopeScaling,
    short_frequencies,
)

DIVISORS = "rope_freqs.weight"
FACTORS = {
    "long_factor": "rope_factors_long.weight",
    "short_factor": "rope_factors_short.weight",
}
"""Settings of longrope, and the tensors that hold them."""
FACTOR = "rope.scaling.factor"
ORIGINAL = "rope.scaling.original_context_length"
LENGTH = "original_max_position_embeddings"
YARN = {
    "beta_fast": "rope.scaling.yarn_beta_fast",
    "beta_slow": "rope.scaling.yarn_beta_slow",
    "mscale_all_dim": "rope.scaling.yarn_log_multiplier",
    "llama_4_scaling_beta": "attention.temperature_scale",
}
"""Settings of yarn, and their keys."""
PUBLISHED_FACTORS = (8.0, 32.0, 4.0, 16.0)  # of Llama 3.1, 3.2 and their likes
PUBLISHED_ORIGINAL = 8192


def read_positions(header: GgufHeader) -> dict[str, Any]:
    """The attributes of ``config.json`` about rotary positions, from a file's header.

    Raises:
        InputError: a scaling that is not known.
    """
    theta = header.about("rope.freq_base", 10000.0)
    kind = header.about("rope.scaling.type", "none")
    scaling: dict[str, Any] | None = None
    if DIVISORS in header.tensors:
        scaling = _llama3(header, theta)
    elif FACTORS["long_factor"] in header.tensors:
        scaling = _longrope(header)
    elif kind == "linear":
        scaling = {"rope_type": "linear", "factor": float(header.about(FACTOR))}
    elif kind == "yarn":
        scaling = _yarn(header)
    elif kind != "none":
        raise InputError(f"GGUF: rope.scaling.type {kind!r} is not handled")
    found: dict[str, Any] = {"rope_theta": theta, "rope_scaling": scaling}
    each = header.about("embedding_length", 0) // header.about("attention.head_count", 1)
    head = header.about("attention.key_length", each)
    if (size := header.about("rope.dimension_count", head)) != head:
        found["partial_rotary_factor"] = size / head
    return found


def _yarn(header: GgufHeader) -> dict[str, Any]:
    found = {"factor": float(header.about(FACTOR)), LENGTH: header.about(ORIGINAL)}
    found |= {name: header.about(key) for name, key in YARN.items()}
    if found["mscale_all_dim"] is not None:
        found["mscale"] = 1.0
    return {"rope_type": "yarn"} | {k: v for k, v in found.items() if v is not None}


def _longrope(header: GgufHeader) -> dict[str, Any]:
    found: dict[str, Any] = {"rope_type": "longrope", LENGTH: header.about(ORIGINAL)}
    for name, stored in FACTORS.items():
        if stored not in header.tensors:
            raise InputError(f"GGUF: {stored} is missing")
        numbers = np.asarray(header.tensors[stored].open(), np.float32)
        found[name] = [float(str(number)) for number in numbers]
    return found


def _llama3(header: GgufHeader, theta: float) -> dict[str, Any]:
    """The settings of Llama 3's scaling that give the stored divisors.

    Raises:
        InputError: no settings of the usual form do.
    """
    stored = np.asarray(header.tensors[DIVISORS].open(), np.float32)
    largest = float(f"{stored.max():.6g}")
    stated = header.about(ORIGINAL, PUBLISHED_ORIGINAL)
    if not np.all(stored > 0):
        raise InputError(f"GGUF: {DIVISORS} has numbers that are not above 0")
    for original in dict.fromkeys((stated, PUBLISHED_ORIGINAL)):
        for factor in (largest, *PUBLISHED_FACTORS):
            found = RopeScaling("llama3", factor, original_max_position_embeddings=original)
            if np.allclose(divisors(2 * len(stored), theta, found), stored, rtol=1e-4):
                return {
                    "rope_type": "llama3",
                    "factor": factor,
                    "low_freq_factor": found.low_freq_factor,
                    "high_freq_factor": found.high_freq_factor,
                    "original_max_position_embeddings": original,
                }
    raise InputError(f"GGUF: {DIVISORS} is not that of a published Llama 3 model")


def divisors(size: int, theta: float, scaling: RopeScaling) -> np.ndarray:
    """What each frequency is divided by, ``[size / 2]`` float32."""
    plain, scaled = (short_frequencies(Rope(theta, s), size) for s in (None, scaling))
    return (plain / scaled).astype(np.float32)


def positions_metadata(config: TransformerConfig) -> dict[str, Any]:
    """The metadata of a model's rotary positions, without the architecture before each key.

    Raises:
        InputError: GGUF has no words for how they are scaled.
    """
    found = {
        "rope.freq_base": float(config.rope_theta),
        "rope.dimension_count": config.rope.size(config.head_size),
    }
    if config.sliding_rope is not None:
        found["rope.freq_base_swa"] = float(config.sliding_rope.rope_theta)
    scaling = config.rope_scaling
    if scaling is None:
        return found
    if scaling.rope_type not in WRITTEN:
        raise InputError(f"positions scaled by {scaling.rope_type} are not written as GGUF")
    return found | WRITTEN[scaling.rope_type](scaling)


def _yarn_words(scaling: RopeScaling) -> dict[str, Any]:
    found = {"rope.scaling.type": "yarn", FACTOR: float(scaling.factor)}
    words = {key: getattr(scaling, name) for name, key in YARN.items()}
    words[ORIGINAL] = scaling.original_max_position_embeddings
    return found | {key: value for key, value in words.items() if value is not None}


def _longrope_words(scaling: RopeScaling) -> dict[str, Any]:
    factor = ROPE_TYPES["longrope"].attention_factor(scaling)
    return {
        ORIGINAL: scaling.original_max_position_embeddings,
        "rope.scaling.attn_factor": factor,
    }


# How a scaling is written, by its type; some are tensors besides.
WRITTEN: dict[str, Callable[[RopeScaling], dict[str, Any]]] = {
    "linear": lambda scaling: {"rope.scaling.type": "linear", FACTOR: float(scaling.factor)},
    "llama3": lambda scaling: {ORIGINAL: scaling.original_max_position_embeddings},
    "yarn": _yarn_words,
    "longrope": _longrope_words,
}


def position_tensors(config: TransformerConfig) -> Iterator[tuple[str, np.ndarray]]:
    """The tensors that stand for the scaling of positions, by name, ``[rotated / 2]`` float32."""
    scaling = config.rope_scaling
    if scaling is not None and scaling.rope_type == "llama3":
        size = config.rope.size(config.head_size)
        yield DIVISORS, divisors(size, config.rope_theta, scaling)
    if scaling is not None and scaling.rope_type == "longrope":
        for name, stored in FACTORS.items():
            yield stored, np.array(getattr(scaling, name), np.float32)
