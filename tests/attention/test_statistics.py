"""Intervals and tests against published values, exact sums and scipy."""

import math
from fractions import Fraction

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from attention.statistics import (
    bootstrap_interval,
    holm,
    mcnemar_p_value,
    mean_with_margin,
    rank_correlation,
    stratified_interval,
    stratified_p_value,
    student_margin,
    two_level_interval,
    wilson_interval,
)

VALUES = st.lists(st.floats(-100, 100, allow_subnormal=False), min_size=2, max_size=13)


@pytest.mark.parametrize(
    ("correct", "total", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (29, 29, 0.8830, 1.0),
    ],
)
def test_wilson_gives_the_intervals_of_newcombe_1998(correct, total, low, high):
    assert wilson_interval(correct, total) == pytest.approx((low, high), abs=6e-5)


@given(total=st.integers(1, 3000), share=st.floats(0, 1))
def test_wilson_agrees_with_scipy(total, share):
    correct = round(share * total)
    expected = scipy.stats.binomtest(correct, total).proportion_ci(0.95, method="wilson")
    low, high = wilson_interval(correct, total)
    assert (low, high) == pytest.approx(tuple(expected), rel=1e-12, abs=1e-15)
    assert (low == 0.0) == (correct == 0)
    assert (high == 1.0) == (correct == total)
    mirrored = wilson_interval(total - correct, total)
    assert (1 - mirrored[1], 1 - mirrored[0]) == pytest.approx((low, high), abs=1e-12)


@given(gained=st.integers(0, 60), lost=st.integers(0, 60))
def test_mcnemar_is_an_exact_sum_over_the_discordant_pairs(gained, lost):
    first = [True] * lost + [False] * gained + [True, False, True]
    second = [False] * lost + [True] * gained + [True, False, True]
    n = gained + lost
    tail = sum(Fraction(math.comb(n, i), 2**n) for i in range(min(gained, lost) + 1))
    assert mcnemar_p_value(first, second) == pytest.approx(min(1.0, 2 * float(tail)), rel=1e-9)
    assert mcnemar_p_value(second, first) == mcnemar_p_value(first, second)


@pytest.mark.parametrize(("gained", "lost"), [(400, 350), (9, 350), (0, 400)])
def test_mcnemar_is_the_sign_test_of_scipy(gained, lost):
    first, second = [True] * lost + [False] * gained, [False] * lost + [True] * gained
    expected = scipy.stats.binomtest(gained, gained + lost).pvalue
    assert mcnemar_p_value(first, second) == pytest.approx(expected, rel=1e-9)


def test_mcnemar_known_value():
    """Nine of eleven discordant pairs: 2 · (1 + 11 + 55) / 2¹¹."""
    p_value = mcnemar_p_value([False] * 9 + [True] * 2, [True] * 9 + [False] * 2)
    assert p_value == pytest.approx(134 / 2048, rel=1e-12)


def test_mcnemar_needs_the_same_examples():
    with pytest.raises(ValueError, match="zip"):
        mcnemar_p_value([True], [True, False])


@given(values=VALUES, seed=st.integers(0, 5))
def test_bootstrap_takes_quantiles_of_resampled_means(values, seed):
    values = np.array(values)
    drawn = np.random.default_rng(seed).integers(0, len(values), (101, len(values)))
    expected = np.quantile(values[drawn].mean(1), [0.025, 0.975])
    found = bootstrap_interval(values, draws=101, seed=seed)
    assert found == pytest.approx(tuple(expected), rel=1e-12, abs=1e-12)
    assert values.min() - 1e-9 <= found[0] <= found[1] <= values.max() + 1e-9


def test_bootstrap_of_many_values_is_near_the_normal_interval():
    values = np.random.default_rng(1).normal(3, 2, 1009)
    half = 1.96 * values.std(ddof=1) / np.sqrt(len(values))
    low, high = bootstrap_interval(values, draws=4001)
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.02)


def test_bootstrap_of_one_value_and_of_none():
    assert bootstrap_interval(np.array([2.5])) == (2.5, 2.5)
    assert all(map(math.isnan, bootstrap_interval(np.array([]))))
    values = np.random.default_rng(2).normal(size=31)
    assert bootstrap_interval(values) == bootstrap_interval(values, draws=1000, seed=0)
    assert bootstrap_interval(values) != bootstrap_interval(values, draws=1000, seed=1)


@given(values=VALUES)
def test_student_agrees_with_scipy(values):
    values = np.array(values)
    if np.ptp(values) < 1e-3:
        return  # scipy warns that these are nearly identical
    expected = scipy.stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    margin = student_margin(values)
    assert values.mean() - margin == pytest.approx(expected.low, rel=1e-9, abs=1e-9)
    assert values.mean() + margin == pytest.approx(expected.high, rel=1e-9, abs=1e-9)


