"""A race chooses what counting everything would have chosen, on random tables of verdicts."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tale_jax.elimination.early_rejection import AtMost, race


def raced(verdicts, parts, **options):
    """`race` over a table `[candidate, example]`; also how many verdicts were asked for."""
    edges = np.cumsum([0, *parts])
    asked = []

    def ask(candidate, part):
        asked.append((candidate, part))
        return int(verdicts[candidate, edges[part] : edges[part + 1]].sum())

    return race(len(verdicts), parts, ask, lambda handle: handle, **options), asked


@st.composite
def tables(draw):
    parts = draw(st.lists(st.integers(1, 5), min_size=1, max_size=6))
    candidates, seed = draw(st.integers(1, 7)), draw(st.integers(0, 2**20))
    share = draw(st.sampled_from([0.1, 0.5, 0.9]))
    verdicts = np.random.default_rng(seed).random((candidates, sum(parts))) < share
    options = {
        "floor": draw(st.integers(0, sum(parts))),
        "winners": draw(st.integers(1, 3)),
        "ahead": draw(st.integers(1, 3)),
    }
    return verdicts, parts, options


@settings(deadline=None, max_examples=3 * settings.default.max_examples)
@given(tables())
def test_the_best_are_exact_and_the_others_bounded(table):
    verdicts, parts, options = table
    counts, asked = raced(verdicts, parts, **options)
    exact = verdicts.sum(1).tolist()
    assert len(asked) == len(set(asked))
    for count, right in zip(counts, exact, strict=True):
        assert count >= right if isinstance(count, AtMost) else count == right

    def best(values):
        reach = [c for c, value in enumerate(values) if value >= options["floor"]]
        return sorted(reach, key=lambda c: -values[c])[: options["winners"]]

    # The wanted ones are the same, in the same order, and nothing else looks as good.
    assert best(counts)[: len(best(exact))] == best(exact)
    assert all(not isinstance(counts[c], AtMost) for c in best(exact))


def test_hopeless_candidates_are_asked_little():
    verdicts = np.zeros((5, 40), bool)
    verdicts[3] = True
    counts, asked = raced(verdicts, [4] * 10, ahead=1)
    assert counts[3] == 40
    assert len(asked) == 3 + 10  # the last can at best be as good, and stands behind
    counts, asked = raced(verdicts[:3], [4] * 10, floor=38, ahead=1)
    assert counts == [36, 36, 36]
    assert len(asked) == 3
