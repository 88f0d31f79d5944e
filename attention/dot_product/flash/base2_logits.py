"""Logit transforms times log2(e), as exponents of 2: what the fused kernels compute with."""

from __future__ import annotations

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from attention.normalizers import Normalizer, formulas

LOG2E, LN2 = math.log2(math.e), math.log(2)


def base2_logits(
    row: Normalizer, platform: str, scores: Array, values: dict[str, Array], count: Array
) -> Array:
    """``log2(e) · t(scores)``: a weight is 2 to the power of it, over the sum of its row."""
    if row.logit_transform is formulas.ssa:
        return signed_log2(platform, scores, values["n"], values["b"])
    assert row.logit_transform is not None  # checked by dot_product_attention
    return LOG2E * row.logit_transform(scores, values, count)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def signed_log2(platform: str, scores: Array, n: Array, b: Array) -> Array:
    """``n · sgn(s) · log2(1 + b|s|)``: the exponent of 2 in SSA's ``(1 + b|s|)^(n·sgn s)``."""
    return n * _log2_of_base(platform, scores, b)


def _log2_of_base(platform: str, scores: Array, b: Array) -> Array:
    u = b * jnp.abs(scores)
    base = 1 + u
    if platform == "cuda" and base.dtype == jnp.float32:
        logs = _hardware_log2(base)
    else:
        logs = LOG2E * jnp.log(base)
    # 1 + u rounds a small u away; four terms are exact to float32 below 1/64, ten to float64.
    terms = 4 if base.dtype == jnp.float32 else 10
    series = functools.reduce(lambda sum_, k: 1 / k - u * sum_, range(terms, 0, -1), 0.0) * u
    logs = jnp.where(u < 1 / 64, LOG2E * series, logs)
    return jnp.where(scores < 0, -logs, logs)


def _hardware_log2(x: Array) -> Array:
    """The processor's own base-2 logarithm: one instruction where ``log`` takes some twenty."""
    from jax.experimental.pallas import triton

    [logs] = triton.elementwise_inline_asm(
        "lg2.approx.ftz.f32 $0, $1;",
        args=[x],
        constraints="=f,f",
        pack=1,
        result_shape_dtypes=[jax.ShapeDtypeStruct(x.shape, x.dtype)],
    )
    return logs


@signed_log2.defjvp
def _signed_log2_jvp(platform: str, primals: Any, tangents: Any) -> tuple[Array, Array]:
    scores, n, b = primals
    d_scores, d_n, d_b = tangents
    logs = _log2_of_base(platform, scores, b)
    rate = LOG2E * n / (1 + b * jnp.abs(scores))
    return n * logs, rate * b * d_scores + logs * d_n + rate * scores * d_b
