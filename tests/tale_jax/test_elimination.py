"""Greedy elimination against recorded searches, a brute-force reference and its own journal."""

import itertools
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attention.errors import InputError
from tale_jax.elimination.greedy import Candidate, Result, eliminate, floor_count

LLAMA_ARC_E = "19:.8818 18:.8800 20:.8818 28:.9000 31:.9055 21:.8964 24:.8964 26:.8782"
TUNED_ARC_C = "21 20 29 19 18 24 23 26:.8621 14 25:.8103"
# name: examples, layers, baseline, accepted layers with their accuracy where it was recorded,
# the best candidate of the round that stopped (None: the record ends before), BEST, BSBA (depths)
RECORDED = {
    "llama arc-e": (550, 32, 0.8745, LLAMA_ARC_E, None, 5, 8),
    "llama arc-c": (290, 32, 0.7586, "18:.7897 26:.7828 19:.7759", None, 1, 3),
    "llama csqa": (1000, 32, 0.647, "18:.737 27:.747 22:.753", None, 3, 3),
    "llama math500": (100, 32, 0.44, "27:.49 23:.45 28:.36", None, 1, 2),
    "llama gsm8k": (89, 32, 0.6067, "27:.5843 26:.5730", None, 0, 0),
    "mistral math500": (100, 32, 0.08, "27:.16 15:.12 13:.13 10:.10", None, 1, 4),
    "tuned arc-c": (290, 32, 0.8414, TUNED_ARC_C, 0.7586, 8, 8),
    "tuned again": (290, 28, 0.8000, "20 19:.8138 22 27 21:.8000", 0.7, 2, 5),
}


def oracle(table, default=0):
    """A scoring callback over a table of counts; `asked` collects what it was asked for."""

    def score(candidates):
        for dropped in candidates:
            score.asked.append(dropped)
            yield table.get(dropped, default)

    score.asked = []
    return score


@pytest.mark.parametrize("name", RECORDED)
def test_replays_recorded_searches(name):
    total, layers, baseline, accepted, refused, best, bsba = RECORDED[name]
    base = round(baseline * total)
    table, dropped, chosen = {(): base}, (), []
    for entry in accepted.split():
        layer, _, accuracy = entry.partition(":")
        chosen.append(int(layer))
        dropped = tuple(sorted((*dropped, int(layer))))
        # unrecorded accuracies: between the floor and the baseline
        table[dropped] = round(float(accuracy) * total) if accuracy else base - 2
    if name == "llama arc-e":
        table[(24,)] = table[(31,)] = table[(19,)]
    if refused is not None:
        extra = next(layer for layer in range(layers) if layer not in dropped)
        table[tuple(sorted((*dropped, extra)))] = round(refused * total)

    limit = len(chosen) if refused is None else None
    result = eliminate(oracle(table), layers, total, max_drops=limit)

    assert [step.layer for step in result.steps] == chosen
    assert len(result.best.dropped) == best
    assert len(result.bsba.dropped) == bsba
    assert result.best.correct == max([base, *(step.correct for step in result.steps)])
    assert result.stop_reason == ("max drops" if limit else "below floor")
    rounds = len(chosen) + (not limit)
    assert len(result.candidates) == sum(layers - depth for depth in range(rounds))


def reference(table, layers, total, epsilon, floor, max_drops):
    """Algorithm 1 word for word, over every subset's count and in fractions."""
    dropped = frozenset()
    path = [dropped]
    while len(dropped) < layers - 1 and (max_drops is None or len(path) <= max_drops):
        ranked = sorted((-table[dropped | {x}], x) for x in set(range(layers)) - dropped)
        against = path[0] if floor == "baseline" else dropped
        if Fraction(-ranked[0][0], total) < Fraction(table[against], total) - Fraction(epsilon):
            break
        dropped |= {ranked[0][1]}
        path.append(dropped)
    best = min(path, key=lambda d: (-table[d], len(d)))
    bsba = max((d for d in path if table[d] >= table[path[0]]), key=len)
    return path, best, bsba


@st.composite
def searches(draw):
    layers, total = draw(st.integers(1, 5)), draw(st.sampled_from([1, 7, 12, 50]))
    subsets = [s for k in range(layers + 1) for s in itertools.combinations(range(layers), k)]
    counts = st.integers(max(0, total - 12), total)
    table = {s: draw(counts) for s in subsets}
    options = {
        "epsilon": draw(st.sampled_from(["0", "0.08", "0.1", "0.25", "1"])),
        "floor": draw(st.sampled_from(["baseline", "current"])),
        "max_drops": draw(st.none() | st.integers(0, 5)),
    }
    return layers, total, table, options


