"""The semismooth Newton method for all rows of a head at once, by conjugate gradients.

It minimises the convex dual ``½‖max(0, Q mu)‖² − c·mu``.  The Hessian is ``Q_Fᵀ Q_F``, with the
tokens ``F = {Q mu > 0}``.  It is never formed: a product with it is two thin matrix products that
all rows of the head share, but a factorisation would be a small dense problem for each row.
Directions need not be exact and are computed in float32; residuals and points end in float64.

Many kinks of ``max`` lie between the start and the solution of a sharp row.  ``approach`` therefore
first solves the problem with ``max(0, z)`` smoothed to ``(z + sqrt(z² + 4 tau)) / 2``, while
``tau`` falls.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

RIDGE = 1e-9  # added to a Hessian whose largest eigenvalue is one
SEARCH = 2  # Newton steps on the line
APPROACH = 8, 0.1  # most conjugate gradients of a level, and the share of the gradient left
LEVELS = (0.3, 0.15, 0.08, 0.04, 0.02)  # values of sqrt(tau S) / ‖a‖, with one step each


class Rows(NamedTuple):
    """The rows to solve, of ``M`` heads; inside ``by_head`` there is no axis for the heads.

    Attributes:
        basis: ``Q``.
        where: true at the tokens that a row sees.
        target: ``c``.
        size: ``‖a‖``, the scale of a row.
    """

    basis: Float[Array, "*M S r"]
    where: Bool[Array, "*M _ S"]
    target: Float[Array, "*M R r"]
    size: Float[Array, "*M R"]


def by_head(one: Callable[..., Any]) -> Callable[..., Any]:
    """Map a function over heads; a single head goes without batched products, which are slower."""

    @functools.wraps(one)
    def every(*arrays: Any) -> Any:
        if jax.tree.leaves(arrays)[0].shape[0] > 1:
            return jax.vmap(one)(*arrays)
        found = one(*jax.tree.map(lambda array: array[0], arrays))
        return jax.tree.map(lambda array: array[None], found)

    return every


@jax.jit
@by_head
def projected(rows: Rows) -> tuple[Float[Array, "M R S"], Float[Array, "M R"]]:
    """Compute ``b = max(0, Q c)`` on the tokens seen, and the largest violation of ``Qᵀb = c``."""
    b = jnp.where(rows.where, jnp.maximum(rows.target @ rows.basis.T, 0), 0)
    return b, jnp.max(jnp.abs(b @ rows.basis - rows.target), -1)


def smoothed(
    z: Float[Array, "*M R S"], tau: Float[Array, "*M R 1"]
) -> tuple[Float[Array, "*M R S"], Float[Array, "*M R S"]]:
    """Compute ``(z + sqrt(z² + 4 tau)) / 2`` and its derivative, without cancellation."""
    root = jnp.sqrt(z * z + 4 * tau)
    b = jnp.where(z > 0, (z + root) / 2, 2 * tau / jnp.where(z > 0, 1, root - z))
    return b, b / root


def level(rows: Rows, share: float | Array) -> Float[Array, "*M R 1"]:
    """Compute the ``tau`` for which ``sqrt(tau S)`` is a share of the row's norm."""
    size = jnp.where(rows.size > 0, rows.size, 1)[..., None]
    return (share * size) ** 2 / rows.basis.shape[-2]


@jax.jit
@by_head
def approach(rows: Rows) -> tuple[Float[Array, "M R r"], Float[Array, "M R"]]:
    """Go from ``mu = c`` to a point near the solution of each row.

    Returns:
        The points, and the residual before the last step, relative to the norm of the row.
    """
    basis, where, c, size = rows
    transposed, live = basis.T, size > 0
    mu, off = c, size
    for share in LEVELS:
        b, slope = smoothed(mu @ transposed, level(rows, share))
        gradient = c - jnp.where(where, b, 0) @ basis
        weights = jnp.where(where, slope, 0)
        off = jnp.linalg.norm(gradient, axis=-1) / jnp.where(live, size, 1)
        mu = mu + _direction(basis, transposed, weights, gradient, live, *APPROACH).astype(mu.dtype)
    return mu, off


