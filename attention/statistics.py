"""Intervals and tests for measured numbers, without JAX."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import scipy  # imports its parts when they are used; scipy.stats takes most of a second
from jaxtyping import Float
from numpy.typing import ArrayLike


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


def mean_with_margin(values: ArrayLike, form: str = ".3g", *, star: bool = False) -> str:
    """Write ``mean ± margin``, with :func:`student_margin`; the mean alone of a single value.

    Args:
        values: independent of one another.
        form: the format of both numbers.
        star: put a star behind an interval without 0.
    """
    numbers = np.asarray(values, np.float64)
    mean, margin = float(numbers.mean()), student_margin(numbers)
    if len(numbers) < 2:
        return f"{mean:{form}}"
    return f"{mean:{form}} ± {margin:{form}}{'*' if star and abs(mean) > margin else ''}"


def stratified_interval(correct: Sequence[float], totals: Sequence[int]) -> tuple[float, float]:
    """Compute the 95 % interval of the mean of several accuracies, each on examples of its own.

        mean − √Σ (p_t − l_t)² / T,   mean + √Σ (u_t − p_t)² / T

    l_t and u_t are the ends of the Wilson interval of p_t.  Of one accuracy this is that interval.

    Source: Zou and Donner (2008), "Construction of confidence limits about effect measures".

    Args:
        correct: correct answers of each task; a tie may count one half.
        totals: answers of each task, at least 1.

    Returns:
        Lower and upper end, as shares from 0 to 1.
    """
    pairs = list(zip(correct, totals, strict=True))
    shares = [n / total for n, total in pairs]
    lows, highs = zip(*(wilson_interval(n, total) for n, total in pairs), strict=True)
    mean = sum(shares) / len(shares)
    below = math.dist(shares, lows) / len(shares)
    above = math.dist(highs, shares) / len(shares)
    return max(0.0, mean - below), min(1.0, mean + above)


def stratified_p_value(
    first: Sequence[Sequence[bool]],
    second: Sequence[Sequence[bool]],
    draws: int = 99_999,
    seed: int = 0,
) -> float:
    """Compare the mean accuracies of two models that answered the same examples of several tasks.

    A two-sided test by permutation within the tasks.  Of the d_t examples of task t that one model
    alone answers, the second alone answers g_t, so that the mean changes by

        D = 1/T Σ_t (2 g_t − d_t) / n_t

    Under the null hypothesis g_t is binomial, d_t tosses of a fair coin.  p is the share of draws,
    the observed one included, with at least the observed size of D.

    Source: Fisher (1935), "The design of experiments".

    Args:
        first: whether the first model answers each example correctly, by task.
        second: the same for the second model, in the same order.
        draws: number of draws.
        seed: of the draws.

    Returns:
        The p-value, at least 1 / (draws + 1).

    Raises:
        ValueError: the two have different numbers of examples.
    """
    gained, differ, sizes = [], [], []
    for one, other in zip(first, second, strict=True):
        pairs = list(zip(one, other, strict=True))
        gained.append(sum(b and not a for a, b in pairs))
        differ.append(sum(a != b for a, b in pairs))
        sizes.append(len(pairs))
    rng = np.random.default_rng(seed)
    drawn_RT = rng.binomial(differ, 0.5, (draws, len(sizes)))
    scale_T = 1 / np.asarray(sizes, np.float64)
    null_R = np.abs((2 * drawn_RT - np.asarray(differ)) @ scale_T)
    observed = abs((2 * np.asarray(gained) - np.asarray(differ)) @ scale_T)
    return (1 + int(np.sum(null_R >= observed - 1e-12))) / (draws + 1)


def two_level_interval(
    differences: Float[np.ndarray, "S P"], draws: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Compute the 95 % bootstrap interval of a mean over seeds and items, both drawn anew.

    Args:
        differences: ``[seed, item]``, such as paired differences of paradigms.
        draws: number of samples; each draws seeds and items with replacement.
        seed: of the samples.

    Returns:
        The quantiles 0.025 and 0.975 of the samples' means.
    """
    draw = np.random.default_rng(seed)
    weights = [
        draw.multinomial(count, np.full(count, 1 / count), draws) / count
        for count in differences.shape
    ]
    means = np.einsum("ds,sp,dp->d", weights[0], differences, weights[1], optimize=True)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values of several tests, so that any false discovery has probability at most α.

    The i-th smallest of m becomes ``max_{j ≤ i} min(1, (m − j + 1) p_j)``.

    Source: Holm (1979), "A simple sequentially rejective multiple test procedure".

    Args:
        p_values: of the tests.

    Returns:
        The corrected p-values, in the same order.
    """
    order = np.argsort(p_values)
    factors = np.arange(len(order), 0, -1)
    sorted_p = np.asarray(p_values, np.float64)[order]
    corrected = np.minimum(1.0, np.maximum.accumulate(sorted_p * factors))
    found = np.empty(len(order))
    found[order] = corrected
    return found.tolist()


def rank_correlation(pairs: Float[np.ndarray, "E 2"]) -> float:
    """Compute Spearman's ρ: the correlation of the ranks, where equal values share theirs.

    Source: Spearman (1904), "The proof and measurement of association between two things".

    Args:
        pairs: two numbers of each example.

    Returns:
        ρ, from −1 to 1; NaN if one of the two has a single value.
    """
    ranks_E2 = scipy.stats.rankdata(pairs, axis=0)
    if not ranks_E2.std(axis=0).all():
        return math.nan
    return float(np.corrcoef(ranks_E2.T)[0, 1])
