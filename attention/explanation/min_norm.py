"""The distribution of the smallest norm with the same output: Newton on many rows at once.

For a row ``a`` and an orthonormal basis ``Q`` of the columns of ``[V, 1]``, let ``c = Qᵀa``.  The
problem ``min ½‖b‖²`` subject to ``Qᵀb = c``, ``b ≥ 0`` has the optimality conditions

    b = Q mu + s,   Qᵀb = c,   b ≥ 0,   s ≥ 0,   b_j s_j = 0.

Two Newton methods solve them, both with one ``r × r`` system ``Qᵀ diag(w) Q`` a row and step:

- *semismooth*: ``b = max(0, Q mu)``, ``w = [Q mu > 0]``, exact line search on the dual
  ``½‖max(0, Q mu)‖² − c·mu``.  Diffuse rows take two to five steps.
- *path following*: ``b_j s_j = tau``, ``w = b / (b + s)``, ``tau → 0`` (Mehrotra's predictor and
  corrector).  A sharp row's dual solution is far away behind many kinks: 10 to 25 steps.

The systems of all rows of a head are one matrix product: ``W [R, S] @ P [S, r (r + 1) / 2]`` with
``P_j`` the products ``q_j q_jᵀ``, which the rows share.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from attention.explanation.active_set import by_active_set

SEMISMOOTH_STEPS = 4
EARLY_STEPS = 8  # of the path in float32, where only the direction counts
PATH_STEPS = 3  # in float64, between two looks at which rows are done
RESTART = 30  # rows that are left start again, in float64
MOST_STEPS = 99
RESIDUAL = 3e-12  # of Qᵀb = c
ACCEPTED = 1e-9  # the same, of the few rows that float64 carries no further
GAP = 1e-20  # of Σ b s, relative to ‖a‖²: the distance to the minimiser is its square root
RIDGE = 1e-13  # of a system whose largest eigenvalue is one
BLOCK = 2**22  # numbers in the largest array of one chunk


class Problem(NamedTuple):
    """``M`` heads of one chunk."""

    basis_MSR: Float[Array, "M S r"]
    products_MSP: Float[Array, "M S p"]
    where_MRS: Bool[Array, "M _ S"]


class Path(NamedTuple):
    """A point of the path of each row."""

    b: Float[Array, "M R S"]
    mu: Float[Array, "M R r"]
    s: Float[Array, "M R S"]


def min_norm(
    target_MRr: Float[np.ndarray, "M R r"],
    norms_MR: Float[np.ndarray, "M R"],
    basis_MSr: Float[np.ndarray, "M S r"],
    where_MRS: Bool[np.ndarray, "M _ S"],
) -> tuple[Float[np.ndarray, "M R S"], Bool[np.ndarray, "M R"]]:
    """``argmin ‖b‖²`` subject to ``Qᵀb = c``, ``b ≥ 0``, ``b`` zero where not seen.

    Args:
        target_MRr: ``c`` of each row.
        norms_MR: ``‖a‖``, the size that the path starts from; a row of norm zero gives zeros.
        basis_MSr: ``Q``; orthonormal or zero columns.
        where_MRS: tokens that a row sees.

    Returns:
        The rows, and which of them converged.
    """
    heads, rows, rank = target_MRr.shape
    tokens = basis_MSr.shape[1]
    out = np.zeros((heads, rows, tokens))
    done = np.zeros((heads, rows), bool)
    per_head = rows * max(tokens, rank * rank)
    together = max(1, min(heads, BLOCK // max(per_head, 1)))
    for start in range(0, heads, together):
        part = slice(start, start + together)
        # Rows enter in one size, that the last chunk compiles nothing new.
        arrays = target_MRr, norms_MR, basis_MSr, where_MRS
        with jax.enable_x64(True):
            found, converged = _chunk(*(_padded(array[part], together) for array in arrays))
        here = min(together, heads - start)
        out[part], done[part] = found[:here], converged[:here]
    return out, done


def _padded(array: np.ndarray, size: int) -> np.ndarray:
    return np.pad(array, [(0, size - len(array))] + [(0, 0)] * (array.ndim - 1))


def _chunk(target, norms, basis, where) -> tuple[np.ndarray, np.ndarray]:
    problem = _problem(jnp.asarray(basis), jnp.asarray(where))
    found, converged = (
        np.array(part) for part in _semismooth(problem, jnp.asarray(target), jnp.asarray(norms))
    )
    index, path, steps = None, None, 0
    while not converged.all() and steps < MOST_STEPS:
        # The rows that are left move to the front of their head, and the rest is cut off.
        left = ~converged
        width = _width(int(left.sum(1).max()), left.shape[1])
        previous = index
        index = np.argsort(~left, axis=1, kind="stable")[:, :width]
        within = index if previous is None else _places(previous, index)
        part = problem._replace(
            where_MRS=jnp.asarray(where if where.shape[1] == 1 else _take(where, index))
        )
        c, size = _take(target, index), np.take_along_axis(norms, index, 1)
        if path is None:
            path = _early(part, c, size)
        elif steps == RESTART:
            path = _start(part, jnp.asarray(size), c.shape[-1])
        else:
            path = Path(*(jnp.asarray(_take(np.asarray(array), within)) for array in path))
        path, b, good = _follow(part, path, jnp.asarray(c), jnp.asarray(size), PATH_STEPS)
        good = np.array(good) & np.take_along_axis(left, index, 1)
        b = np.array(b)
        for head in range(len(good)):
            unsettled = left[head, index[head]]
            found[head, index[head, unsettled]] = b[head, unsettled]
            converged[head, index[head, good[head]]] = True
        steps += PATH_STEPS
    for head, row in np.argwhere(~converged):
        seen = where[head, 0 if where.shape[1] == 1 else row]
        other = by_active_set(target[head, row], basis[head], seen)
        off, now = (
            np.abs(each @ basis[head] - target[head, row]).max()
            for each in (other, found[head, row])
        )
        found[head, row] = other if off < now else found[head, row]
        converged[head, row] = min(off, now) <= ACCEPTED
    return found, converged


def _take(array: np.ndarray, at: np.ndarray) -> np.ndarray:
    return np.take_along_axis(array, at[..., None], 1)


def _width(most: int, rows: int) -> int:
    """Few different widths, that few programs are compiled."""
    width = 8
    while width < most:
        width = width * 2 if width < 64 else width + 64
    return min(width, rows)


def _places(old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Where the rows ``new`` stand in ``old``, which has them all."""
    order = np.argsort(old, axis=1)
    ordered = np.take_along_axis(old, order, 1)
    places = np.stack([np.searchsorted(o, n) for o, n in zip(ordered, new, strict=True)])
    return np.take_along_axis(order, np.minimum(places, old.shape[1] - 1), 1)


