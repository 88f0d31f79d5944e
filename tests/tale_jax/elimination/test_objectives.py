"""Several tasks at once: their counts as one, and early rejection on weighted parts."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attention.errors import InputError
from tale_jax.elimination import OBJECTIVES, AtMost, Joint, Part, race_by_task
from tale_jax.elimination.control import shuffled
from tale_jax.tasks import Example


def test_every_task_counts_the_same():
    joint = Joint((6, 4, 10))
    assert joint.weights == (10, 15, 6)
    assert joint.total == 180
    mean = Fraction(3, 6) / 3 + Fraction(1, 4) / 3 + Fraction(7, 10) / 3
    assert Fraction(joint.value([3, 1, 7]), joint.total) == mean
    least = Joint((6, 4, 10), "min")
    assert Fraction(least.value([3, 1, 7]), least.total) == Fraction(1, 4)
    assert isinstance(least.value([3, AtMost(4), 7]), AtMost)
    verdicts = [True] * 3 + [False] * 3 + [True, False, False, False] + [True] * 7 + [False] * 3
    assert joint.verdicts(verdicts) == joint.value([3, 1, 7])
    with pytest.raises(InputError, match="unknown objective"):
        OBJECTIVES.pick("median")


@st.composite
def tables(draw):
    sizes = draw(st.lists(st.integers(1, 9), min_size=1, max_size=3))
    candidates, seed = draw(st.integers(1, 6)), draw(st.integers(0, 2**20))
    verdicts = np.random.default_rng(seed).random((candidates, sum(sizes))) < 0.6
    most = draw(st.integers(1, 4))
    objective = draw(st.sampled_from(["mean", "min"]))
    return verdicts, Joint(tuple(sizes), objective), most, draw(st.floats(0, 1)), seed


@settings(deadline=None, max_examples=3 * settings.default.max_examples)
@given(tables(), st.integers(1, 3), st.integers(1, 3))
def test_the_best_are_those_that_counting_chooses(table, winners, ahead):
    verdicts, joint, most, share, seed = table
    edges = list(itertools.accumulate(joint.sizes, initial=0))
    pieces = [
        (task, start, min(start + most, edges[task + 1]))
        for task in range(len(joint.sizes))
        for start in range(edges[task], edges[task + 1], most)
    ]
    np.random.default_rng(seed).shuffle(pieces)
    asked = []

    def ask(candidate, part):
        asked.append((candidate, part))
        _, start, end = pieces[part]
        return int(verdicts[candidate, start:end].sum())

    parts = [Part(int(task), int(end - start)) for task, start, end in pieces]
    how = {"floor": round(share * joint.total), "winners": winners, "ahead": ahead}
    found = race_by_task(len(verdicts), parts, ask, int, joint.value, **how)
    exact = [joint.verdicts(row.tolist()) for row in verdicts]
    values = [joint.value(counts) for counts in found]
    for counts, row in zip(found, verdicts, strict=True):
        right = [int(part.sum()) for part in joint.divide(row)]
        for count, true in zip(counts, right, strict=True):
            assert count >= true if isinstance(count, AtMost) else count == true
    assert len(asked) == len(set(asked))

    def best(values):
        reach = [c for c, value in enumerate(values) if value >= how["floor"]]
        return sorted(reach, key=lambda c: -values[c])[:winners]

    assert best(values)[: len(best(exact))] == best(exact)
    assert all(not isinstance(values[c], AtMost) for c in best(exact))


def test_one_bad_task_rejects_a_candidate():
    joint, asked = Joint((4, 40), "min"), []

    def ask(candidate, part):
        asked.append(part)
        return [0, 40][part] if candidate == 0 else [4, 40][part]

    parts = [Part(0, 4), Part(1, 40)]
    found = race_by_task(2, parts, ask, int, joint.value, floor=30, ahead=1)
    assert asked == [0, 0, 1]
    assert found == [[0, 40], [4, 40]]
    assert isinstance(found[0][1], AtMost)


def test_answers_are_dealt_within_their_task():
    examples = [Example(str(i), ("a", "b"), int(i < 7)) for i in range(17)]
    dealt = shuffled(examples, 3, Joint((7, 10)))
    assert [e.answer for e in dealt] == [e.answer for e in examples]
    assert [e.answer for e in shuffled(examples, 3)] != [e.answer for e in examples]
