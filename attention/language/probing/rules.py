"""How a sentence is scored: one row a rule."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from attention.choices import Choices
from attention.errors import InputError

if TYPE_CHECKING:
    from attention.language.probing.sentences import Sentence
    from attention.likelihood import Row

Head = Literal["causal_lm", "masked_lm"]
WORDS = {"causal_lm": "causal", "masked_lm": "masked"}


@dataclasses.dataclass(frozen=True)
class Rule:
    """How a sentence is scored by the log-probabilities of its tokens.

    Attributes:
        description: one line.
        head: of the models that it is for.
        row: ``"package.module:function"``, or a function that makes the ``Row`` of a sentence.
        mean: the score is their mean, not their sum.
        hides: whether each target is hidden when it is predicted, with those behind it that have
            the same owner.
    """

    description: str
    head: Head
    row: str | Callable[[Sentence], Row]
    mean: bool = False
    hides: bool = False


SENTENCES = "attention.language.probing.sentences"
RULES: Choices[Rule] = Choices(
    "rule",
    {
        "sum": Rule("log-probability of the sentence", "causal_lm", f"{SENTENCES}:left_to_right"),
        "mean": Rule("… divided by its tokens", "causal_lm", f"{SENTENCES}:left_to_right", True),
        "unmasked": Rule(
            "mean log-probability of every token, special ones too, with nothing masked",
            "masked_lm",
            f"{SENTENCES}:all_in_sight",
            True,
        ),
        "pll": Rule(
            "sum of the log-probabilities of tokens that are masked one at a time",
            "masked_lm",
            f"{SENTENCES}:each_token",
            hides=True,
        ),
        "pll-word": Rule(
            "… each masked together with the rest of its word behind it",
            "masked_lm",
            f"{SENTENCES}:each_in_its_word",
            hides=True,
        ),
    },
)
USUAL = {"causal_lm": "sum", "masked_lm": "unmasked"}


def pick_rule(name: str, head: str) -> tuple[str, Rule]:
    """Find the rule for a model.

    Args:
        name: a key of ``RULES``, or ``auto``: ``sum`` for causal, ``unmasked`` for masked models.
        head: of the model.

    Returns:
        The rule's name, and its row.

    Raises:
        InputError: the model has no language-model head, or the rule is for the other kind.
    """
    if head not in USUAL:
        raise InputError(f"the model has the head {head}; minimal pairs need a language model")
    chosen = USUAL[head] if name == "auto" else name
    rule = RULES.pick(chosen)
    if rule.head != head:
        fit = ", ".join(key for key, row in RULES.items() if row.head == head)
        raise InputError(
            f"the rule {chosen} is for {WORDS[rule.head]} models, and this one is {WORDS[head]}: "
            f"choose --rule {fit}"
        )
    return chosen, rule
