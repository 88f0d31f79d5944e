"""What each strategy promises, on tables of counts; a strategy from outside the package."""

import itertools
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attention.errors import InputError
from tale_jax.elimination import STRATEGIES, SearchOptions, Strategy, eliminate

LAYERS, TOTAL = 5, 40
SUBSETS = [s for k in range(LAYERS) for s in itertools.combinations(range(LAYERS), k)]


def table_of(seed):
    number = np.random.default_rng(seed)
    return {s: int(number.integers(10, TOTAL + 1)) for s in SUBSETS}


def find(table, strategy, **options):
    options = SearchOptions(strategy=strategy, **{"epsilon": 1, **options})
    return eliminate(lambda candidates: [table[d] for d in candidates], LAYERS, TOTAL, options)


@settings(deadline=None)
@given(st.integers(0, 10**6))
def test_a_beam_of_all_finds_the_best_of_every_depth(seed):
    table = table_of(seed)
    found = find(table, "beam:99")
    for depth, step in enumerate(found.steps, start=1):
        same = [s for s in SUBSETS if len(s) == depth]
        assert step.dropped == max(same, key=lambda s: table[s])  # the first among equals
    assert len({c.dropped for c in found.candidates}) == len(found.candidates)


@settings(deadline=None)
@given(st.integers(0, 10**6))
def test_floating_only_puts_back_what_helps(seed):
    found = find(table_of(seed), "floating")
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
    table |= {(1, 2): 33, (0, 1, 2): 35, (1, 2, 3): 12}
    found = find(table, "floating", max_drops=3)
    assert [s.dropped for s in found.steps[:4]] == [(0,), (0, 1), (0, 1, 2), (1, 2)]


@pytest.mark.parametrize(
    ("strategy", "message"),
    [
        ("annealing", "unknown strategy 'annealing'; there are greedy, beam, floating"),
        ("beam", "as in beam:3"),
        ("beam:0", "such as beam:3"),
        ("beam:x", "such as beam:3"),
        ("greedy:2", "such as beam:3"),
        ("floating:2", "such as beam:3"),
    ],
)
def test_unknown_strategies_are_refused(strategy, message):
    with pytest.raises(InputError, match=message):
        SearchOptions(strategy=strategy)


OWN = """
def exchange(search, current):
    "after each drop, put one layer back and drop another"
    for unit in current.dropped:
        rest = tuple(u for u in current.dropped if u != unit)
        moves = [(u, tuple(sorted((*rest, u)))) for u in search.units.left(rest) if u != unit]
        found = search.round(moves, [current], floor=current.correct + 1)
        if found:
            return search.accept(found[0])
    return current
"""


def test_a_strategy_from_outside(tmp_path, monkeypatch):
    (tmp_path / "my_search.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    table = dict.fromkeys(SUBSETS, 10) | {(0,): 30, (0, 1): 20, (1, 2): 25, (0, 2): 19}
    found = find(table, "my_search:exchange", max_drops=2)
    said = STRATEGIES.pick("my_search:exchange").description
    assert said == "after each drop, put one layer back and drop another"
    assert [s.dropped for s in found.steps] == [(0,), (0, 1), (1, 2)]
    assert [s.dropped for s in find(table, "greedy", max_drops=2).steps] == [(0,), (0, 1)]
    monkeypatch.setitem(
        STRATEGIES, "exchange", Strategy("…", after_drop=sys.modules["my_search"].exchange)
    )
    assert find(table, "exchange", max_drops=2) == found
