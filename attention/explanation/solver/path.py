"""A path-following Newton method, for the rows that the semismooth one does not solve.

It follows the optimality conditions of ``smallest_norm`` with ``b_j s_j = tau`` as ``tau → 0``, by
Mehrotra's predictor and corrector.  Each step solves one system ``Qᵀ diag(w) Q`` for each row, with
``w = b / (b + s)``; 10 to 25 steps are needed.  The systems of all rows of a head are one matrix
product, ``W [R, S] @ P [S, r (r + 1) / 2]``: the rows share the products ``P_j = q_j q_jᵀ``.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from attention.explanation.solver.newton import Rows, level, smoothed

RESIDUAL = 3e-12  # violation of Qᵀb = c
GAP = 1e-20  # of Σ b s, relative to ‖a‖²; its square root is the distance to the minimiser
EARLY_GAP, EARLY_RESIDUAL = 1e-8, 1e-5  # the same in float32, which cannot come nearer
RIDGE = 1e-13  # added to a system whose largest eigenvalue is one


class Problem(NamedTuple):
    """What all rows of ``M`` heads share.

    Attributes:
        basis_MSR: ``Q``.
        products_MSP: the lower triangles of ``q_j q_jᵀ``, packed.
        where_MRS: true at the tokens that a row sees.
    """

    basis_MSR: Float[Array, "M S r"]
    products_MSP: Float[Array, "M S p"]
    where_MRS: Bool[Array, "M _ S"]


class Path(NamedTuple):
    """A point on the path of each row: ``b``, ``mu`` and ``s`` of the optimality conditions."""

    b: Float[Array, "M R S"]
    mu: Float[Array, "M R r"]
    s: Float[Array, "M R S"]


def _places(rank: int) -> np.ndarray:
    """Rows and columns of a lower triangle, in the order in which they fill an array without gaps.

    The array has the first half of the columns and, above their diagonal, the rest transposed.  It
    can be unpacked without a gather.

    Source: rectangular full packed format, Gustavson et al. 2010.
    """
    half, shift = (rank + 1) // 2, 1 - rank % 2
    row, column = np.indices((rank + shift, half))
    rest = half + column - 1 + shift, half + row
    return np.where(row < column + shift, rest, (row - shift, column)).reshape(2, -1)


def _lower(packed: Float[Array, "M R p"], rank: int) -> Float[Array, "M R r r"]:
    """Unpack lower triangles; the numbers above them have no meaning."""
    half, shift = (rank + 1) // 2, 1 - rank % 2
    full = packed.reshape(*packed.shape[:2], rank + shift, half)
    rest = full[..., : rank - half, 1 - shift :].swapaxes(-1, -2)
    rest = jnp.pad(rest, [(0, 0), (0, 0), (half, 0), (0, 0)])
    return jnp.concatenate([full[..., shift:, :], rest], -1)


@jax.jit
def problem_of(basis: Float[Array, "M S r"], where: Bool[Array, "M _ S"]) -> Problem:
    """Compute the products that the systems of all rows are made of."""
    row, column = _places(basis.shape[-1])
    return Problem(basis, basis[..., row] * basis[..., column], where)


def _systems(problem: Problem, w_MRS: Array) -> Float[Array, "M R r r"]:
    """Compute ``Qᵀ diag(w) Q`` of every row; only the lower triangle counts."""
    return _lower(w_MRS @ problem.products_MSP, problem.basis_MSR.shape[-1])


def _factored(problem: Problem, w_MRS: Array, ridge: Array | float) -> Any:
    rank = problem.basis_MSR.shape[-1]
    systems = _systems(problem, w_MRS)
    empty = (jnp.sum(problem.basis_MSR**2, 1) == 0).astype(w_MRS.dtype)
    diagonal = jnp.broadcast_to(jnp.asarray(ridge), systems.shape[:2])[..., None] + empty[:, None]
    systems += diagonal[..., None] * jnp.eye(rank, dtype=w_MRS.dtype)[None, None]
    factor = jnp.linalg.cholesky(systems, symmetrize_input=False)
    return lambda right: jax.scipy.linalg.cho_solve((factor, True), right[..., None])[..., 0]


@jax.jit
def exact_step(
    problem: Problem, mu: Float[Array, "M R r"], c: Float[Array, "M R r"]
) -> tuple[Float[Array, "M R r"], Float[Array, "M R S"], Float[Array, "M R"]]:
    """Take one semismooth Newton step with a factorised Hessian.

    Returns:
        The points, the rows ``b`` and their residuals.
    """
    basis, where = problem.basis_MSR, problem.where_MRS
    transposed = basis.swapaxes(1, 2)
    z = mu @ transposed
    active = where & (z > 0)
    gradient = c - jnp.where(active, z, 0) @ basis
    mu = mu + _factored(problem, active.astype(z.dtype), RIDGE)(gradient)
    b = jnp.where(where, jnp.maximum(mu @ transposed, 0), 0)
    return mu, b, jnp.max(jnp.abs(b @ basis - c), -1)


@functools.partial(jax.jit, static_argnums=2)
def start(problem: Problem, size: Float[Array, "M R"], rank: int) -> Path:
    """Start at ``b = s``, ``mu = 0``: all products are equal, and only ``Qᵀb = c`` is unmet.

    Args:
        problem: the heads.
        size: ``‖a‖`` of each row.
        rank: ``r``.
    """
    where = problem.where_MRS
    shape = (*size.shape, where.shape[-1])
    level = jnp.broadcast_to(0.3 * jnp.where(size > 0, size, 1)[..., None], shape)
    return Path(level, jnp.zeros((*size.shape, rank), level.dtype), level)


@jax.jit
def start_near(
    problem: Problem, rows: Rows, mu: Float[Array, "M R r"], share: float | Float[Array, ""]
) -> Path:
    """Start at given points ``mu``, with ``b`` and ``s`` that meet all conditions but ``Qᵀb = c``.

    Args:
        problem: the heads.
        rows: the rows to solve.
        mu: the points.
        share: sets the common product ``b s``; see ``newton.level``.
    """
    z = mu @ problem.basis_MSR.swapaxes(1, 2)
    tau = level(rows, share)
    return Path(smoothed(z, tau)[0], mu, smoothed(-z, tau)[0])


@jax.jit
def follow(
    problem: Problem,
    path: Path,
    c: Float[Array, "M R r"],
    size: Float[Array, "M R"],
    steps: int | Int[Array, ""],
) -> tuple[Path, Float[Array, "M R S"], Bool[Array, "M R"]]:
    """Follow the path; rows that are done stay where they are.

    Args:
        problem: the heads.
        path: the points to start from.
        c: targets of the rows.
        size: ``‖a‖`` of each row.
        steps: most steps.

    Returns:
        The points; the rows ``b``, in which almost-zeros are zero; and which rows are done.
    """
    basis, where = problem.basis_MSR, problem.where_MRS
    transposed = basis.swapaxes(1, 2)
    count = jnp.sum(where, -1, keepdims=True).astype(c.dtype)
    gap = lambda b, s: jnp.sum(jnp.where(where, b * s, 0), -1)  # noqa: E731
    double = c.dtype == jnp.float64
    limit = (GAP if double else EARLY_GAP) * jnp.where(size > 0, size, 1) ** 2
    near = RESIDUAL if double else EARLY_RESIDUAL

    def finished(path: Path) -> Array:
        rounded = _rounded(path, where)
        residual = jnp.max(jnp.abs(rounded @ basis - c), -1)
        return (gap(path.b, path.s) <= limit) & (residual <= near)

    def longest(x, dx):
        share = jnp.where(where & (dx < 0), -x / jnp.where(dx < 0, dx, -1), jnp.inf)
        return jnp.min(share, -1, keepdims=True)

    def step(state):
        taken, path, done = state
        b, mu, s = path
        w = jnp.where(where, b / (b + s), 0)
        off_primal = c - jnp.where(where, b, 0) @ basis
        off_dual = mu @ transposed + s - b
        solve = _factored(problem, w, RIDGE if double else RIDGE**0.5)

        def direction(products):  # by how much b s must change
            right = off_primal - (w * (off_dual + products / b)) @ basis
            d_mu = solve(right)
            d_b = w * (d_mu @ transposed + off_dual + products / b)
            return d_b, d_mu, (products - s * d_b) / b

        tau = gap(b, s)[..., None] / jnp.maximum(count, 1)
        d_b, _, d_s = direction(-b * s)
        length = jnp.minimum(1, jnp.minimum(longest(b, d_b), longest(s, d_s)))
        ahead = gap(b + length * d_b, s + length * d_s)[..., None] / jnp.maximum(count, 1)
        centre = tau * (ahead / jnp.where(tau > 0, tau, 1)) ** 3
        d_b, d_mu, d_s = direction(centre - b * s - d_b * d_s)
        length = jnp.minimum(longest(b, d_b), longest(s, d_s))
        length = jnp.minimum(1, jnp.maximum(0.995, 1 - tau) * length)
        moved = Path(b + length * d_b, mu + length * d_mu, s + length * d_s)
        moved = moved._replace(b=jnp.where(where, moved.b, b), s=jnp.where(where, moved.s, s))
        still = done | ~jnp.isfinite(jnp.sum(moved.mu, -1))
        path = Path(*(jnp.where(still[..., None], o, m) for o, m in zip(path, moved, strict=True)))
        return taken + 1, path, finished(path)

    state = jax.lax.while_loop(
        lambda state: (state[0] < steps) & ~jnp.all(state[2]), step, (0, path, finished(path))
    )
    return state[1], _rounded(state[1], where), state[2]


def _rounded(path: Path, where: Array) -> Array:
    # If the product of two numbers is almost zero, the smaller one is taken for zero.
    return jnp.where(where & (path.b > path.s), path.b, 0)
