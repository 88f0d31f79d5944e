"""Logit transforms times log2(e), as exponents of 2: what the fused kernels compute with."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jax.experimental.pallas import triton
from jaxtyping import Array

from attention.normalizers import LOG2E, Normalizer

LN2 = math.log(2)


def base2_logits(
    row: Normalizer, platform: str, scores: Array, values: dict[str, Array], count: Array
) -> Array:
    """``log2(e) · t(scores)``: a weight is 2 to the power of it, over the sum of its row.

    Args:
        row: with a logit transform.
        platform: that the kernel is compiled for: ``cuda``, ``tpu``, or ``cpu`` (interpreted).
        scores: a tile of scores, ``[t, s]``.
        values: effective values of the parameters, each fit for ``scores``.
        count: of allowed keys, ``[t, 1]``; None for a row that does not use it.
    """
    if row.base2 is not None:
        fast = platform == "cuda" and scores.dtype == jnp.float32
        return row.base2(scores, values, count, _hardware_log2 if fast else _log2)
    assert row.logit_transform is not None  # checked by dot_product_attention
    return LOG2E * row.logit_transform(scores, values, count)


def _log2(x: Array) -> Array:
    return LOG2E * jnp.log(x)


def _hardware_log2(x: Array) -> Array:
    """The processor's own base-2 logarithm: one instruction where ``log`` takes some twenty."""
    [logs] = triton.elementwise_inline_asm(
        "lg2.approx.ftz.f32 $0, $1;",
        args=[x],
        constraints="=f,f",
        pack=1,
        result_shape_dtypes=[jax.ShapeDtypeStruct(x.shape, x.dtype)],
    )
    return logs
