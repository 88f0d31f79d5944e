"""The search on shuffled answers."""

import numpy as np
import pytest

from tale_jax.elimination.control import NullControl, compare_gains, shuffled
from tale_jax.elimination.loop import eliminate
from tale_jax.elimination.options import SearchOptions
from tale_jax.tasks import Answer, Example

EXAMPLES = tuple(
    Example("abcdefghij"[: 3 + i % 5], (" a", " bc", " d"), i * 7 % 3) for i in range(13)
)


def test_shuffling_deals_answers_among_examples_of_one_kind():
    mixed = [*EXAMPLES, *(Example(str(i), ("a", "b"), i % 2) for i in range(7))]
    dealt = shuffled(mixed, 3)
    assert dealt == shuffled(mixed, 3) != shuffled(mixed, 4)
    assert [e.prompt for e in dealt] == [e.prompt for e in mixed]
    for kind in (mixed[:13], mixed[13:]):
        places = [mixed.index(e) for e in kind]
        assert sorted(dealt[i].answer for i in places) == sorted(e.answer for e in kind)


def test_the_control_is_the_search_on_shuffled_answers():
    asked = []

    def answers(dropped):
        asked.append(dropped)
        draw = np.random.default_rng(len(dropped) * 31 + sum(dropped))
        return [Answer(int(draw.integers(3)), False) for _ in EXAMPLES]

    options = SearchOptions(max_drops=2)
    control = NullControl(
        answers, EXAMPLES, lambda score: eliminate(score, 4, len(EXAMPLES), options)
    )
    found = [control.run(seed) for seed in range(3)]
    assert len(asked) == len(set(asked))  # predictions are made once
    wanted = [example.answer for example in shuffled(EXAMPLES, 2)]

    def correct(dropped):
        given = answers(tuple(dropped))
        return sum(a.prediction == w for a, w in zip(given, wanted, strict=True))

    assert found[2]["baseline"] == correct(())
    assert found[2]["best"] == correct(found[2]["dropped"])
    real = eliminate(lambda models: [20 + 2 * (2 in d) for d in models], 4, 50, options)
    assert compare_gains(real, []) is None
    gains = compare_gains(real, [{"baseline": 20, "best": b} for b in (20, 22, 25)])
    assert gains["p_value"] == 3 / 4
    assert gains["gain"] == pytest.approx((real.best.correct - real.baseline.correct) / real.total)
    assert gains["gains"] == [0, 0.04, 0.1]
    assert gains["mean_gain"] == pytest.approx(7 / 150)
