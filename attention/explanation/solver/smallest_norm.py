"""The distribution of the smallest norm with the same output, for many rows at once.

For a row ``a`` and an orthonormal basis ``Q`` of the columns of ``[V, 1]``, let ``c = Qᵀa``.  The
problem ``min ½‖b‖²`` subject to ``Qᵀb = c``, ``b ≥ 0`` has the optimality conditions

    b = Q mu + s,   Qᵀb = c,   b ≥ 0,   s ≥ 0,   b_j s_j = 0.

1. The projection ``Q c`` solves the rows where it is positive: those of diffuse attention.
2. The others take steps of ``newton`` in float32, without a system that is formed or factorised.
   Rows that come near their solution are solved by one exact step in float64.
3. The rest, whose Hessians are almost singular, follow a path (``path``) from the point that they
   have reached: first in float32, then in float64.
4. Rows that still are not solved start again in float64.  SciPy solves the last few.

After each part, the rows that are done leave the batch.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from attention.explanation.solver.active_set import by_active_set
from attention.explanation.solver.newton import Rows, approach, newton, projected
from attention.explanation.solver.path import (
    RESIDUAL,
    Path,
    Problem,
    exact_step,
    follow,
    problem_of,
    start,
    start_near,
)

ROUNDS = ((3, 8), (2, 12), (2, 15))  # Newton steps, and most conjugate gradients in each
NEAR = 2e-4  # residual in float32 that an exact step ends, relative to the norm of a row
FEW = 0.12  # share of rows; fewer go on by the path
HARD = 0.2  # relative residual of `approach`, above which a row goes to the path at once
EXACT_STEPS = 3
NEAR_LEVEL = 1.0  # at the start of the path; see newton.level
EARLY_ROUNDS = (6, 3, 3)  # steps of the path in float32
PATH_STEPS = 2  # in float64; rows that are done then leave the batch
RESTART = 6  # steps in float64, after which the remaining rows start again
MOST_STEPS = 90
ACCEPTED = 1e-9  # residual of the last few rows
SMALL = 64  # rows; so few are always one batch
BLOCK = 2**22  # numbers in the largest array of one chunk


def together(heads: int, rows: int, tokens: int, rank: int) -> int:
    """Choose how many heads are solved in one chunk."""
    return max(1, min(heads, BLOCK // max(1, rows * max(tokens, rank * rank))))


class _Chunk:
    """Heads that are solved together, as float64 arrays on the host."""

    def __init__(self, target: np.ndarray, norms: np.ndarray, basis: np.ndarray, where: np.ndarray):
        self.target, self.norms, self.basis, self.where = target, norms, basis, where
        self.mu = target.copy()
        self.found = np.zeros((*norms.shape, basis.shape[1]))
        self.done = norms == 0
        self._device = {
            dtype: (jnp.asarray(basis, dtype), jnp.asarray(where))
            for dtype in (jnp.float32, jnp.float64)
        }
        self._problems: dict[Any, Problem] = {}

    def rows(self, index: np.ndarray, dtype: Any) -> Rows:
        """Collect the rows at ``index`` ``[M, width]`` of each head."""
        basis, where = self._device[dtype]
        if where.shape[1] > 1:
            where = _take(self.where, index)
        size: Any = np.take_along_axis(self.norms, index, 1)
        # The host converts them: one program for a few numbers would take longer.
        return Rows(basis, where, _take(self.target, index).astype(dtype), size.astype(dtype))

    def problem(self, rows: Rows, dtype) -> Problem:
        """Make the problem, whose products are computed once for each dtype."""
        if dtype not in self._problems:
            self._problems[dtype] = problem_of(*self._device[dtype])
        return self._problems[dtype]._replace(where_MRS=rows.where)

    def points(self, index: np.ndarray, dtype) -> np.ndarray:
        """Collect the points ``mu`` of the rows at ``index``."""
        return _take(self.mu, index).astype(dtype)

    def keep(self, index, wanted, mu=None, b=None, good=None) -> np.ndarray:
        """Write back what was found for the wanted rows, and say which of all rows are good."""
        head, place = np.nonzero(np.take_along_axis(wanted, index, 1))
        row = index[head, place]
        good_MR = np.zeros(self.done.shape, bool)
        if mu is not None:
            self.mu[head, row] = np.asarray(mu)[head, place]
        if b is not None:
            self.found[head, row] = np.asarray(b)[head, place]
        if good is not None:
            good_MR[head, row] = np.asarray(good)[head, place]
        return good_MR


def min_norm(
    target: Float[np.ndarray, "M R r"],
    norms: Float[np.ndarray, "M R"],
    basis: Float[np.ndarray, "M S r"],
    where: Bool[np.ndarray, "M _ S"],
) -> tuple[Float[np.ndarray, "M R S"], Bool[np.ndarray, "M R"]]:
    """Solve ``argmin ‖b‖²`` subject to ``Qᵀb = c``, ``b ≥ 0``, ``b`` zero where not seen.

    Args:
        target: ``c`` of each row.
        norms: ``‖a‖``, the scale of a row; a row of norm zero gives zeros.
        basis: ``Q``; its columns are orthonormal or zero.
        where: true at the tokens that a row sees.

    Returns:
        The rows, and which of them converged.
    """
    with jax.enable_x64(True):
        chunk = _Chunk(target, norms, basis, where)
        everything = np.broadcast_to(np.arange(norms.shape[1]), norms.shape)
        b, off = projected(chunk.rows(everything, jnp.float64))
        chunk.found = np.array(b)
        chunk.done = (np.asarray(off) <= RESIDUAL) | (norms == 0)
        if not chunk.done.all():
            _by_newton(chunk)
        if not chunk.done.all():
            _by_path(chunk)
        for head, row in np.argwhere(~chunk.done):
            seen = where[head, 0 if where.shape[1] == 1 else row]
            other = by_active_set(target[head, row], basis[head], seen)
            off, now = (
                np.abs(each @ basis[head] - target[head, row]).max()
                for each in (other, chunk.found[head, row])
            )
            chunk.found[head, row] = other if off < now else chunk.found[head, row]
            chunk.done[head, row] = min(off, now) <= ACCEPTED
        return chunk.found, chunk.done


def _by_newton(chunk: _Chunk) -> None:
    left = ~chunk.done
    index = _front(left)
    mu, off = approach(chunk.rows(index, jnp.float32))
    hard = chunk.keep(index, left, mu=mu, good=np.asarray(off) > HARD)
    near = np.zeros_like(left)
    for steps, iterations in ROUNDS:
        waiting = left & ~near & ~hard
        if waiting.sum() <= FEW * waiting.size and near.any():
            break
        index = _front(waiting)
        rows = chunk.rows(index, jnp.float32)
        mu, good = newton(rows, chunk.points(index, jnp.float32), NEAR * rows.size,
                          steps=steps, iterations=iterations, share=0.2)  # fmt: skip
        near |= chunk.keep(index, waiting, mu=mu, good=good)
    _exact(chunk, near)


def _exact(chunk: _Chunk, near: np.ndarray) -> None:
    """Solve the rows whose active tokens are known."""
    for _ in range(EXACT_STEPS):
        waiting = near & ~chunk.done
        if not waiting.any():
            break
        index = _front(waiting)
        rows = chunk.rows(index, jnp.float64)
        problem = chunk.problem(rows, jnp.float64)
        mu, b, off = exact_step(problem, chunk.points(index, jnp.float64), rows.target)
        chunk.done |= chunk.keep(index, waiting, mu=mu, b=b, good=np.asarray(off) <= RESIDUAL)


def _by_path(chunk: _Chunk) -> None:
    left = ~chunk.done
    index = _front(left)
    rows = chunk.rows(index, jnp.float32)
    problem = chunk.problem(rows, jnp.float32)
    path = start_near(problem, rows, chunk.points(index, jnp.float32), NEAR_LEVEL)
    for steps in EARLY_ROUNDS:
        old, index = index, _front(left)
        rows = chunk.rows(index, jnp.float32)
        problem = chunk.problem(rows, jnp.float32)
        path, _, near = follow(problem, _moved(path, old, index), rows.target, rows.size, steps)
        _exact(chunk, chunk.keep(index, left, mu=path.mu, good=near))
        left = ~chunk.done
        if not left.any():
            return
    wide: Any = [np.asarray(part, np.float64) for part in path]
    path, taken = Path(*wide), 0
    while left.any() and taken < MOST_STEPS:
        old, index = index, _front(left)
        rows = chunk.rows(index, jnp.float64)
        problem = chunk.problem(rows, jnp.float64)
        if taken == RESTART:
            path = start(problem, rows.size, rows.target.shape[-1])
        path = _moved(path, old, index) if taken != RESTART else path
        path, b, good = follow(problem, path, rows.target, rows.size, PATH_STEPS)
        chunk.done |= chunk.keep(index, left, b=b, good=good)
        left = ~chunk.done
        taken += PATH_STEPS


def _moved(path: Path, old: np.ndarray, index: np.ndarray) -> Path:
    within = _places(old, index)
    return Path(*(_take(np.asarray(part), within) for part in path))


def _front(left: np.ndarray) -> np.ndarray:
    """Indices of the rows that are left, followed by others that fill up the width."""
    width = _width(int(left.sum(1).max()), left.shape[1])
    return np.argsort(~left, axis=1, kind="stable")[:, :width]


def _take(array: np.ndarray, at: np.ndarray) -> Any:  # the call that uses it takes it to the device
    return np.take_along_axis(array, at[..., None], 1)


def _width(most: int, rows: int) -> int:
    """Choose one of few widths, so that few programs are compiled."""
    if rows <= SMALL:
        return rows
    width = 2
    while width < most:
        width = width * 2 if width < 16 else width + 16
    return min(width, rows)


def _places(old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Find the places of the rows ``new`` in ``old``, which has all of them."""
    order = np.argsort(old, axis=1)
    ordered = np.take_along_axis(old, order, 1)
    places = np.stack([np.searchsorted(o, n) for o, n in zip(ordered, new, strict=True)])
    return np.take_along_axis(order, np.minimum(places, old.shape[1] - 1), 1)
