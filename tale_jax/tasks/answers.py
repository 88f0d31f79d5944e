"""Reads the answer in what a model wrote, or in how it scored the choices, and judges it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

from tale_jax.tasks.examples import Example, JsonValue

_GROUPS = ",'\u2019\u00a0\u2007\u2009\u202f"  # comma, apostrophes, spaces that do not break
_WHOLE = rf"(?:\d{{1,3}}(?:[{_GROUPS}]\d{{3}})+(?!\d)|\d+)"
_UNSIGNED = rf"(?:{_WHOLE}(?:\.\d+)?(?:[eE][-+]?\d{{1,3}}(?!\d))?|\.\d+)"
NUMBER = rf"[-+]?{_UNSIGNED}"
_BRACED = r"\\boxed\s*\{((?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*)\}"


class Answer(NamedTuple):
    """What a model answered to one example.

    Attributes:
        prediction: the answer as a JSON value; None: no answer could be read.
        correct: whether it is right.
        cut: whether the model was still writing when it had written as many tokens as it may.
    """

    prediction: JsonValue
    correct: bool
    cut: bool = False


def count_unparsed(answers: Iterable[Answer]) -> int:
    """How many answers there are in which nothing could be read."""
    return sum(answer.prediction is None for answer in answers)


def count_cut(answers: Iterable[Answer]) -> int:
    """How many answers were cut off before their end."""
    return sum(answer.cut for answer in answers)


def extract(text: str, choices: Sequence[str] | None) -> int | str | None:
    """Read the answer in written text.

    With choices, the one that stands first in the text as whole words counts, and the longest if
    several begin there. Space around a choice is ignored. A choice of one letter or digit must
    stand there as it is. A longer one may be in capitals or not, unless that is all that tells two
    of them apart. Without choices the first line counts.

    Args:
        text: what was written.
        choices: what there was to choose from; None: nothing.

    Returns:
        The index of the choice, or the line. None if the text holds no choice, if the choice
        differs from another only in surrounding space, or if the line is empty.
    """
    if choices is None:
        return text.partition("\n")[0].strip() or None
    bare = [choice.strip() for choice in choices]
    longest_first = sorted({choice for choice in bare if choice}, key=len, reverse=True)
    if not longest_first:
        return None
    folded = {choice.casefold() for choice in longest_first}
    any_case = len(folded) == len(longest_first)
    one_of = "|".join(
        f"(?i:{re.escape(choice)})" if any_case and len(choice) > 1 else re.escape(choice)
        for choice in longest_first
    )
    found = re.search(rf"(?<!\w)(?:{one_of})(?!\w)", text)
    if found is None:
        return None
    same = [i for i, choice in enumerate(bare) if choice == found.group()]
    if not same:
        same = [i for i, c in enumerate(bare) if c.casefold() == found.group().casefold()]
    return same[0] if len(same) == 1 else None


def judge_first(text: str, example: Example) -> tuple[JsonValue, bool]:
    """The choice or the line that stands first, as of ``extract``, and whether it is right."""
    answer = extract(text, example.choices)
    right = example.answer.strip() if isinstance(example.answer, str) else example.answer
    return answer, answer == right


def judge_number(text: str, example: Example) -> tuple[JsonValue, bool]:
    """The number that a text ends in, as a string, and whether it is the right one.

    Whole numbers must be equal. Others may differ by 1e-3, as in the evaluation of PAL (Gao et al.,
    2023).
    """
    found, right = read_number(text), read_number(str(example.answer))
    if found is None or right is None:
        return None, False
    margin = Decimal(0) if right == right.to_integral_value() else Decimal("1e-3")
    return _plain(found), abs(found - right) <= margin


def read_number(text: str) -> Decimal | None:
    r"""The number behind the first ``####``, else in the last ``\boxed{}``, else the last one.

    What stands between groups of three digits is ignored: commas, apostrophes, and spaces at which
    no line breaks, thin ones too. So are dollar signs and the spaces of LaTeX.

    Returns:
        The number, or None if there is none at that place.
    """
    text = re.sub(r"\\[,!; ]|\\text\s*\{\s*\}", "", text).replace("{,}", ",").replace("\u2212", "-")
    text = re.sub(r"([-+])\s*(?:\\?\$)\s*(?=[\d.])|\\?\$", r"\1", text)
    if marked := re.search(rf"####\s*({NUMBER})", text):
        return _decimal(marked.group(1))
    if boxed := re.findall(_BRACED, text):
        numbers = re.findall(rf"(?<![\w.]){_signed()}", boxed[-1])
        return _decimal(numbers[0]) if len(numbers) == 1 else None
    numbers = re.findall(rf"(?<![\w.]){_signed()}", text)
    return _decimal(numbers[-1]) if numbers else None


def cut(text: str, stops: Sequence[str]) -> str:
    """The text before the first stop string in it."""
    ends = [place for stop in stops if (place := text.find(stop)) >= 0]
    return text[: min(ends)] if ends else text


def argmax(scores: Sequence[float]) -> int | None:
    """The index of the largest score; None, which is no answer, for an exact tie or a NaN."""
    best = max(scores)
    if sum(not score < best for score in scores) > 1:  # NaN is not below anything
        return None
    return list(scores).index(best)


def _signed() -> str:
    """A pattern of a number with its sign; the hyphen in ``12-15`` is not a sign."""
    return rf"((?:(?<!\d)[-+])?{_UNSIGNED})"


def _decimal(digits: str) -> Decimal | None:
    try:
        return Decimal(re.sub(f"[{_GROUPS}]", "", digits))
    except InvalidOperation:
        return None


def _plain(number: Decimal) -> str:
    """A number as text, without exponent and trailing zeros unless that would be long."""
    if number.adjusted() > 30 or number.adjusted() < -30:
        return str(number)
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