@jax.jit
def newton(
    rows: Rows,
    mu: Float[Array, "M R r"],
    tolerance: Float[Array, "M R"],
    *,
    steps: int | Array,
    iterations: int | Array,
    share: float | Array,
) -> tuple[Float[Array, "M R r"], Bool[Array, "M R"]]:
    """Take Newton steps from ``mu``, in the precision of ``mu``.

    Args:
        rows: the problem, in the precision of ``mu``.
        mu: the points to start from.
        tolerance: of the residual; rows below it do not move.
        steps: most Newton steps.
        iterations: most conjugate gradients in each step.
        share: part of the gradient that these may leave.

    Returns:
        The points, and which of them are within the tolerance.
    """
    return by_head(functools.partial(_newton, steps, iterations, share))(rows, mu, tolerance)


def _newton(steps, iterations, share, rows, mu, tolerance) -> tuple[Array, Array]:
    basis, where, c, _ = rows
    transposed = basis.T
    single = basis.astype(jnp.float32), transposed.astype(jnp.float32)

    def look(mu):
        z = mu @ transposed
        active = where & (z > 0)
        gradient = c - jnp.where(active, z, 0) @ basis
        return z, active, gradient, jnp.max(jnp.abs(gradient), -1) > tolerance

    def step(state):
        count, mu, z, active, gradient, live = state
        move = _direction(*single, active, gradient, live, iterations, share).astype(mu.dtype)
        along = jnp.where(where, move @ transposed, 0)
        length = _exact_step(jnp.where(where, z, 0), along, jnp.sum(c * move, -1))
        mu = mu + jnp.where(live, length, 0)[..., None] * move
        return count + 1, mu, *look(mu)

    state = jax.lax.while_loop(
        lambda state: (state[0] < steps) & jnp.any(state[-1]), step, (0, mu, *look(mu))
    )
    return state[1], ~state[-1]


def _direction(
    basis: Array, transposed: Array, weights: Array, gradient: Array, live: Array,
    most: int | Array, share: float | Array,
) -> Float[Array, "M R r"]:  # fmt: skip
    """Compute ``(Qᵀ diag(w) Q + ridge)⁻¹ gradient`` by conjugate gradients in float32."""
    weights = weights.astype(jnp.float32)
    scale = jnp.linalg.norm(gradient, axis=-1, keepdims=True)
    right = (gradient / jnp.where(scale > 0, scale, 1)).astype(jnp.float32)

    def body(state):
        count, x, left, p, size = state
        product = (weights * (p @ transposed)) @ basis + RIDGE * p
        curvature = jnp.sum(p * product, -1)
        going = (size > share**2) & (curvature > 0) & live
        length = jnp.where(going, size / jnp.where(curvature > 0, curvature, 1), 0)[..., None]
        x, left = x + length * p, left - length * product
        new = jnp.where(going, jnp.sum(left * left, -1), 0)
        p = left + (new / jnp.where(size > 0, size, 1))[..., None] * p
        return count + 1, x, left, p, new

    def going(state):
        return (state[0] < most) & jnp.any(live & (state[4] > share**2))

    start = (0, jnp.zeros_like(right), right, right, jnp.sum(right * right, -1))
    return scale * jax.lax.while_loop(going, body, start)[1]


def _exact_step(z: Array, along: Array, gain: Array) -> Float[Array, " R"]:
    """Find the ``t`` with ``Σ along · max(0, z + t along) = gain``; the sum grows with ``t``."""

    def body(_, state):
        low, high, t = state
        moved = z + t[..., None] * along
        slope = jnp.sum(along * jnp.maximum(moved, 0), -1) - gain
        curvature = jnp.sum(jnp.where(moved > 0, along * along, 0), -1)
        low, high = jnp.where(slope < 0, t, low), jnp.where(slope > 0, t, high)
        newest = t - slope / jnp.where(curvature > 0, curvature, 1)
        inside = (newest > low) & (newest < high) & (curvature > 0)
        middle = jnp.where(jnp.isinf(high), 2 * t, (low + high) / 2)
        return low, high, jnp.where(slope == 0, t, jnp.where(inside, newest, middle))

    one = jnp.ones_like(gain)
    return jax.lax.fori_loop(0, SEARCH, body, (0 * one, jnp.inf * one, one))[2]
