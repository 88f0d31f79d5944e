"""Distances between distributions, and agreement between rankings of tokens."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.special
import scipy.stats
from jaxtyping import Float

Rows = Float[np.ndarray, "... S"]


def tvd(p: Rows, q: Rows) -> Float[np.ndarray, ...]:
    """Total variation ``½ Σ |p - q|``, 0 to 1."""
    return 0.5 * np.abs(p - q).sum(-1)


def jsd(p: Rows, q: Rows) -> Float[np.ndarray, ...]:
    """Jensen-Shannon divergence in nats, 0 to ln 2; of distributions only."""
    middle = (p + q) / 2
    both = scipy.special.rel_entr(p, middle) + scipy.special.rel_entr(q, middle)
    return np.maximum(both.sum(-1) / 2, 0)


def hellinger(p: Rows, q: Rows) -> Float[np.ndarray, ...]:
    """``sqrt(½ Σ (√p - √q)²)``, 0 to 1; of distributions only."""
    return np.sqrt(0.5 * np.square(np.sqrt(p) - np.sqrt(q)).sum(-1))


def entropy(p: Rows) -> Float[np.ndarray, ...]:
    """``-Σ p ln p`` in nats."""
    return scipy.special.entr(p).sum(-1)


def support_size(p: Rows) -> np.ndarray:
    """Number of entries that are not zero."""
    return (p != 0).sum(-1)


def cosine(p: Rows, q: Rows) -> Float[np.ndarray, ...]:
    """Cosine of the angle between rows; zero if one of them is."""
    size = np.linalg.norm(p, axis=-1) * np.linalg.norm(q, axis=-1)
    return (p * q).sum(-1) / np.where(size > 0, size, 1)


def kendall(p: Float[np.ndarray, " S"], q: Float[np.ndarray, " S"]) -> float:
    """Kendall's tau-b of two scores of the same tokens; 0 if one of them ranks nothing."""
    if len(p) < 2:
        return 0.0
    result: Any = scipy.stats.kendalltau(p, q)
    return 0.0 if np.isnan(result.statistic) else float(result.statistic)


def bootstrap(
    values: Float[np.ndarray, " E"], draws: int = 1000, seed: int = 0
) -> tuple[float, float, float]:
    """Mean and its 95 % percentile interval over resampled examples."""
    values = np.asarray(values, np.float64)
    if not len(values):
        return float("nan"), float("nan"), float("nan")
    index = np.random.default_rng(seed).integers(0, len(values), (draws, len(values)))
    low, high = np.quantile(values[index].mean(1), (0.025, 0.975))
    return float(values.mean()), float(low), float(high)