@settings(deadline=None)
@given(searches())
def test_agrees_with_brute_force(search):
    layers, total, table, options = search
    path, best, bsba = reference(
        {frozenset(s): c for s, c in table.items()}, layers, total, **options
    )
    result = eliminate(oracle(table), layers, total, **options)
    assert [set(s.dropped) for s in (result.baseline, *result.steps)] == path
    assert (set(result.best.dropped), set(result.bsba.dropped)) == (best, bsba)
    assert all(len(candidate.dropped) < layers for candidate in result.candidates)
    assert [s.iteration for s in result.steps] == list(range(1, len(path)))
    full = options["max_drops"] is not None and len(path) - 1 == options["max_drops"]
    out = len(path) == layers
    reason = "no layer left to drop" if out else "max drops" if full else "below floor"
    assert result.stop_reason == reason


@settings(deadline=None)
@given(searches())
def test_resumes_from_every_prefix(search):
    layers, total, table, options = search
    journal, accepted = [], []
    whole = eliminate(
        oracle(table),
        layers,
        total,
        on_candidate=journal.append,
        on_accepted=accepted.append,
        **options,
    )
    assert journal == [whole.baseline, *whole.candidates]
    assert accepted == list(whole.steps)
    for cut in range(len(journal) + 1):
        known = {candidate.dropped: candidate.correct for candidate in journal[:cut]}
        again, score = [], oracle(table)
        resumed = eliminate(score, layers, total, known=known, on_candidate=again.append, **options)
        assert resumed == whole
        assert again == journal
        assert score.asked == [candidate.dropped for candidate in journal[cut:]]


@pytest.mark.parametrize("total", [250, 290, 550, 1000, 1267])
def test_accepts_a_candidate_exactly_on_the_floor(total):
    for correct in range(0, total + 1, 7):
        lost = next(n for n in itertools.count() if n + 1 > total * 8 // 100)
        lowest = max(0, correct - lost)
        assert floor_count(correct, total, 0.08) == lowest
        table = {(): correct, (0,): lowest, (1,): 0}
        assert len(eliminate(oracle(table), 2, total).steps) == 1
        if lowest > 0:
            table[0,] -= 1
            assert eliminate(oracle(table), 2, total).steps == ()


def test_floats_would_reject_the_floor():
    assert 72 / 100 < 80 / 100 - 0.08  # the trap
    assert floor_count(80, 100) == 72
    assert floor_count(80, 100, "0.08") == floor_count(80, 100, Fraction(2, 25)) == 72


def test_current_floor_moves_and_fixed_floor_does_not():
    table = {(): 80, (0,): 75, (0, 1): 70, (0, 1, 2): 65}
    assert len(eliminate(oracle(table), 4, 100).steps) == 1
    assert len(eliminate(oracle(table), 4, 100, floor="current").steps) == 3


def test_starts_from_initial_drops():
    result = eliminate(oracle({(1, 3): 5, (0, 1, 3): 6}), 4, 10, initial=[3, 1])
    assert result.baseline == Candidate(0, None, (1, 3), 5)
    assert result.best == Candidate(1, 0, (0, 1, 3), 6)
    assert result.stop_reason == "no layer left to drop"


def test_single_layer_is_kept():
    result = eliminate(oracle({(): 3}), 1, 4)
    base = Candidate(0, None, (), 3)
    assert result == Result(4, base, (), base, base, "no layer left to drop", ())


@pytest.mark.parametrize("epsilon", [8, -0.1, "nan", float("inf"), "much", "1/0"])
def test_refuses_impossible_epsilon(epsilon):
    with pytest.raises(InputError, match="epsilon must be"):
        eliminate(oracle({}), 2, 10, epsilon=epsilon)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"initial": [4]}, "no layer 4"),
        ({"initial": [-1]}, "no layer -1"),
        ({"initial": [0, 1, 2, 3]}, "keep at least one"),
        ({"max_drops": -1}, "at least 0"),
        ({"floor": "ceiling"}, "floor must be"),
    ],
)
def test_refuses_impossible_options(options, message):
    with pytest.raises(InputError, match=message):
        eliminate(oracle({}), 4, 10, **options)


@pytest.mark.parametrize("counts", [[5, 11], [5, -1], [5]])
def test_wrong_counts_are_an_error(counts):
    counts = iter(counts)
    with pytest.raises(ValueError, match="not a count"):
        eliminate(lambda candidates: counts, 3, 10)
