"""α-entmax: sparse relatives of softmax, for a fixed or a learned α."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


def _power(x: Array, exponent: Array) -> Array:
    """``x^exponent`` for x ≥ 0, zero at zero, with finite derivatives."""
    inside = x > 0
    return jnp.where(inside, jnp.where(inside, x, 1) ** exponent, 0)


def entmax(
    scores: Float[Array, "... S"],
    where: Bool[Array, "... S"] | None,
    alpha: Float[Array, ...],
) -> Float[Array, "... S"]:
    """Compute ``p_s = [(α−1) z_s − τ]₊^(1/(α−1))`` with τ such that ``Σ p_s = 1``.

    This is ``argmax_p p·z + H_α(p)`` over distributions, with the Tsallis entropy H_α.  It is
    sparsemax at α = 2, and softmax as α → 1.  With ``q = 1/(α−1)``, τ is the root of
    ``‖[(α−1)z − τ]₊‖_q − 1``, which is convex and decreasing.  Newton's method finds it from below
    and cannot overshoot.  One more step belongs to the differentiated program: it gives τ its exact
    derivatives.

    Source: Peters, Niculae and Martins 2019; learned α: Correia, Niculae and Martins 2019.

    Args:
        scores: z.
        where: allowed keys; None: all are.  A row without any is zero.
        alpha: in (1, 2], broadcastable to ``scores``.
    """
    where = jnp.ones_like(scores, bool) if where is None else where
    lowest = jnp.finfo(scores.dtype).min
    largest = jnp.max(jnp.where(where, scores, lowest), axis=-1, keepdims=True)
    alpha = jnp.broadcast_to(alpha, jnp.broadcast_shapes(jnp.shape(alpha), largest.shape))
    q = 1 / (alpha - 1)
    gaps = (alpha - 1) * jnp.where(where, scores - jax.lax.stop_gradient(largest), 0)

    def above(gaps: Array, tau: Array) -> Array:
        return jnp.where(where, jnp.maximum(gaps - tau, 0), 0)

    fixed_gaps, fixed_q = jax.lax.stop_gradient((gaps, q))
    enough = 1 + 4 * jnp.finfo(scores.dtype).eps

    def too_much(state: tuple[Array, Array, Array]) -> Array:
        _, norm, step = state
        return jnp.any(norm > enough) & (step < 100)

    def improve(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        tau, norm, step = state
        slope = jnp.sum(_power(above(fixed_gaps, tau) / norm, fixed_q - 1), -1, keepdims=True)
        tau = tau + (norm - 1) / jnp.maximum(slope, 1)
        return tau, norm_at(tau), step + 1

    def norm_at(tau: Array) -> Array:
        total = jnp.sum(_power(above(fixed_gaps, tau), fixed_q), axis=-1, keepdims=True)
        return jnp.maximum(total, 1) ** (1 / fixed_q)

    tau = jnp.full_like(fixed_q, -1)
    tau, _, _ = jax.lax.while_loop(too_much, improve, (tau, norm_at(tau), jnp.int32(0)))
    weights = above(gaps, tau)
    slope = jnp.sum(_power(weights, q - 1), axis=-1, keepdims=True) * q
    excess = jnp.sum(_power(weights, q), axis=-1, keepdims=True) - 1
    tau = tau + excess / jax.lax.stop_gradient(jnp.where(slope > 0, slope, 1))
    return jnp.where(jnp.any(where, -1, keepdims=True), _power(above(gaps, tau), q), 0)
