"""Verdicts on written answers and on scores."""

from decimal import Decimal

import pytest

from tale_jax.tasks.answers import (
    Answer,
    argmax,
    count_cut,
    count_unparsed,
    cut,
    extract,
    judge_first,
    judge_number,
    read_number,
)
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
        ("YES", ("yes", "no"), 0),  # a word may be in capitals
        ("Yes and no", ("no", "yes"), 1),
        ("NO", ("yes", "no"), 1),
        ("US", ("us", "US"), 1),  # unless that tells two apart
        ("Us", ("us", "US"), None),
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


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("so 3 + 4 = 7.\n#### 7\nQuestion: 9", "7"),
        ("#### 1,234", "1234"),
        ("#### -$3", "-3"),
        ("#### -9867630.0", "-9867630"),
        (r"thus $\boxed{42}$, not 41", "42"),
        (r"\boxed{-1{,}000}", "-1000"),
        (r"\boxed{10\!000}", "10000"),
        (r"\boxed{\frac{1}{2}}", None),
        (r"\boxed{1} then \boxed{3 \text{ cm}}", "3"),
        ("costs $1,000.50.", "1000.5"),
        ("from 12-15", "15"),
        ("a list 1,2,3", "3"),
        ("1\u2009234 apples", "1234"),  # a thin space, and others at which no line breaks
        ("1\u202f234\u202f567.5", "1234567.5"),
        ("1\u00a0234", "1234"),
        ("#### 1\u2019234", "1234"),
        (r"\boxed{1'234}", "1234"),
        ("1'23", "23"),  # no group
        ("room 12 345", "345"),  # a plain space divides numbers
        ("x2", None),
        ("nothing", None),
        ("", None),
        ("1e999999999", "1"),  # no such exponent
    ],
)
def test_numbers(text, number):
    found = read_number(text)
    assert found == (None if number is None else Decimal(number))


def test_numbers_are_judged():
    whole, part = Example("?", None, "1,200"), Example("?", None, "2.6666666666666665")
    assert judge_number("#### 1200.0", whole) == ("1200", True)
    assert judge_number("#### 1200.0001", whole)[1] is False
    assert judge_number("2.667", part)[1] and not judge_number("2.67", part)[1]
    assert judge_number("none", whole) == (None, False)
    assert judge_number("2.6656666666666666", part)[1] is True  # both ends count
    assert judge_number("7", Example("?", None, "none")) == (None, False)


def test_numbers_are_shown_short():
    shown = {
        "7": "7", "1200.50": "1200.5", "100": "100", "1e30": "1" + 30 * "0", "1e31": "1E+31",
        "1e-30": "0." + 29 * "0" + "1", "1e-31": "1E-31",
    }  # fmt: skip
    for text, number in shown.items():
        assert judge_number(text, Example("?", None, "7"))[0] == number


def test_what_is_cut_and_what_cannot_be_read_is_counted():
    answers = [Answer(None, False), Answer("a", True, cut=True), Answer(None, False, cut=False)]
    assert (count_unparsed(answers), count_cut(answers)) == (2, 1)


def test_a_text_ends_at_its_first_stop():
    assert cut("one. two\nthree", ["\n", ". "]) == "one"
    assert cut("one", ["x", "y"]) == "one"
    assert cut("xone", ["x"]) == ""
