"""The statements of docs/concepts.md on identifiability, each on random heads."""

import numpy as np
import pytest

from attention.explanation import effective_attention, efficient_attention

SIZE = 5  # of a head
SEEDS = range(3)


def head(seed, tokens):
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.ones(tokens), size=7), rng.normal(size=(tokens, SIZE))


def null_space(values, *, with_ones):
    """A basis of the vectors z with zV = 0, and Σz = 0 if asked: [directions, tokens]."""
    columns = np.column_stack([values, np.ones(len(values))]) if with_ones else values
    left, singular, _ = np.linalg.svd(columns)
    return left[:, np.sum(singular > 1e-12) :].T


@pytest.mark.parametrize("seed", SEEDS)
def test_the_theorem_is_about_rows_that_are_no_distributions(seed):
    a, values = head(seed, 23)
    b = effective_attention(a, values)
    assert b @ values == pytest.approx(a @ values)
    assert b.min() < 0 and np.abs(b.sum(-1) - 1).max() > 0.1


@pytest.mark.parametrize("seed", SEEDS)
def test_the_sum_moves_the_threshold_by_one(seed):
    for tokens, free, bound in ((SIZE, 0, 0), (SIZE + 1, 1, 0), (SIZE + 2, 2, 1)):
        a, values = head(seed, tokens)
        assert len(null_space(values, with_ones=False)) == free
        assert len(null_space(values, with_ones=True)) == bound
        assert np.allclose(efficient_attention(a, values), a) == (bound == 0)


@pytest.mark.parametrize("seed", SEEDS)
def test_no_entry_below_zero_bounds_the_set_and_leaves_room(seed):
    a, values = head(seed, 11)
    for direction in null_space(values, with_ones=True):
        steps = -a / direction  # where an entry becomes zero
        forth, back = steps[steps > 0].min(), steps[steps < 0].max()
        assert np.isfinite([forth, back]).all() and forth - back > 1e-6
        for step in (forth, back, forth / 2):
            b = a[:1] + step * direction
            assert b @ values == pytest.approx(a[:1] @ values) and b.sum() == pytest.approx(1)


@pytest.mark.parametrize("seed", SEEDS)
def test_all_rows_with_one_output_have_the_same_efficient_attention(seed):
    a, values = head(seed, 11)
    direction = null_space(values, with_ones=True)[0]
    steps = -a / direction
    others = [a + share * np.where(steps > 0, steps, np.inf).min(1)[:, None] * direction
              for share in (0.3, 0.9)]  # fmt: skip
    chosen = efficient_attention(a, values)
    for b in others:
        assert np.abs(b - a).max() > 1e-3 and b.min() > -1e-12
        assert efficient_attention(np.maximum(b, 0), values) == pytest.approx(chosen, abs=1e-7)
