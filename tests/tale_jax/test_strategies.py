"""Beam and floating searches on tables of counts, against greedy and against the whole table."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attention.errors import InputError
from tale_jax.elimination.greedy import eliminate
from tale_jax.elimination.racing import AtMost
from tale_jax.elimination.strategies import search_layers

LAYERS, TOTAL = 5, 40
SUBSETS = [s for k in range(LAYERS) for s in itertools.combinations(range(LAYERS), k)]


def table_of(seed):
    number = np.random.default_rng(seed)
    return {s: int(number.integers(10, TOTAL + 1)) for s in SUBSETS}


def oracle(table):
    return lambda candidates: (table[d] for d in candidates)


def racer(table):
    """Exact counts of the winners, and the loosest bounds that still tell them."""

    def race(candidates, references, floor, winners):
        ranked = sorted(range(len(candidates)), key=lambda i: -table[candidates[i]])
        best = [i for i in ranked if table[candidates[i]] >= floor][:winners]
        return [table[d] if i in best else AtMost(table[d]) for i, d in enumerate(candidates)]

    return race


@settings(deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["0", "0.1", "1"]), st.none() | st.integers(0, 4))
def test_a_beam_of_one_is_greedy(seed, epsilon, max_drops):
    table = table_of(seed)
    options = {"epsilon": epsilon, "max_drops": max_drops}
    greedy = eliminate(oracle(table), LAYERS, TOTAL, **options)
    assert search_layers("greedy", oracle(table), LAYERS, TOTAL, **options) == greedy
    assert search_layers("beam:1", oracle(table), LAYERS, TOTAL, **options) == greedy


@settings(deadline=None)
@given(st.integers(0, 10**6))
def test_a_beam_of_all_finds_the_best_of_every_depth(seed):
    table = table_of(seed)
    found = search_layers("beam:99", oracle(table), LAYERS, TOTAL, epsilon=1)
    for depth, step in enumerate(found.steps, start=1):
        same = [s for s in SUBSETS if len(s) == depth]
        assert step.correct == max(table[s] for s in same)
        assert step.dropped == max(same, key=lambda s: table[s])  # the first among equals
    assert len({c.dropped for c in found.candidates}) == len(found.candidates)


@settings(deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["beam:2", "beam:3", "floating"]))
def test_racing_and_resuming_change_nothing(seed, strategy):
    table, journal = table_of(seed), []
    whole = search_layers(
        strategy, oracle(table), LAYERS, TOTAL, epsilon=0.3, on_candidate=journal.append
    )
    raced = search_layers(strategy, oracle(table), LAYERS, TOTAL, epsilon=0.3, race=racer(table))
    for name in ("baseline", "steps", "best", "bsba", "stop_reason"):
        assert getattr(whole, name) == getattr(raced, name)
    for cut in (0, 1, len(journal) // 2, len(journal)):
        known = {c.dropped: c.correct for c in journal[:cut]}
        again = search_layers(strategy, oracle(table), LAYERS, TOTAL, epsilon=0.3, known=known)
        assert again == whole


@settings(deadline=None)
@given(st.integers(0, 10**6))
def test_floating_only_puts_back_what_helps(seed):
    found = search_layers("floating", oracle(table_of(seed)), LAYERS, TOTAL, epsilon=1)
    record = {0: found.baseline.correct}
    before = found.baseline
    for step in found.steps:
        depth = len(step.dropped)
        assert abs(depth - len(before.dropped)) == 1
        if depth < len(before.dropped):
            assert step.correct > record[depth]
        record[depth] = max(record.get(depth, 0), step.correct)
        before = step
    assert found.stop_reason == "no layer left to drop"


def test_floating_leaves_a_bad_first_choice():
    table = dict.fromkeys(SUBSETS, 10) | {(): 20, (0,): 30, (0, 1): 29, (1,): 25, (0, 2): 20}
    table |= {(1, 2): 20, (0, 1, 2): 35, (1, 2, 3): 12}
    table[1, 2] = 33
    found = search_layers("floating", oracle(table), LAYERS, TOTAL, epsilon=1, max_drops=3)
    assert [s.dropped for s in found.steps[:4]] == [(0,), (0, 1), (0, 1, 2), (1, 2)]


@pytest.mark.parametrize("strategy", ["beam", "beam:0", "beam:x", "annealing"])
def test_unknown_strategies_are_refused(strategy):
    with pytest.raises(InputError, match="unknown strategy"):
        search_layers(strategy, oracle({}), 3, 10)
