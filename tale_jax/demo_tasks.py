"""Six benchmarks in miniature, generated: the demo model learns them, the demo prunes it for them.

==============  ================================================  =============  ======
task            example                                           answer         chance
==============  ================================================  =============  ======
`boolean`       not ( True and False ) or False is                one of two     50 %
`arithmetic`    107 + 48 =                                        generated      < 1 %
`facts`         who has what, told in the prompt; A) … D)         one of 2 to 4  36 %
`quantifiers`   do all / some / no listed things have a colour    one of two     50 %
`reverse`       reverse: k d a f m =                              generated      < 1 %
`order`         who is the tallest or shortest of two to four     one of 2 to 4  29 %
==============  ================================================  =============  ======

An example is a pure function of (task, split, index, seed), the same on every platform.  The split
is decided by a hash of the prompt alone, so that no prompt is in two splits whatever the seeds.
Answers are balanced: one that never looks at the prompt scores at chance.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import random
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, TypeVar

from attention.errors import InputError
from tale_jax.examples import Example

Split = Literal["train", "validation", "test"]
SIZES = {"train": 100, "validation": 500, "test": 1000}  # of a loaded task; training draws on

NAMES = ["Anna", "Ben", "Carl", "Dora", "Eve", "Finn", "Hugo", "Mia"]
THINGS = ["ball", "book", "coin", "cup", "drum", "hat", "key", "lamp"]
COLOURS = ["red", "blue", "green", "white"]
LETTERS = "ABCD"
ALPHABET = "abcdefghijklmnopqrstuvwxyz"

_Item = TypeVar("_Item")


class _Draws:
    """Random draws that no version of Python changes: only ``random()`` is guaranteed to stay."""

    def __init__(self, key: str) -> None:
        self._random = random.Random(key).random

    def below(self, bound: int) -> int:
        return int(self._random() * bound)

    def between(self, low: int, high: int) -> int:
        return low + self.below(high - low + 1)

    def pick(self, items: Sequence[_Item]) -> _Item:
        return items[self.below(len(items))]

    def sample(self, items: Sequence[_Item], count: int) -> list[_Item]:
        pool = list(items)
        return [pool.pop(self.below(len(pool))) for _ in range(count)]

    def shuffled(self, items: Sequence[_Item]) -> list[_Item]:
        return self.sample(items, len(items))


class Worked(NamedTuple):
    """An example, and what a training text says behind its answer.

    One answer an example is little to learn from; the notes spell out the look-ups that it rests
    on. No prompt ever shows them.
    """

    example: Example
    notes: str = ""


def _expression(draws: _Draws, literals: int, operator: str) -> tuple[str, bool]:
    """A boolean expression of so many literals, and its value; every nested pair in parentheses."""
    if literals == 1:
        value, negated = draws.pick((True, False)), draws.pick((True, False))
        return f"not {value}" if negated else f"{value}", value != negated
    left = draws.between(1, literals - 1)
    texts, values = [], []
    for count in (left, literals - left):
        text, value = _expression(draws, count, draws.pick(("and", "or")))
        if count > 1:
            negated = draws.below(3) == 0
            text, value = f"not ( {text} )" if negated else f"( {text} )", value != negated
        texts.append(text)
        values.append(value)
    return f" {operator} ".join(texts), all(values) if operator == "and" else any(values)


def _boolean(draws: _Draws) -> Worked:
    # The outer operator is drawn before the value, or "and" would mean False three times in four.
    target, operator = draws.pick((True, False)), draws.pick(("and", "or"))
    literals = draws.between(2, 5)
    while True:
        text, value = _expression(draws, literals, operator)
        if value == target:
            return Worked(Example(f"{text} is", (" True", " False"), 0 if target else 1))


def _arithmetic(draws: _Draws) -> Worked:
    # The larger number first: a sum and its mirror image must not sit in two splits.
    small, large = sorted((draws.between(1, 120), draws.between(1, 120)))
    if draws.below(2):
        return Worked(Example(f"{large} + {small} =", None, f" {large + small}"))
    return Worked(Example(f"{large} - {small} =", None, f" {large - small}"))


def _facts(draws: _Draws) -> Worked:
    count = draws.between(2, 4)
    names, things = draws.sample(NAMES, count), draws.sample(THINGS, count)
    told = " ".join(f"{n} has the {t}." for n, t in zip(names, things, strict=True))
    asked = draws.below(count)
    if draws.below(2):
        question, options, right = f"Who has the {things[asked]}?", names, names[asked]
    else:
        question, options, right = f"What does {names[asked]} have?", things, things[asked]
    options = draws.shuffled(options)
    listed = " ".join(f"{a}) {o}" for a, o in zip(LETTERS, options, strict=False))
    prompt = f"{told} {question} {listed} Answer:"
    # Of every fact what is asked about, the answer and its letter.
    pairs = draws.shuffled(list(zip(names, things, strict=True)))
    notes = "".join(
        f" {t} {n} {LETTERS[options.index(n)]}"
        if options[0] in names
        else f" {n} {t} {LETTERS[options.index(t)]}"
        for n, t in pairs
    )
    answers = tuple(f" {a}" for a in LETTERS[:count])
    return Worked(Example(prompt, answers, options.index(right)), notes)


def _quantifiers(draws: _Draws) -> Worked:
    quantifier, target = draws.pick(("all", "some", "no")), draws.pick((True, False))
    while True:
        things, colours = draws.sample(THINGS, 3), draws.sample(COLOURS, 3)
        items = [(draws.pick(colours), draws.pick(things)) for _ in range(draws.between(3, 4))]
        colour, thing = draws.pick(items)[0], draws.pick(items)[1]
        having = [c == colour for c, t in items if t == thing]
        # For "all", both answers have two such things and one of the colour, so that neither
        # their number nor the presence of the pair gives the answer away.
        if quantifier == "all" and (len(having) < 2 or not any(having)):
            continue
        if {"all": all(having), "some": any(having), "no": not any(having)}[quantifier] == target:
            break
    listed = ", ".join(f"a {c} {t}" for c, t in items)
    prompt = f"There is {listed}. Are {quantifier} {thing}s {colour}? Answer:"
    # Of every thing its colours, in the order of the list.
    kinds = draws.shuffled(sorted({t for _, t in items}))
    notes = "".join(f" {kind} {' '.join(c for c, t in items if t == kind)}" for kind in kinds)
    return Worked(Example(prompt, (" yes", " no"), 0 if target else 1), notes)


def _reverse(draws: _Draws) -> Worked:
    letters = [draws.pick(ALPHABET) for _ in range(draws.between(5, 9))]
    answer = f" {' '.join(reversed(letters))}"
    return Worked(Example(f"reverse: {' '.join(letters)} =", None, answer))


def _order(draws: _Draws) -> Worked:
    tall_first = draws.sample(NAMES, draws.between(2, 4))
    told = []
    for taller, shorter in itertools.pairwise(tall_first):
        told.append(
            f"{taller} is taller than {shorter}."
            if draws.below(2)
            else f"{shorter} is shorter than {taller}."
        )
    extreme, right = draws.pick((("tallest", tall_first[0]), ("shortest", tall_first[-1])))
    options: list[str] = draws.shuffled(tall_first)
    prompt = f"{' '.join(draws.shuffled(told))} Who is the {extreme}? Answer:"
    asked = Example(prompt, tuple(f" {name}" for name in options), options.index(right))
    return Worked(asked, f" {' '.join(tall_first)}")


@dataclasses.dataclass(frozen=True)
class DemoTask:
    """A generator of examples and its one-line description."""

    description: str
    generate: Callable[[_Draws], Worked]


DEMO_TASKS = {
    "boolean": DemoTask("value of an expression of not, and, or (two choices)", _boolean),
    "arithmetic": DemoTask("sum or difference of two numbers up to 120 (generated)", _arithmetic),
    "facts": DemoTask("lettered question about the facts just told (2 to 4 choices)", _facts),
    "quantifiers": DemoTask("do all, some or no such things have a colour (yes/no)", _quantifiers),
    "reverse": DemoTask("five to nine letters in reverse order (generated)", _reverse),
    "order": DemoTask("the tallest or shortest, from comparisons of pairs (2 to 4 names)", _order),
}


def split_of(prompt: str) -> Split:
    """The one split that a prompt belongs to: a tenth validation, a tenth test, the rest train."""
    tenth = int.from_bytes(hashlib.blake2b(prompt.encode(), digest_size=8).digest(), "big") % 10
    return "validation" if tenth == 0 else "test" if tenth == 1 else "train"


def worked(name: str, split: Split, index: int, seed: int = 0) -> Worked:
    """Example ``index`` of a split with its notes: draws are repeated until one is in the split.

    Raises:
        InputError: no demo task has that name.
    """
    if name not in DEMO_TASKS:
        raise InputError(f"no demo task {name!r}; there are {', '.join(DEMO_TASKS)}")
    attempt = 0
    while True:
        drawn = DEMO_TASKS[name].generate(_Draws(f"{seed} {name} {split} {index} {attempt}"))
        if split_of(drawn.example.prompt) == split:
            return drawn
        attempt += 1


def examples(name: str, split: Split, count: int, seed: int = 0) -> list[Example]:
    """The first ``count`` examples of a split whose prompts differ, in the order of their index.

    Raises:
        InputError: no demo task has that name, or it has too few different prompts.
    """
    found: dict[str, Example] = {}
    for index in range(20 * count + 100):
        if len(found) == count:
            break
        drawn = worked(name, split, index, seed).example
        found.setdefault(drawn.prompt, drawn)
    if len(found) < count:
        raise InputError(f"demo task {name!r} has fewer than {count} {split} examples")
    return list(found.values())
