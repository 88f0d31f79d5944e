"""From what a model wrote, or how it scored the choices, to a verdict."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tale_jax.examples import Example


def extract(text: str, choices: Sequence[str] | None) -> int | str | None:
    """The answer in generated text: the index of a choice, or the first line if there are none.

    Of the choices (without surrounding space) the one that stands first in the text as whole words
    counts, the longest if several begin there.  None: the text holds no choice, or the choice
    differs from another only in surrounding space.
    """
    if choices is None:
        return text.partition("\n")[0].strip()
    bare = [choice.strip() for choice in choices]
    longest_first = sorted({choice for choice in bare if choice}, key=len, reverse=True)
    if not longest_first:
        return None
    one_of = "|".join(re.escape(choice) for choice in longest_first)
    found = re.search(rf"(?<!\w)(?:{one_of})(?!\w)", text)
    if found is None or bare.count(found.group()) > 1:
        return None
    return bare.index(found.group())


def is_correct(text: str, example: Example) -> bool:
    """Whether generated text answers the example."""
    answer = extract(text, example.choices)
    if isinstance(example.answer, str):
        return answer == example.answer.strip()
    return answer == example.answer


def argmax(scores: Sequence[float]) -> int | None:
    """Index of the largest score; None, which is no answer, on an exact tie or a NaN."""
    best = max(scores)
    if sum(not score < best for score in scores) > 1:  # NaN is not below anything
        return None
    return list(scores).index(best)