@jax.jit
def _problem(basis: Array, where: Array) -> Problem:
    row, column = np.triu_indices(basis.shape[-1])
    return Problem(basis, basis[..., row] * basis[..., column], where)


def _systems(problem: Problem, w_MRS: Array) -> Float[Array, "M R r r"]:
    """``Qᵀ diag(w) Q`` of every row."""
    rank = problem.basis_MSR.shape[-1]
    index = np.zeros((rank, rank), np.int32)
    row, column = np.triu_indices(rank)
    index[row, column] = index[column, row] = np.arange(len(row))
    return (w_MRS @ problem.products_MSP)[..., index]


def _factored(problem: Problem, w_MRS: Array, ridge: Array | float) -> Any:
    rank = problem.basis_MSR.shape[-1]
    systems = _systems(problem, w_MRS)
    empty = (jnp.sum(problem.basis_MSR**2, 1) == 0).astype(w_MRS.dtype)
    diagonal = jnp.broadcast_to(jnp.asarray(ridge), systems.shape[:2])[..., None] + empty[:, None]
    systems += diagonal[..., None] * jnp.eye(rank, dtype=w_MRS.dtype)[None, None]
    factor = jnp.linalg.cholesky(systems)
    return lambda right: jax.scipy.linalg.cho_solve((factor, True), right[..., None])[..., 0]


@jax.jit
def _semismooth(problem: Problem, c: Array, size: Array) -> tuple[Array, Array]:
    basis, where = problem.basis_MSR, problem.where_MRS
    transposed = basis.swapaxes(1, 2)

    def state(mu):
        b = jnp.where(where, jnp.maximum(mu @ transposed, 0), 0)
        return b, (jnp.max(jnp.abs(b @ basis - c), -1) <= RESIDUAL) | (size == 0)

    def step(carry):
        count, mu, _, _ = carry
        z = mu @ transposed
        active = where & (z > 0)
        gradient = c - jnp.where(active, z, 0) @ basis
        ridge = jnp.maximum(1e-10, 1e-3 * jnp.linalg.norm(gradient, axis=-1))
        move = _factored(problem, active.astype(z.dtype), ridge)(gradient)
        along, gain = jnp.where(where, move @ transposed, 0), jnp.sum(c * move, -1)
        mu = mu + _exact_step(jnp.where(where, z, 0), along, gain)[..., None] * move
        return count + 1, mu, *state(mu)

    def unsettled(carry):
        early = (carry[0] < 2) | (jnp.mean(carry[3]) > 0.2)  # else the path is the shorter way
        return (carry[0] < SEMISMOOTH_STEPS) & early & ~jnp.all(carry[3])

    return jax.lax.while_loop(unsettled, step, (0, c, *state(c)))[2:]


