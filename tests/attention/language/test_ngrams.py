"""Kneser-Ney models: probabilities that sum to one, and values by hand."""

import math

import numpy as np
import pytest

from attention.errors import InputError
from attention.language import FLOORS, NgramModel, fit_floors

VOCABULARY = 7


def random_text(seed: int) -> list[np.ndarray]:
    draw = np.random.default_rng(seed)
    return [draw.integers(0, VOCABULARY - 1, draw.integers(0, 19)) for _ in range(23)]


@pytest.mark.parametrize("order", FLOORS.values())
def test_every_context_sums_to_one(order):
    model = NgramModel.fit(random_text(1), VOCABULARY, order)
    for context in [[], [0], [6], [1, 2], [6, 6], [3, 6], [6, 3], [2, 5, 1]]:
        each = [np.array([*context, word]) for word in range(VOCABULARY)]
        last = [found[-1] for found in model.log_probs(each)]
        assert math.fsum(map(math.exp, last)) == pytest.approx(1, abs=1e-12)
        assert min(last) > -math.inf


def test_a_bigram_by_hand():
    # Bigrams with the marker s: (s a) 2, (a b) 3, (b a) 1, (b c) 1; n₁ = 2, n₂ = 1: D = 2/4.
    a, b, c = 0, 1, 2
    model = NgramModel.fit([np.array([a, b, a, b]), np.array([a, b, c])], 4, 2)
    # Continuations: a after s and b, b after a, c after b: counts 2, 1, 1; D = 2/(2 + 2) again.
    unigram = {
        a: (2 - 0.5) / 4 + 0.5 * 3 / 4 / 4,
        b: (1 - 0.5) / 4 + 0.5 * 3 / 4 / 4,
        3: 0.5 * 3 / 4 / 4,
    }
    found = model.log_probs([np.array([a, b, b, a]), np.array([3, 3])])
    expected = [
        (2 - 0.5) / 2 + 0.5 * 1 / 2 * unigram[a],
        (3 - 0.5) / 3 + 0.5 * 1 / 3 * unigram[b],
        0 + 0.5 * 2 / 2 * unigram[b],
        (1 - 0.5) / 2 + 0.5 * 2 / 2 * unigram[a],
    ]
    np.testing.assert_allclose(np.exp(found[0]), expected, rtol=1e-12)
    # After the marker, and after a token that never stood before another.
    np.testing.assert_allclose(np.exp(found[1]), [0.5 / 2 * unigram[3], unigram[3]], rtol=1e-12)


def test_more_context_explains_a_text_better():
    cycle = np.tile([0, 1, 2, 1], 31)
    floors = fit_floors([cycle[:97]], VOCABULARY)
    found = [floors[name].perplexity([cycle[97:]]) for name in FLOORS]
    assert found[0] > 1.5 * found[1] and found[1] > 1.2 * found[2]


def test_bad_text_is_refused():
    with pytest.raises(InputError, match="no token"):
        NgramModel.fit([], VOCABULARY)
    with pytest.raises(InputError, match="not among the 7"):
        NgramModel.fit([np.array([7])], VOCABULARY)
    with pytest.raises(InputError, match="too large"):
        NgramModel.fit([np.array([1])], 2**21)
    assert NgramModel.fit([np.array([1])], 3).log_probs([]) == []