def test_student_needs_two_values():
    assert student_margin(np.array([1.0])) == math.inf
    assert student_margin(np.array([2.0, 2.0, 2.0])) == 0.0


def test_a_stratified_interval_of_one_task_is_wilsons():
    assert stratified_interval([17], [23]) == pytest.approx(wilson_interval(17, 23))
    low, high = stratified_interval([17, 5], [23, 11])
    (a, b), (c, d) = wilson_interval(17, 23), wilson_interval(5, 11)
    mean, half = (17 / 23 + 5 / 11) / 2, lambda x, y: math.hypot(x, y) / 2
    assert low == pytest.approx(mean - half(17 / 23 - a, 5 / 11 - c))
    assert high == pytest.approx(mean + half(b - 17 / 23, d - 5 / 11))
    assert stratified_interval([0, 0], [3, 5])[0] == 0
    assert stratified_interval([3, 5], [3, 5])[1] == 1
    with pytest.raises(ValueError, match="argument 2"):
        stratified_interval([1], [3, 5])


def test_the_stratified_test_is_mcnemars_for_one_task_and_counts_tasks_the_same():
    one = [True] * 13 + [False] * 3 + [True] * 11
    other = [False] * 3 + [True] * 10 + [True] * 3 + [True] * 11
    assert stratified_p_value([one], [other]) == pytest.approx(
        mcnemar_p_value(one, other), abs=0.005
    )
    # the small task must go all one way; of such draws the large one's decides, a fair coin
    small = ([False] * 5 + [True] * 2, [True] * 7)
    large = ([True] * 1 + [False] * 96, [False] * 1 + [True] * 2 + [False] * 94)
    exact = mcnemar_p_value(*small)
    found = stratified_p_value([small[0], large[0]], [small[1], large[1]])
    assert found == pytest.approx(exact / 2, abs=0.002)
    assert stratified_p_value([one], [one]) == 1
    with pytest.raises(ValueError, match="argument 2"):
        stratified_p_value([one], [one[1:]])
    with pytest.raises(ValueError, match="argument 2"):
        stratified_p_value([one], [one, one])


def test_the_least_p_value_is_that_of_the_observed_draw():
    never, always = [[False] * 41], [[True] * 41]
    assert stratified_p_value(never, always) == 1 / 100_000
    assert stratified_p_value(always, never, draws=6) == 1 / 7
    half = [[True] * 3 + [False] * 38]
    found = [stratified_p_value(never, half, draws=99, seed=seed) for seed in range(7)]
    assert len(set(found)) > 1 and found[0] == stratified_p_value(never, half, draws=99)


def test_two_levels_vary_together():
    """Of a sum of a number for each seed and one for each item, both variances add."""
    draw = np.random.default_rng(7)
    seeds_S, items_P = draw.normal(5, 1, 11), draw.normal(0, 2, 37)
    differences = seeds_S[:, None] + items_P
    spread = math.sqrt(seeds_S.var() / 11 + items_P.var() / 37)
    low, high = two_level_interval(differences, draws=4001)
    expected = differences.mean() - 1.96 * spread, differences.mean() + 1.96 * spread
    assert (low, high) == pytest.approx(expected, abs=0.04)
    assert two_level_interval(differences) == two_level_interval(differences, draws=2000, seed=0)
    assert two_level_interval(differences) != two_level_interval(differences, seed=1)
    assert two_level_interval(np.full((3, 5), 2.0)) == pytest.approx((2, 2))


def test_holm_multiplies_by_what_is_left_and_never_falls():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1, 1]
    assert holm([0.3]) == [0.3]


def test_the_rank_correlation_is_that_of_scipy():
    rng = np.random.default_rng(3)
    pairs = rng.integers(0, 5, (17, 2)) + 0.5 * rng.integers(0, 2, (17, 1))
    expected = scipy.stats.spearmanr(pairs[:, 0], pairs[:, 1]).statistic
    assert rank_correlation(pairs) == pytest.approx(expected)
    assert math.isnan(rank_correlation(np.array([[1.0, 2.0], [1.0, 3.0]])))


def test_a_mean_with_its_margin():
    assert mean_with_margin([3.0]) == "3"
    assert mean_with_margin([3, 5]) == "4 ± 12.7"  # t = 12.706, s / √2 = 1
    assert mean_with_margin([0.5, 0.5, 0.5], ".2f", star=True) == "0.50 ± 0.00*"
    assert mean_with_margin([3, 5], star=True) == "4 ± 12.7"
