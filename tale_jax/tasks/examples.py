"""Examples, the tasks they make up, and the JSON Lines files that users write them in."""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from pathlib import Path
from typing import Any, TypeAlias

from attention.errors import InputError
from attention.files import read_json_lines

JsonValue: TypeAlias = "str | float | bool | Sequence[JsonValue] | Mapping[str, JsonValue] | None"
KEYS = {"prompt", "choices", "answer", "stop"}


@dataclasses.dataclass(frozen=True)
class Example:
    """One question, and its right answer.

    A choice follows the prompt as it stands. Nothing is inserted, so a choice brings its own space.

    Attributes:
        prompt: what the model reads.
        choices: what it chooses from; None if it writes.
        answer: index of the right choice, or the text to write.
        solution: stands behind the prompt where the example is shown with its answer; None: the
            right answer stands there.
        group: only examples of the same group are shown before this one.
        contexts: a prompt for each choice, in place of ``prompt``: the choices stand within the
            text, and what follows is the same.
        messages: the prompt as a chat, pairs of role and text, if it has that form too.
        row: identifies the row that the example was made from, for judges that ask for it.
        stop: texts that end a written answer, besides those of the task.
        rendered: the prompt went through a chat template, and brings its own special tokens.
    """

    prompt: str
    choices: tuple[str, ...] | None
    answer: int | str
    solution: str | None = None
    group: str = ""
    contexts: tuple[str, ...] = ()
    messages: tuple[tuple[str, str], ...] = ()
    row: str = ""
    stop: tuple[str, ...] = ()
    rendered: bool = False

    @property
    def question(self) -> tuple[str, tuple[str, ...] | None, tuple[str, ...]]:
        """What is asked, without the answer: two examples with the same one are copies."""
        return self.prompt, self.choices, self.contexts


def fixed_answer_right(examples: Sequence[Example]) -> int | None:
    """Count the right answers of one that always names the same choice, at best.

    Returns:
        ``max_c`` of the examples whose answer is c; None if one of them has no choices.
    """
    if any(example.choices is None for example in examples):
        return None
    return max(collections.Counter(example.answer for example in examples).values(), default=0)


def asked_by_letter(examples: Sequence[Example]) -> bool:
    """Whether every choice is one letter, and its text stands in the prompt."""
    return all(len(text.strip()) == 1 for each in examples for text in each.choices or ("",))


class UnusableError(ValueError):
    """A row of a data set that nobody can answer, such as one whose target is no option of it.

    Such rows are left out and counted.  A row that is not what it should be is a ValueError.
    """


Judge = Callable[[str, Example], tuple[JsonValue, bool]]
"""Written text → the answer in it as a JSON value (None: none can be read), and whether it is
right."""


@dataclasses.dataclass(frozen=True)
class Task:
    """Examples to search on, to report on (``test``) and to show in the prompt (``train``).

    The splits share no example, and all examples have choices or none has.

    Attributes:
        name: what the user calls it.
        search: examples that a search looks at.
        test: examples that results are reported on.
        train: examples to show, and to train on.
        validation: the official validation split as it stands; None: it is ``search``.
        instruction: the system message of a chat, or the first paragraph of a plain text.
        description: first paragraph of a plain text, if it is another one; ``{group}`` in it is the
            group of the example.
        cue: ends the plain text of a question, before the answer.
        delimiter: stands between a prompt and its choice, and does not count where a score is
            divided by the length of the choice.
        chat: whether the chat template of the tokenizer is used if it has one.
        written: answers are written even where there are choices, unless a protocol is named.
        judge: reads a written answer; None: the choice or the line that stands first.
        stop: texts that end a written answer; None: a line break if there is nothing to choose.
        new_tokens: tokens to write unless told otherwise; None: two more than the longest answer.
        end_tokens: at which the model that is asked ends what it writes, besides the tokenizer's.
        halves: whether search and test split are two halves of one labelled split.
        notes: lines to tell the user.
    """

    name: str
    search: tuple[Example, ...]
    test: tuple[Example, ...] | None = None
    train: tuple[Example, ...] | None = None
    validation: tuple[Example, ...] | None = None
    instruction: str = ""
    description: str | None = None
    cue: str = ""
    delimiter: str = " "
    chat: bool = False
    written: bool = False
    judge: Judge | None = None
    stop: tuple[str, ...] | None = None
    new_tokens: int | None = None
    end_tokens: tuple[int, ...] = ()
    halves: bool = False
    notes: tuple[str, ...] = ()

    @property
    def generated(self) -> bool:
        """Whether there is nothing to choose from."""
        return self.search[0].choices is None


