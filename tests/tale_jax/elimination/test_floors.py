"""Where a search stops: at its floor, at the last layer; and options that it refuses."""

import itertools
from fractions import Fraction

import numpy as np
import pytest

from attention.errors import InputError
from tale_jax.elimination.loop import eliminate
from tale_jax.elimination.options import SearchOptions
from tale_jax.elimination.results import Candidate, Result


@pytest.mark.parametrize("total", [250, 290, 550, 1000, 1267])
def test_accepts_a_candidate_exactly_on_the_floor(total, oracle):
    for correct in range(0, total + 1, 7):
        lost = next(n for n in itertools.count() if n + 1 > total * 8 // 100)
        lowest = max(0, correct - lost)
        assert SearchOptions().lowest(correct, total) == lowest
        table = {(): correct, (0,): lowest, (1,): 0}
        assert len(eliminate(oracle(table), 2, total).steps) == 1
        if lowest > 0:
            table[0,] -= 1
            assert eliminate(oracle(table), 2, total).steps == ()


def test_floats_would_reject_the_floor():
    assert 72 / 100 < 80 / 100 - 0.08  # the trap
    for epsilon in (0.08, Fraction(2, 25), np.float64(0.08)):
        assert SearchOptions(epsilon=epsilon).lowest(80, 100) == 72


def test_current_floor_moves_and_fixed_floor_does_not(oracle):
    table = {(): 80, (0,): 75, (0, 1): 70, (0, 1, 2): 65}
    assert len(eliminate(oracle(table), 4, 100).steps) == 1
    assert len(eliminate(oracle(table), 4, 100, SearchOptions(floor="current")).steps) == 3


def test_starts_from_initial_drops(oracle):
    options = SearchOptions(initial=[3, 1])
    result = eliminate(oracle({(1, 3): 5, (0, 1, 3): 6}), 4, 10, options)
    assert result.baseline == Candidate(0, None, (1, 3), 5)
    assert result.best == Candidate(1, 0, (0, 1, 3), 6)
    assert result.stop_reason == "no layer left to drop"


def test_single_layer_is_kept(oracle):
    result = eliminate(oracle({(): 3}), 1, 4)
    base = Candidate(0, None, (), 3)
    assert result == Result(4, base, (), base, base, "no layer left to drop", ())


@pytest.mark.parametrize("strategy", ["greedy", "beam:2", "floating"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epsilon": 8}, "--epsilon must be at least 0 and at most 1, not 8"),
        ({"epsilon": -0.1}, "--epsilon"),
        ({"epsilon": float("nan")}, "--epsilon"),
        ({"epsilon": float("inf")}, "--epsilon"),
        ({"epsilon": "much"}, "--epsilon must be a number"),
        ({"max_drops": -1}, "--max-drops must be at least 0"),
        ({"floor": "typo"}, "--floor must be baseline or current"),
        ({"granularity": "head"}, "--granularity"),
        ({"initial": [4]}, "no layer 4"),
        ({"initial": [-1]}, "no layer -1"),
        ({"initial": [0, 1, 2, 3]}, "keep at least one"),
        ({"initial": ["1.mlp"]}, "--granularity attention, mlp or sublayer"),
    ],
)
def test_impossible_options_are_refused_by_every_strategy(strategy, options, message, oracle):
    with pytest.raises(InputError, match=message):
        eliminate(oracle({}), 4, 10, SearchOptions(strategy=strategy, **options))


def test_there_must_be_examples(oracle):
    with pytest.raises(ValueError, match="no examples"):
        eliminate(oracle({}), 4, 0)


@pytest.mark.parametrize("counts", [[5, 11], [5, -1], [5]])
def test_wrong_counts_are_an_error(counts):
    counts = iter(counts)
    with pytest.raises(ValueError, match="not a count"):
        eliminate(lambda candidates: counts, 3, 10)
