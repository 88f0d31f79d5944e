"""Intervals and tests for measured numbers, without JAX."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import scipy  # imports its parts when they are used; scipy.stats takes most of a second
from jaxtyping import Float


def wilson_interval(correct: float, total: int) -> tuple[float, float]:
    """Compute the 95 % confidence interval of an accuracy.

        (p + z²/2n ± z √(p(1−p)/n + z²/4n²)) / (1 + z²/n),   p = correct/n, n = total, z = 1.96

    Source: Wilson (1927), "Probable inference, the law of succession, and statistical inference".

    Args:
        correct: number of correct answers, 0 to ``total``; a tie may count one half.
        total: number of answers, at least 1.

    Returns:
        Lower and upper end, as shares from 0 to 1.
    """
    p, z = correct / total, 1.959963984540054
    middle = p + z * z / (2 * total)
    half = z * math.sqrt(p * (1 - p) / total + (z / (2 * total)) ** 2)
    low, high = ((middle + sign * half) / (1 + z * z / total) for sign in (-1, 1))
    return low if correct else 0.0, high if correct < total else 1.0  # exact at the ends


def mcnemar_p_value(first: Sequence[bool], second: Sequence[bool]) -> float:
    """Compare two models that answered the same examples, by the exact two-sided McNemar test.

        p = min(1, 2 Σ_{i ≤ min(g, l)} C(g + l, i) / 2^(g + l))

    The second model alone answers g examples correctly, the first alone l examples. Under the null
    hypothesis each of these is a fair coin toss. Without such examples p = 1.

    Source: McNemar (1947), "Note on the sampling error of the difference between correlated
    proportions or percentages".

    Args:
        first: whether the first model answers each example correctly.
        second: the same for the second model, in the same order.

    Returns:
        The p-value.

    Raises:
        ValueError: the two have different numbers of examples.
    """
    pairs = list(zip(first, second, strict=True))
    gained = sum(1 for a, b in pairs if b and not a)
    lost = sum(1 for a, b in pairs if a and not b)
    return min(1.0, 2 * float(scipy.special.bdtr(min(gained, lost), gained + lost, 0.5)))


def bootstrap_interval(
    values: Float[np.ndarray, " E"], draws: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Compute the 95 % bootstrap interval of a mean: examples are drawn with replacement.

    Source: Efron (1979), "Bootstrap methods: another look at the jackknife".

    Args:
        values: ``[example]``.
        draws: number of samples.
        seed: of the samples.

    Returns:
        The quantiles 0.025 and 0.975 of the samples' means; NaN if there are no values.
    """
    values = np.asarray(values, np.float64)
    if len(values) < 2:  # every sample is the same
        only = float(values[0]) if len(values) else math.nan
        return only, only
    found = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=draws, method="percentile", rng=np.random.default_rng(seed)
    ).confidence_interval
    return float(found.low), float(found.high)


def student_margin(values: Float[np.ndarray, " E"]) -> float:
    """Compute half the width of the 95 % interval of a mean, by Student's t.

        t_{0.975, n−1} · s / √n,   s² = Σ (x − x̄)² / (n − 1)

    To compare two models that were trained with the same seeds, give their differences by seed.

    Source: Student (1908), "The probable error of a mean".

    Args:
        values: ``[example]``, independent of one another.

    Returns:
        The margin; infinite for fewer than two values.
    """
    values = np.asarray(values, np.float64)
    if len(values) < 2:
        return math.inf
    spread = values.std(ddof=1) / math.sqrt(len(values))
    return float(scipy.stats.t.ppf(0.975, len(values) - 1) * spread)
