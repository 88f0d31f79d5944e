"""Carathéodory's reduction: from any distribution to a vertex with the same output.

The tokens of a row are taken one after another, the heaviest first, and a basis of ``r`` of them is
kept.  A token ``q = Σ d_i B_i`` gives its weight to the basis: ``x + theta d``.  This ends when the
token has no weight left, and is not needed, or when the weight of a basis token reaches zero, and
the token takes its place.  The basis starts as the unit vectors with weight zero.  These are
replaced first, so no search for a start is needed.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize
from jaxtyping import Array, Bool, Float

INDEPENDENT = 1e-9  # a coefficient below this, relative to the largest, is zero
EXACT = 1e-12  # residual of a vertex
BLOCK = 2**22  # numbers in the inverses of one chunk


def reduced(
    b_MRS: Float[np.ndarray, "M R S"],
    target_MRr: Float[np.ndarray, "M R r"],
    basis_MSr: Float[np.ndarray, "M S r"],
    where_MRS: Bool[np.ndarray, "M _ S"],
) -> Float[np.ndarray, "M R S"]:
    """Go from each row ``b`` to a vertex of its ``{b : Qᵀb = c, b >= 0}``.

    The rows of ``Q`` at its tokens are linearly independent: there are at most ``r`` tokens, and
    none can be left out.

    Args:
        b_MRS: the rows to start from.
        target_MRr: ``c`` of each row.
        basis_MSr: ``Q``.
        where_MRS: true at the tokens that a row sees.
    """
    heads, rows, tokens = b_MRS.shape
    rank = target_MRr.shape[-1]
    flat, owner = b_MRS.reshape(-1, tokens), np.repeat(np.arange(heads), rows)
    out = np.zeros_like(flat)
    together = max(1, min(len(flat), BLOCK // (rank * rank)))
    most = max(1, int((flat > 0).sum(-1).max(initial=0)))
    for start in range(0, len(flat), together):
        part = np.arange(start, min(start + together, len(flat)))
        order = np.argsort(-flat[part], axis=-1, kind="stable")[:, :most]
        weights = np.take_along_axis(flat[part], order, -1)
        vectors = basis_MSr[owner[part][:, None], order]
        fill = together - len(part)
        with jax.enable_x64(True):
            kept = np.asarray(
                _reduce(
                    np.pad(vectors, [(0, fill), (0, 0), (0, 0)]),
                    np.pad(weights, [(0, fill), (0, 0)]),
                )
            )[: len(part)]
        out[part[:, None], order] = _refined(kept, vectors, target_MRr.reshape(-1, rank)[part])
    out = out.reshape(b_MRS.shape)
    off = np.abs(out @ basis_MSr - target_MRr).max(-1, initial=0)
    for head, row in np.argwhere(off > EXACT):  # rounding led the scan out of the polytope
        seen = where_MRS[head, 0 if where_MRS.shape[1] == 1 else row]
        vectors, c = basis_MSr[head, seen], target_MRr[head, row]
        out[head, row] = 0
        out[head, row, seen] = scipy.optimize.nnls(vectors.T, c, maxiter=100 * len(vectors))[0]
    return out


def _refined(
    kept: Float[np.ndarray, "R s"],
    vectors: Float[np.ndarray, "R s r"],
    target: Float[np.ndarray, "R r"],
) -> Float[np.ndarray, "R s"]:
    """Compute the weights of the kept tokens anew, without the rounding of many steps."""
    found = np.zeros(kept.shape)
    for row, (support, vector, c) in enumerate(zip(kept > 0, vectors, target, strict=True)):
        if support.any():
            found[row, support] = np.linalg.lstsq(vector[support].T, c, rcond=None)[0]
    # Rounding may lead below zero.
    return np.maximum(found, 0)


@jax.jit
def _reduce(vectors_Rsr: Array, weights_Rs: Array) -> Float[Array, "R s"]:
    """Compute the weight of each token in the vertex; the tokens are taken in the given order."""
    rank, tokens = vectors_Rsr.shape[-1], weights_Rs.shape[-1]

    def row(vectors, weights):
        def step(state, j):
            x, inverse, places = state
            d = vectors[j] @ inverse
            artificial = places < 0
            size = jnp.max(jnp.abs(d))
            outside = artificial & (jnp.abs(d) > INDEPENDENT * size)
            enters = jnp.any(outside)
            share = jnp.where(~artificial & (d < -INDEPENDENT * size), -x / d, jnp.inf)
            leaving = jnp.where(
                enters, jnp.argmax(jnp.where(outside, jnp.abs(d), -1)), jnp.argmin(share)
            )
            theta = jnp.where(enters, 0, jnp.minimum(weights[j], jnp.min(share)))
            pivots = (weights[j] > 0) & (enters | (theta < weights[j]))
            moved = jnp.where(artificial, 0, jnp.maximum(x + theta * d, 0))
            one = jnp.arange(rank) == leaving
            pivot = jnp.where(pivots, d[leaving], 1)
            column = inverse[:, leaving] / pivot
            change = jnp.where(one, 0, d)
            swapped = jnp.where(
                one[None, :], column[:, None], inverse - column[:, None] * change[None, :]
            )
            return (
                jnp.where(pivots & one, weights[j] - theta, moved),
                jnp.where(pivots, swapped, inverse),
                jnp.where(pivots & one, j, places),
            ), None

        zero = jnp.zeros(rank, weights.dtype)
        start = zero, jnp.eye(rank, dtype=weights.dtype), jnp.full(rank, -1)
        (x, _, places), _ = jax.lax.scan(step, start, jnp.arange(tokens))
        return jnp.zeros(tokens, weights.dtype).at[places].add(jnp.where(places < 0, 0, x))

    return jax.vmap(row)(vectors_Rsr, weights_Rs)