def _exact_step(z: Array, along: Array, gain: Array) -> Float[Array, "M R"]:
    """The ``t`` with ``Σ along · max(0, z + t along) = gain``; the sum grows with ``t``."""

    def body(_, state):
        low, high, t = state
        moved = z + t[..., None] * along
        slope = jnp.sum(along * jnp.maximum(moved, 0), -1) - gain
        curvature = jnp.sum(jnp.where(moved > 0, along * along, 0), -1)
        low, high = jnp.where(slope < 0, t, low), jnp.where(slope > 0, t, high)
        newton = t - slope / jnp.where(curvature > 0, curvature, 1)
        inside = (newton > low) & (newton < high) & (curvature > 0)
        middle = jnp.where(jnp.isinf(high), 2 * t, (low + high) / 2)
        return low, high, jnp.where(slope == 0, t, jnp.where(inside, newton, middle))

    one = jnp.ones_like(gain)
    return jax.lax.fori_loop(0, 6, body, (0 * one, jnp.inf * one, one))[2]


@functools.partial(jax.jit, static_argnums=2)
def _start(problem: Problem, size: Array, rank: int) -> Path:
    """``b = s``, ``mu = 0``: the second condition alone is unmet, and every product is the same."""
    where = problem.where_MRS
    shape = (*size.shape, where.shape[-1])
    level = jnp.broadcast_to(0.3 * jnp.where(size > 0, size, 1)[..., None], shape)
    return Path(level, jnp.zeros((*size.shape, rank), level.dtype), level)


def _early(problem: Problem, c: np.ndarray, size: np.ndarray) -> Path:
    """The first steps: float32 takes half the time, and float64 mends what it rounded."""
    c32, size32 = jnp.asarray(c, jnp.float32), jnp.asarray(size, jnp.float32)
    basis, products = (array.astype(jnp.float32) for array in problem[:2])
    half = Problem(basis, products, problem.where_MRS)
    path = _follow(half, _start(half, size32, c.shape[-1]), c32, size32, EARLY_STEPS)[0]
    return Path(*(array.astype(jnp.float64) for array in path))


@functools.partial(jax.jit, static_argnums=4)
def _follow(
    problem: Problem, path: Path, c: Array, size: Array, steps: int
) -> tuple[Path, Array, Array]:
    """Rows that are done stay where they are."""
    basis, where = problem.basis_MSR, problem.where_MRS
    transposed = basis.swapaxes(1, 2)
    count = jnp.sum(where, -1, keepdims=True).astype(c.dtype)
    gap = lambda b, s: jnp.sum(jnp.where(where, b * s, 0), -1)  # noqa: E731
    limit = GAP * jnp.where(size > 0, size, 1) ** 2

    def finished(path: Path) -> Array:
        rounded = _rounded(path, where)
        residual = jnp.max(jnp.abs(rounded @ basis - c), -1)
        return (gap(path.b, path.s) <= limit) & (residual <= RESIDUAL)

    def longest(x, dx):
        share = jnp.where(where & (dx < 0), -x / jnp.where(dx < 0, dx, -1), jnp.inf)
        return jnp.min(share, -1, keepdims=True)

    def step(_, path):
        b, mu, s = path
        w = jnp.where(where, b / (b + s), 0)
        off_primal = c - jnp.where(where, b, 0) @ basis
        off_dual = mu @ transposed + s - b
        solve = _factored(problem, w, RIDGE if c.dtype == jnp.float64 else RIDGE**0.5)

        def direction(products):  # what b s is to change by
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
        still = finished(path) | ~jnp.isfinite(jnp.sum(moved.mu, -1))
        return Path(*(jnp.where(still[..., None], o, m) for o, m in zip(path, moved, strict=True)))

    path = jax.lax.fori_loop(0, steps, step, path)
    return path, _rounded(path, where), finished(path)


def _rounded(path: Path, where: Array) -> Array:
    # Of two numbers whose product is almost zero the smaller one is zero.
    return jnp.where(where & (path.b > path.s), path.b, 0)
