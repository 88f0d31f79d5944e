"""The part of attention that reaches the output: effective and efficient attention."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float

from attention.choices import Choices
from attention.explanation.head_matrices import (
    Heads,
    Matrix,
    Where,
    column_space,
    heads,
    with_ones,
)
from attention.explanation.solver import min_norm, reduced, together

Solutions = Float[np.ndarray, "M R S"]
# The step after the distribution of least norm, if there is one.  It gets the rows b, their targets
# c, the bases Q and what the rows see.
KINDS: Choices[Callable[..., Solutions] | None] = Choices(
    "kind of efficient attention", {"min_norm": None, "min_support": reduced}
)
CONVERGED = 3e-9  # residual of a row's output, relative to the largest value


def efficient_attention(
    weights: Matrix,
    values: Matrix,
    where: Where | None = None,
    kind: str = "min_norm",
) -> Float[np.ndarray, ...]:
    """Find for each row ``a`` of the weights the smallest distribution with the same output.

    The candidates are ``{b : b V = a V, sum(b) = 1, b >= 0, b = 0 where not seen}``.

    - ``min_norm``: the one of least ``sum(b²)``, which is unique.
    - ``min_support``: a vertex, which Carathéodory's reduction reaches from there.  It has at most
      ``rank([V, 1])`` tokens; without any of them the output changes.  Other vertices may exist.

    Source: the abstract of "On Explaining with Attention Matrices" (arXiv:2410.18541) states the
    properties (same output, a distribution, computable, minimal).  The definition is this
    library's.

    Args:
        weights: ``[..., N, T, S]`` or ``[T, S]``, of any normalizer.  Each row is first made a
            distribution in float64, to which all guarantees refer.  A row of zeros, of a query that
            sees nothing, stays zero.
        values: ``[..., K, S, H]`` or ``[S, H]``; ``N`` is a multiple of ``K``.
        where: true at the keys that a query may see, broadcastable to ``weights``.
        kind: a key of ``KINDS``.

    Returns:
        Float64, in the shape of ``weights``.  The output is the same to 1e-8 times the largest
        value, no entry is below zero, sums are one to 1e-10, and no norm grows.

    Raises:
        InputError: the kind is unknown, shapes do not fit, weights are below zero, or numbers are
            not finite.
        ArithmeticError: rows did not converge; no such case is known.
    """
    found, converged = solve(heads(weights, values, where), kind)
    if not converged.all():
        raise ArithmeticError(f"{(~converged).sum()} of {converged.size} rows did not converge")
    return found


def solve(
    given: Heads, kind: str = "min_norm"
) -> tuple[Float[np.ndarray, ...], Bool[np.ndarray, "M R"]]:
    """Compute ``efficient_attention`` of heads that are arranged already.

    Args:
        given: the heads, as ``heads`` arranges them.
        kind: a key of ``KINDS``.

    Returns:
        The rows in the shape of the given weights, and which of them converged.

    Raises:
        InputError: an unknown kind.
    """
    KINDS.pick(kind)
    a = given.weights_MRS
    basis, rank = column_space(with_ones(given))
    out, converged = np.empty_like(a), np.ones(a.shape[:2], bool)
    many, rows, tokens = a.shape
    count = together(many, rows, tokens, basis.shape[-1])
    for start in range(0, many, count):
        part = slice(start, start + count)
        # Every chunk has the same number of heads, so that the last one compiles nothing new.
        filled = [_filled(array[part], count) for array in (a, basis, given.where_MRS, rank)]
        here = len(a[part])
        found, good = _chunk(filled[0], filled[1], filled[2], filled[3], kind)
        out[part], converged[part] = found[:here], good[:here]
    return given.restored(out), converged


def _chunk(
    a: np.ndarray, basis: np.ndarray, where: np.ndarray, rank: np.ndarray, kind: str
) -> tuple[np.ndarray, np.ndarray]:
    target, norms = a @ basis, _norms(a)
    fixed = _determined(basis, where, rank) | (norms == 0)
    if fixed.all():
        b, converged = a.copy(), np.ones(norms.shape, bool)
    else:
        b, converged = min_norm(target, np.where(fixed, 0, norms), basis, where)
        total = b.sum(-1, keepdims=True)  # one, except for rounding
        b /= np.where(total > 0, total, 1)
        # A row that rounding left longer than the original is the original.
        keep = fixed | (_norms(b) > norms)
        b[keep] = a[keep]
        converged |= fixed
    if (go_on := KINDS[kind]) is not None:
        b = go_on(b, target, basis, where)
        converged &= np.abs(b @ basis - target).max(-1, initial=0) <= CONVERGED
    return b, converged


def _norms(rows: np.ndarray) -> np.ndarray:
    return np.sqrt(np.einsum("mrs,mrs->mr", rows, rows))


def _filled(array: np.ndarray, size: int) -> np.ndarray:
    return np.pad(array, [(0, size - len(array))] + [(0, 0)] * (array.ndim - 1))


def _determined(basis: np.ndarray, where: np.ndarray, rank: np.ndarray) -> Bool[np.ndarray, "M R"]:
    """Find the rows whose tokens have independent ``[V, 1]``: they are their own solution."""
    count = where.sum(-1)
    found = np.zeros(count.shape, bool)
    for head in range(len(where)):
        rows = np.flatnonzero(count[head] <= rank[head])
        known: dict[bytes, bool] = {}
        for row in rows:
            seen = where[head, row]
            key = seen.tobytes()
            if key not in known:
                known[key] = bool(np.linalg.matrix_rank(basis[head, seen]) == count[head, row])
            found[head, row] = known[key]
    return found


def effective_attention(
    weights: Matrix, values: Matrix, where: Where | None = None
) -> Float[np.ndarray, ...]:
    """Remove from ``A`` its part in the left null space of the values of the tokens seen.

    ``A_perp = A V V⁺`` is the matrix of least norm with the same output.  Its entries may be
    negative, and its rows need not sum to one.  Singular values count relative to the largest one.
    Values of padded tokens are set to zero first.

    Source: Brunner et al. 2020, arXiv:1908.04211.

    Args:
        weights: ``[..., N, T, S]`` or ``[T, S]``; each row is made a distribution first.
        values: ``[..., K, S, H]`` or ``[S, H]``; ``N`` is a multiple of ``K``.
        where: true at the keys that a query may see, broadcastable to ``weights``.

    Returns:
        Float64, in the shape of ``weights``.

    Raises:
        InputError: shapes do not fit, weights are below zero, or numbers are not finite.
    """
    given = heads(weights, values, where)
    return given.restored(projection(given.values_MSH, given.where_MRS)(given.weights_MRS))


def projection(
    matrix_MSC: Float[np.ndarray, "M S C"], where_MRS: Bool[np.ndarray, "M _ S"]
) -> Callable[[Float[np.ndarray, "M R S"]], Float[np.ndarray, "M R S"]]:
    """Make the function that removes from rows their part in the left null space of a matrix.

    A row sees some of the rows of the matrix, and it is their null space that counts.

    Args:
        matrix_MSC: a matrix for each head.
        where_MRS: which tokens each row sees.
    """
    parts = []
    for head, (matrix, where_RS) in enumerate(zip(matrix_MSC, where_MRS, strict=True)):
        masks, group = np.unique(where_RS, axis=0, return_inverse=True)
        for i, seen in enumerate(masks):
            if seen.any():
                rows = np.flatnonzero(np.ravel(group) == i) if len(where_RS) > 1 else slice(None)
                basis = column_space(matrix[None, seen])[0][0]
                parts.append((head, rows, np.flatnonzero(seen), basis))

    def project(rows_MRS: Float[np.ndarray, "M R S"]) -> Float[np.ndarray, "M R S"]:
        out_MRS = np.zeros_like(rows_MRS)
        for head, rows, tokens, basis in parts:
            given = rows_MRS[head, rows][:, tokens]
            every = np.arange(rows_MRS.shape[1])[rows]
            out_MRS[head][np.ix_(every, tokens)] = given @ basis @ basis.T
        return out_MRS

    return project
