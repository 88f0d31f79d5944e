"""Rotary positions: pairs of a head's numbers turned by angles that grow with the position."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from attention.transformer.config import RopeScaling, TransformerConfig


def rope_frequencies(
    head_dim: int, theta: float, scaling: RopeScaling | None
) -> Float[Array, " h"]:
    """Angular frequencies ``theta^(-2i/H)`` of the ``H/2`` rotated pairs, scaled if asked."""
    frequencies = theta ** (-np.arange(0, head_dim, 2, dtype=np.float64) / head_dim)
    if scaling is None:
        pass
    elif scaling.rope_type == "linear":
        frequencies /= scaling.factor
    else:  # llama3: what share of the original context one wavelength covers decides
        turns = scaling.original_max_position_embeddings * frequencies / (2 * np.pi)
        span = scaling.high_freq_factor - scaling.low_freq_factor
        smooth = np.clip((turns - scaling.low_freq_factor) / span, 0, 1)
        frequencies *= (1 - smooth) / scaling.factor + smooth
    return jnp.asarray(frequencies, jnp.float32)


def rotation(config: TransformerConfig, positions_BT: Int[Array, "B T"]) -> tuple[Array, Array]:
    """Cosine and sine of ``position · frequency``, float32, one head axis of size 1."""
    frequencies = rope_frequencies(config.head_size, config.rope_theta, config.rope_scaling)
    angles_BT1h = positions_BT[..., None, None].astype(jnp.float32) * frequencies[None, None, None]
    return jnp.cos(angles_BT1h), jnp.sin(angles_BT1h)


def rotate(x: Float[Array, "B T N H"], cos_sin: tuple[Array, Array]) -> Float[Array, "B T N H"]:
    """Rotary positions: pairs ``(i, i + H/2)`` turned by their angle, in float32."""
    cos, sin = cos_sin
    first, second = jnp.split(x.astype(cos.dtype), 2, axis=-1)
    turned = jnp.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)
    return turned.astype(x.dtype)
