"""Rotary positions in GGUF: what the metadata say, and divisors of frequencies stored as a tensor.

Llama 3's scaling has no settings in GGUF.  Its effect has: ``rope_freqs.weight`` holds the number
that each frequency is divided by.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from attention.errors import InputError
from attention.files import GgufHeader
from attention.transformer.config import TransformerConfig
from attention.transformer.frequencies import Rope, RopeScaling, short_frequencies

DIVISORS = "rope_freqs.weight"
ORIGINAL = "rope.scaling.original_context_length"
PUBLISHED_FACTORS = (8.0, 32.0, 4.0, 16.0)  # of Llama 3.1, 3.2 and their likes
PUBLISHED_ORIGINAL = 8192


def read_positions(header: GgufHeader) -> dict[str, Any]:
    """``rope_theta`` and ``rope_scaling`` of ``config.json``, from a file's header.

    Raises:
        InputError: a scaling that is not known.
    """
    theta = header.about("rope.freq_base", 10000.0)
    kind = header.about("rope.scaling.type", "none")
    scaling: dict[str, Any] | None = None
    if DIVISORS in header.tensors:
        scaling = _llama3(header, theta)
    elif kind == "linear":
        scaling = {"rope_type": "linear", "factor": float(header.about("rope.scaling.factor"))}
    elif kind == "yarn":
        scaling = {
            "rope_type": "yarn",
            "factor": float(header.about("rope.scaling.factor")),
            "original_max_position_embeddings": header.about(ORIGINAL),
        }
    elif kind != "none":
        raise InputError(f"GGUF: rope.scaling.type {kind!r} is not handled")
    return {"rope_theta": theta, "rope_scaling": scaling}


def _llama3(header: GgufHeader, theta: float) -> dict[str, Any]:
    """The settings of Llama 3's scaling that give the stored divisors.

    Raises:
        InputError: no settings of the usual form do.
    """
    stored = np.asarray(header.tensors[DIVISORS].open(), np.float32)
    largest = float(f"{stored.max():.6g}")
    stated = header.about(ORIGINAL, PUBLISHED_ORIGINAL)
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
    """What each of the ``size / 2`` frequencies is divided by, float32."""
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
    scaling = config.rope_scaling
    if scaling is None:
        return found
    if scaling.rope_type == "linear":
        return found | {"rope.scaling.type": "linear", "rope.scaling.factor": float(scaling.factor)}
    if scaling.rope_type == "llama3":
        return found | {ORIGINAL: scaling.original_max_position_embeddings}
    raise InputError(f"positions scaled by {scaling.rope_type} are not written as GGUF")


def position_tensors(config: TransformerConfig) -> Iterator[tuple[str, np.ndarray]]:
    """The tensors that stand for the scaling of positions, float32."""
    scaling = config.rope_scaling
    if scaling is not None and scaling.rope_type == "llama3":
        yield DIVISORS, divisors(config.head_size, config.rope_theta, scaling)
