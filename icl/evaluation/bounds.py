"""The effective bound: the bound of the output that explains the errors of a model best."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy.optimize import OptimizeResult, minimize_scalar

Tail = tuple[Float[np.ndarray, " N"], Float[np.ndarray, " M"], Float[np.ndarray, " M"]]


def effective_bound(
    values_by_sigma: Sequence[Float[np.ndarray, ...]], errors: Sequence[float]
) -> float:
    """The bound at which clipping exact predictions makes errors most like those of a model.

        B_eff = argmin_B Σ_σ (sqrt(mean (clip(y, ±B) − y)²) − sqrt(error_σ))²

    Args:
        values_by_sigma: the values y of the points, an array of any shape for each σ.
        errors: the mean squared error of the model for each σ.

    Returns:
        B_eff, in the unit of y.

    Source: arXiv 2411.11465.
    """
    roots = np.sqrt(np.asarray(errors))
    tails = [_tail(y) for y in values_by_sigma]

    def distance(bound: float) -> float:
        clipped = [_clipping_error(*tail, bound) for tail in tails]
        return float(np.sum(np.square(np.sqrt(clipped) - roots)))

    most = max(float(sizes[-1]) for sizes, _, _ in tails)
    grid = np.linspace(0, most, 200)
    best = int(np.argmin([distance(bound) for bound in grid]))
    around = (grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)])
    found: OptimizeResult = minimize_scalar(distance, bounds=around, method="bounded")
    return float(found.x)


def _tail(y: np.ndarray) -> Tail:
    """The sizes |y| in ascending order, and the sums of sizes and of squares from each one on."""
    sizes = np.sort(np.abs(np.asarray(y, np.float64)).ravel())
    sums, squares = (np.append(np.cumsum(z[::-1])[::-1], 0.0) for z in (sizes, sizes**2))
    return sizes, sums, squares


def _clipping_error(
    sizes: np.ndarray, sums: np.ndarray, squares: np.ndarray, bound: float
) -> float:
    """``mean max(|y| − bound, 0)²``."""
    first = int(np.searchsorted(sizes, bound))
    beyond = sizes.size - first
    total = squares[first] - 2 * bound * sums[first] + beyond * bound**2
    return max(float(total), 0.0) / sizes.size