def place(example: Example) -> float:
    """A number in [0, 1): BLAKE2b-64 of the JSON of ``[prompt, choices]``, over 2⁶⁴.

    Where each choice has a prompt of its own, these stand in the list too.  The number depends on
    the question alone, so that copies stay in one split.
    """
    question = json.dumps([part for part in example.question if part != ()]).encode()
    return int.from_bytes(hashlib.blake2b(question, digest_size=8).digest(), "big") / 2**64


def divide(examples: Sequence[Example], share: float = 0.5) -> tuple[list[Example], list[Example]]:
    """Divide examples into those to search on and those to test on.

    Args:
        examples: of one labelled split.
        share: examples whose ``place`` is below it are for the test.
    """
    return (
        [example for example in examples if place(example) >= share],
        [example for example in examples if place(example) < share],
    )


def divided_note(name: str, what: str, search: Sized, test: Sized) -> str:
    """A line for the user: how a split was divided."""
    return (
        f"{name}: {what} divided by the BLAKE2b hash of the question, {len(search)} to search and "
        f"{len(test)} to test"
    )


def unlike(examples: Iterable[Example], known: Iterable[Example]) -> list[Example]:
    """The examples whose question is not among the known ones."""
    questions = {example.question for example in known}
    return [example for example in examples if example.question not in questions]


def read_examples(path: str | Path) -> tuple[Example, ...]:
    """Read the examples of a JSONL file (``.gz`` too), one object a line.

    ``{"prompt": "…", "choices": ["…", "…"], "answer": 0}`` or ``{"prompt": "…", "answer": "…"}``,
    and ``"stop": ["…"]`` where a text, besides a line break, ends a written answer.

    Raises:
        InputError: the file cannot be read, holds no example or mixes the two kinds, or a line is
            wrong; the message begins with ``file:line``.
    """

    def parse(fields: dict[str, Any]) -> Example:
        found.append(_parse(fields))
        if (found[-1].choices is None) != (found[0].choices is None):
            raise ValueError("some examples have choices and some have none; divide the file")
        return found[-1]

    found: list[Example] = []
    read_json_lines(path, parse)
    if not found:
        raise InputError(f"{path}: no example in the file; give one JSON object a line")
    return tuple(found)


def _parse(fields: dict[str, Any]) -> Example:
    if unknown := fields.keys() - KEYS:
        raise ValueError(
            f"unknown key {shown(min(unknown))}; an example has prompt, answer, maybe choices and "
            "stop"
        )
    for key in ("prompt", "answer"):
        if key not in fields:
            raise ValueError(f"no {key}")
    check_text("prompt", fields["prompt"])
    stop = _stops(fields.get("stop", []))
    if "choices" not in fields:
        return Example(fields["prompt"], None, _reference(fields["answer"]), stop=stop)
    choices = _choices(fields["choices"])
    return Example(fields["prompt"], choices, _index(fields["answer"], len(choices)), stop=stop)


def check_text(name: str, text: Any) -> None:
    """Raise ValueError if ``text`` is not text."""
    if not isinstance(text, str):
        raise ValueError(f"{name} is {shown(text)}, not a string")
    if "\0" in text:
        raise ValueError(f"{name} contains a zero character (\\u0000); remove it")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{name} contains half a surrogate pair; it is not text") from None


def _choices(choices: Any) -> tuple[str, ...]:
    if not isinstance(choices, list) or len(choices) < 2:
        raise ValueError(f"choices are {shown(choices)}, not a list of two strings or more")
    for i, choice in enumerate(choices):
        check_text(f"choice {i}", choice)
        if not choice:
            raise ValueError(f"choice {i} is empty")
    return tuple(choices)


def _stops(stops: Any) -> tuple[str, ...]:
    stops = [stops] if isinstance(stops, str) else stops
    if not isinstance(stops, list) or "" in stops:
        raise ValueError(f"stop is {shown(stops)}, not a list of strings that are not empty")
    for i, stop in enumerate(stops):
        check_text(f"stop {i}", stop)
    return tuple(stops)


def _index(answer: Any, count: int) -> int:
    if type(answer) is not int:  # True is an int to isinstance
        raise ValueError(f"answer is {shown(answer)}, not the index of a choice (0 to {count - 1})")
    if not 0 <= answer < count:
        raise ValueError(f"answer {answer} is out of range; indices go from 0 to {count - 1}")
    return answer


def _reference(answer: Any) -> str:
    if type(answer) is int:
        raise ValueError(f"answer is the number {answer}; give choices, or the answer as a string")
    check_text("answer", answer)
    if not answer.strip():
        raise ValueError("answer is empty")
    if "\n" in answer.strip():
        raise ValueError("answer has more than one line; only the first line written is compared")
    return answer


def shown(value: Any) -> str:
    """A value for an error message: one line of at most 40 characters."""
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:39]}…"
