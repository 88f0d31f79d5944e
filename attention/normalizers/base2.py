"""Logit transforms as exponents of 2, ``log2(e) · t(s)``, for the fused kernels."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

LOG2E = math.log2(math.e)
Log2 = Callable[[Array], Array]  # log2(1 + u) of u ≥ 0, as the device computes it best
Scores = Float[Array, "t s"]
Values = Mapping[str, Array]  # effective values of the parameters, each fit for the scores


def ssa(scores: Scores, params: Values, count: Float[Array, "t 1"], log2: Log2) -> Scores:
    """Compute ``n · sgn(s) · log2(1 + b|s|)``; a weight is 2 to the power of it, over the sum.

    Args:
        scores: a tile of scores.
        params: effective ``n`` and ``b``.
        count: not used.
        log2: ``log2(1 + u)``, as the device computes it best.
    """
    del count
    return signed_log2(log2, scores, params["n"], params["b"])


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def signed_log2(log2: Log2, scores: Scores, n: Float[Array, ...], b: Float[Array, ...]) -> Scores:
    """Compute ``n · sgn(s) · log2(1 + b|s|)``, with the derivative of ``formulas.signed_log``."""
    return n * _signed(log2, scores, b)


def _signed(log2: Log2, scores: Array, b: Array) -> Array:
    logs = log2(b * jnp.abs(scores))
    return jnp.where(scores < 0, -logs, logs)


def precise_log2(u: Float[Array, "t s"]) -> Float[Array, "t s"]:
    """Compute ``log2(1 + u)`` to the last digits of u ≥ 0, however small it is.

    ``1 + u`` loses a small u.  Below 1/64 four terms of the series are exact in float32, ten in
    float64.
    """
    terms = 4 if u.dtype == jnp.float32 else 10
    series = functools.reduce(lambda sum_, k: 1 / k - u * sum_, range(terms, 0, -1), 0.0) * u
    return jnp.where(u < 1 / 64, LOG2E * series, LOG2E * jnp.log(1 + u))


@signed_log2.defjvp
def _signed_log2_jvp(
    log2: Log2, primals: tuple[Array, Array, Array], tangents: tuple[Array, Array, Array]
) -> tuple[Array, Array]:
    scores, n, b = primals
    d_scores, d_n, d_b = tangents
    logs = _signed(log2, scores, b)
    rate = LOG2E * n / (1 + b * jnp.abs(scores))
    return n * logs, rate * b * d_scores + logs * d_n + rate * scores * d_b
