"""Five small generated tasks, which the demo model was trained on.

==============  ================================================  =============  ======
task            example                                           answer         chance
==============  ================================================  =============  ======
`boolean`       not ( True and False ) or False is                one of two     50 %
`arithmetic`    107 + 48 =                                        generated      < 1 %
`facts`         who has which thing, told in the prompt; A) B) …  2 to 4         36 %
`quantifiers`   are all / some / no pens of those listed red      one of two     50 %
`reverse`       reverse: k d a f m =                              generated      < 1 %
==============  ================================================  =============  ======

An example is a pure function of (task, split, index, seed), the same on every platform.  The split
is decided by a hash of the prompt alone, so that no prompt is in two splits whatever the seeds.
Answers are balanced: one that never looks at the prompt scores at chance.
"""

from __future__ import annotations

import dataclasses
import hashlib
import random
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, TypeVar

from attention.errors import InputError
from tale_jax.tasks.examples import Example, Task
from tale_jax.tasks.request import Request

DemoSplit = Literal["train", "validation", "test"]
SIZES = {"train": 100, "validation": 500, "test": 1000}  # of a loaded task; training draws on

NAMES = "Anna Ben Carl Dora Eve Finn Hugo Ida Jack Kate Leo Mia Nick Olga Paul Rosa".split()
THINGS = "ball bell book coin cup drum hat key lamp map pen ring".split()
COLOURS = "red blue green white black pink".split()
QUANTIFIERS = "all some no".split()
LETTERS = "ABCD"
ALPHABET = "abcdefghijklmnopqrstuvwxyz"

_Item = TypeVar("_Item")


class _Draws:
    """Random draws that are the same in every version of Python, which only ``random()`` is."""

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

    One answer for each example is little to learn from. The notes spell out what the answer rests
    on. No prompt shows them.
    """

    example: Example
    notes: str = ""


def _expression(draws: _Draws, literals: int, operator: str) -> tuple[str, bool]:
    """A boolean expression of so many literals, with parentheses at every level, and its value."""
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
    literals = draws.between(2, 7)
    while True:
        text, value = _expression(draws, literals, operator)
        if value == target:
            return Worked(Example(f"{text} is", (" True", " False"), 0 if target else 1))


def _arithmetic(draws: _Draws) -> Worked:
    # The larger number first: a sum and its mirror image must not sit in two splits.
    small, large = sorted((draws.between(1, 150), draws.between(1, 150)))
    if draws.below(2):
        return Worked(Example(f"{large} + {small} =", None, f" {large + small}"))
    return Worked(Example(f"{large} - {small} =", None, f" {large - small}"))


def _facts(draws: _Draws) -> Worked:
    things, people = draws.shuffled(THINGS), draws.pick((1, 1, 2, 3))
    names = draws.sample(NAMES, people)
    owned = [[things.pop() for _ in range(draws.between(1, (4, 3, 2)[people - 1]))] for _ in names]
    told = " ".join(f"{n} has: {', '.join(o)}." for n, o in zip(names, owned, strict=True))
    asked = draws.below(people)
    right, others = draws.pick(owned[asked]), owned[:asked] + owned[asked + 1 :]
    # Wrong options are a thing of each of the others, and then nobody's.
    wrong = [*(draws.pick(o) for o in others), *things]
    options = draws.shuffled([right, *wrong[: draws.between(1, 3)]])
    letters = LETTERS[: len(options)]
    listed = " ".join(f"{a}) {o}" for a, o in zip(letters, options, strict=True))
    prompt = f"{told} What has {names[asked]}? {listed} Answer:"
    elsewhere = [*(o for their in others for o in their), *things]
    named = [draws.pick(draws.pick((owned[asked], elsewhere))) for _ in range(4)]
    notes = "".join(f" {o} {'yes' if o in owned[asked] else 'no'}" for o in named)
    return Worked(Example(prompt, tuple(f" {a}" for a in letters), options.index(right)), notes)


def _quantified(quantifier: str, having: Sequence[bool]) -> bool:
    return {"all": all(having), "some": any(having), "no": not any(having)}[quantifier]


def _quantifiers(draws: _Draws) -> Worked:
    quantifier, target = draws.pick(QUANTIFIERS), draws.pick((True, False))
    things, colours = draws.sample(THINGS, draws.between(1, 2)), draws.sample(COLOURS, 4)
    thing, colour = things[0], colours[0]
    while True:
        seen = [
            (draws.pick(draws.pick(([colour], colours))), draws.pick(things))
            for _ in range(draws.between(2, 6))
        ]
        having = [c == colour for c, t in seen if t == thing]
        # The thing is always there; for "all" the colour too, or its absence would say it all.
        if not having or (quantifier == "all" and not any(having)):
            continue
        if _quantified(quantifier, having) == target:
            break
    told = f"{draws.pick(NAMES)} has: {', '.join(f'{c} {t}' for c, t in seen)}."
    prompt = f"{told} Are {quantifier} {thing}s {colour}? Answer:"
    notes = "".join(
        f" {c} {'yes' if (c, thing) in seen else 'no'}" for c in draws.shuffled(colours)
    )
    return Worked(Example(prompt, (" yes", " no"), 0 if target else 1), notes)


def _reverse(draws: _Draws) -> Worked:
    letters = [draws.pick(ALPHABET) for _ in range(draws.between(6, 22))]
    answer = f" {' '.join(reversed(letters))}"
    return Worked(Example(f"reverse: {' '.join(letters)} =", None, answer))


@dataclasses.dataclass(frozen=True)
class DemoTask:
    """A generator of examples and its one-line description."""

    description: str
    generate: Callable[[_Draws], Worked]


DEMO_TASKS = {
    "boolean": DemoTask("value of an expression of not, and, or (two choices)", _boolean),
    "arithmetic": DemoTask("sum or difference of two numbers up to 150 (generated)", _arithmetic),
    "facts": DemoTask("lettered question about the facts just told (2 to 4 choices)", _facts),
    "quantifiers": DemoTask("are all, some or no things of a kind of one colour", _quantifiers),
    "reverse": DemoTask("6 to 22 letters in reverse order (generated)", _reverse),
}


def split_of(prompt: str) -> DemoSplit:
    """The one split of a prompt: a tenth is validation, a tenth test, the rest train."""
    tenth = int.from_bytes(hashlib.blake2b(prompt.encode(), digest_size=8).digest(), "big") % 10
    return "validation" if tenth == 0 else "test" if tenth == 1 else "train"


def worked(name: str, split: DemoSplit, index: int, seed: int = 0) -> Worked:
    """Draw example ``index`` of a split with its notes, again and again until it is in the split.

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


def demo_examples(name: str, split: DemoSplit, count: int, seed: int = 0) -> list[Example]:
    """The first ``count`` different examples of a split, in the order of their index.

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


def read_demo(request: Request) -> Task:
    """The task ``demo:<name>``, generated.

    Raises:
        InputError: there is no such task.
    """
    if request.data is not None:
        raise InputError(f"{request.name} is generated; leave out --data")
    name = request.name.removeprefix("demo:")
    search, test, train = (
        tuple(demo_examples(name, split, SIZES[split])) for split in ("validation", "test", "train")
    )
    return Task(request.name, search, test, train)
