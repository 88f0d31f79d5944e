"""Logit transforms times log2(e): the exponents of 2 that the fused kernels compute with."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jax.experimental.pallas import triton
from jaxtyping import Array, Float

from attention.normalizers import LOG2E, Normalizer, precise_log2

LN2 = math.log(2)


def base2_logits(
    row: Normalizer,
    platform: str,
    scores: Float[Array, "t s"],
    values: dict[str, Array],
    count: Float[Array, "t 1"],
) -> Float[Array, "t s"]:
    """Compute ``log2(e) · t(scores)``: a weight is 2 to the power of it, over the sum of its row.

    Args:
        row: a normalizer with a logit transform.
        platform: that the kernel is compiled for: ``cuda``, ``tpu``, or ``cpu`` (interpreted).
        scores: one tile of scores.
        values: effective values of the parameters, each broadcastable to ``scores``.
        count: how many keys each query may see; only read if the row ``uses_count``.
    """
    if row.base2 is not None:
        fast = platform == "cuda" and scores.dtype == jnp.float32
        return row.base2(scores, values, count, _hardware_log2 if fast else precise_log2)
    assert row.logit_transform is not None  # checked by dot_product_attention
    return LOG2E * row.logit_transform(scores, values, count)


def _hardware_log2(u: Array) -> Array:
    """``log2(1 + u)`` by one instruction of the processor, where ``log`` takes about twenty.

    Its error is at most 2⁻²² for a small u, not a share of the result: a weight is 2 to the power
    of it, whose relative error is that of the sum alone.
    """
    [logs] = triton.elementwise_inline_asm(
        "lg2.approx.ftz.f32 $0, $1;",
        args=[1 + u],
        constraints="=f,f",
        pack=1,
        result_shape_dtypes=[jax.ShapeDtypeStruct(u.shape, u.dtype)],
    )
    return logs
