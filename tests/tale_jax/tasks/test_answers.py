"""Verdicts on written answers and on scores."""

import pytest

from tale_jax.tasks.answers import argmax, extract, judge_first
from tale_jax.tasks.examples import Example

LETTERS = (" A", " B", " C", " D")


@pytest.mark.parametrize(
    ("text", "choices", "answer"),
    [
        (" B", LETTERS, 1),
        ("\n\n C) because A is wrong", LETTERS, 2),
        ("The answer is D.", LETTERS, 3),
        ("Anna", LETTERS, None),  # a letter within a word is not a choice
        ("(B)", LETTERS, 1),
        ("b", LETTERS, None),
        ("", LETTERS, None),
        ("True", (" True", " False"), 0),
        ("Falsehood, True", (" True", " False"), 0),
        ("New York City", ("New", "New York", "York"), 1),  # the longest that begins there
        ("New Yorker", ("New", "New York", "York"), 0),
        ("a.b", ("a", "a.b", "axb"), 1),  # choices are text, not patterns
        ("(a", ("(a", "b)"), 0),
        ("yes", ("yes", " yes"), None),  # writing cannot tell them apart
        ("x", (" ", "\n"), None),
        ("x", (" ", "x"), 1),
        (" 85\nnext", None, "85"),
        ("\n85", None, None),
        ("k d a ", None, "k d a"),
    ],
)
def test_extraction(text, choices, answer):
    assert extract(text, choices) == answer


def test_verdicts():
    assert judge_first(" B", Example("?", LETTERS, 1))[1] is True
    assert judge_first("A or B", Example("?", LETTERS, 1))[1] is False
    assert judge_first("nothing", Example("?", LETTERS, 0))[1] is False  # None is not index 0
    assert judge_first("85 \n86", Example("?", None, " 85"))[1] is True
    assert judge_first("850", Example("?", None, " 85"))[1] is False
    assert judge_first("", Example("?", None, " 85"))[1] is False


@pytest.mark.parametrize(
    ("scores", "best"),
    [
        ([-2.0, -1.0, -3.0], 1),
        ([-1.0, -1.0, -3.0], None),
        ([-1.0, -3.0, -3.0], 0),
        ([0.5], 0),
        ([float("nan"), 1.0], None),
        ([1.0, float("nan")], None),
        ([float("-inf"), float("-inf")], None),
    ],
)
def test_argmax_takes_no_side_in_a_tie(scores, best):
    assert argmax(scores) == best
