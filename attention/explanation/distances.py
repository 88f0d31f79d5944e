"""Distances between distributions, and agreement between rankings of tokens."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.special
import scipy.stats
from jaxtyping import Float, Int

from attention.choices import Choices

Rows = Float[np.ndarray, "... S"]


def tvd(p: Rows, q: Rows) -> Float[np.ndarray, ...]:
    """Compute the total variation ``½ Σ |p − q|`` of each pair of rows, 0 to 1."""
    return 0.5 * np.abs(p - q).sum(-1)


def jsd(p: Rows, q: Rows) -> Float[np.ndarray, ...]:
    """Compute the Jensen-Shannon divergence of each pair of distributions, in nats, 0 to ln 2."""
    middle = (p + q) / 2
    both = scipy.special.rel_entr(p, middle) + scipy.special.rel_entr(q, middle)
    return np.maximum(both.sum(-1) / 2, 0)


def hellinger(p: Rows, q: Rows) -> Float[np.ndarray, ...]:
    """Compute the Hellinger distance ``√(½ Σ (√p − √q)²)`` of each pair of rows, 0 to 1."""
    return np.sqrt(0.5 * np.square(np.sqrt(p) - np.sqrt(q)).sum(-1))


def entropy(p: Rows) -> Float[np.ndarray, ...]:
    """Compute the entropy ``−Σ p ln p`` of each distribution, in nats."""
    return scipy.special.entr(p).sum(-1)


def support_size(p: Rows) -> Int[np.ndarray, ...]:
    """Count the entries of each row that are not zero."""
    return (p != 0).sum(-1)


def cosine(p: Rows, q: Rows) -> Float[np.ndarray, ...]:
    """Compute the cosine of the angle between each pair of rows; zero if one of them is zero."""
    size = np.linalg.norm(p, axis=-1) * np.linalg.norm(q, axis=-1)
    return (p * q).sum(-1) / np.where(size > 0, size, 1)


def kendall(p: Float[np.ndarray, " S"], q: Float[np.ndarray, " S"]) -> float:
    """Compute Kendall's tau-b of two scores of the same tokens; zero if one of them is constant."""
    if len(p) < 2:
        return 0.0
    result: Any = scipy.stats.kendalltau(p, q)
    return 0.0 if np.isnan(result.statistic) else float(result.statistic)


def _kendall_of_rows(p: Rows, q: Rows) -> Float[np.ndarray, ...]:
    return np.array([kendall(a, b) for a, b in zip(p, q, strict=True)])


@dataclasses.dataclass(frozen=True)
class Measure:
    """A number for each row of attention, or for each pair of rows.

    Attributes:
        compute: computes it for one array ``[row, S]`` (a property), or for two (a distance).
        description: what it is, in a few words.
        unsigned: whether it is only defined for distributions.
        one_row: whether it is too slow for all rows of many replacements; only the row that the
            head reads is then compared.
    """

    compute: Callable[..., np.ndarray]
    description: str
    unsigned: bool = False
    one_row: bool = False

    def mean(self, *arrays: Rows, signed: bool = False) -> float | None:
        """Compute the mean over rows; None if rows are signed and it needs distributions."""
        return None if signed and self.unsigned else float(self.compute(*arrays).mean())


DISTANCES = Choices(
    "distance",
    {
        "tvd": Measure(tvd, "total variation"),
        "jsd": Measure(jsd, "Jensen-Shannon divergence, nats", unsigned=True),
        "hellinger": Measure(hellinger, "Hellinger distance", unsigned=True),
        "cosine": Measure(cosine, "cosine of the angle"),
        "kendall": Measure(_kendall_of_rows, "Kendall's tau", one_row=True),
    },
)
PROPERTIES = Choices(
    "property",
    {
        "entropy": Measure(entropy, "entropy, nats", unsigned=True),
        "support": Measure(support_size, "tokens with weight"),
    },
)
