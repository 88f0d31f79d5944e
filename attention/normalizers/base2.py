"""Logit transforms as exponents of 2: ``log2(e) · t(s)``, which fused kernels compute with."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array

LOG2E = math.log2(math.e)
Log2 = Callable[[Array], Array]  # the base-2 logarithm as the device computes it fastest


def ssa(scores: Array, params: Mapping[str, Array], count: Array, log2: Log2) -> Array:
    """``n · sgn(s) · log2(1 + b|s|)``: a weight is ``(1 + b|s|)^(n·sgn s)`` over its row's sum."""
    del count
    return signed_log2(log2, scores, params["n"], params["b"])


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def signed_log2(log2: Log2, scores: Array, n: Array, b: Array) -> Array:
    """``n · sgn(s) · log2(1 + b|s|)``, with the derivative of ``formulas.signed_log``."""
    return n * _log2_of_base(log2, scores, b)


def _log2_of_base(log2: Log2, scores: Array, b: Array) -> Array:
    u = b * jnp.abs(scores)
    base = 1 + u
    # 1 + u rounds a small u away; four terms are exact to float32 below 1/64, ten to float64.
    terms = 4 if base.dtype == jnp.float32 else 10
    series = functools.reduce(lambda sum_, k: 1 / k - u * sum_, range(terms, 0, -1), 0.0) * u
    logs = jnp.where(u < 1 / 64, LOG2E * series, log2(base))
    return jnp.where(scores < 0, -logs, logs)


@signed_log2.defjvp
def _signed_log2_jvp(
    log2: Log2, primals: tuple[Array, Array, Array], tangents: tuple[Array, Array, Array]
) -> tuple[Array, Array]:
    scores, n, b = primals
    d_scores, d_n, d_b = tangents
    logs = _log2_of_base(log2, scores, b)
    rate = LOG2E * n / (1 + b * jnp.abs(scores))
    return n * logs, rate * b * d_scores + logs * d_n + rate * scores * d_b
