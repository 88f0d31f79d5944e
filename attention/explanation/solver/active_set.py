"""The distribution of the smallest norm with SciPy, one row at a time: the last resort."""

from __future__ import annotations

import numpy as np
import scipy.optimize
from jaxtyping import Bool, Float

PENALTY = 1e4  # weight of the constraints in the least squares


def by_active_set(
    target: Float[np.ndarray, " r"], basis: Float[np.ndarray, "S r"], seen: Bool[np.ndarray, " S"]
) -> Float[np.ndarray, " S"]:
    """Solve one row: NNLS finds the tokens that have weight, least squares their weights.

    Args:
        target: ``c = Qᵀa``.
        basis: ``Q``.
        seen: the tokens that the row sees.
    """
    tokens = np.flatnonzero(seen)
    stacked = np.vstack([PENALTY * basis[tokens].T, np.eye(len(tokens))])
    right = np.concatenate([PENALTY * target, np.zeros(len(tokens))])
    active = tokens[scipy.optimize.nnls(stacked, right, maxiter=100 * len(tokens))[0] > 0]
    b = np.zeros(len(seen))
    b[active] = np.maximum(np.linalg.lstsq(basis[active].T, target, rcond=None)[0], 0)
    return b
