"""Examples, tasks made of them, and the JSON Lines files that users write them in."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import json
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from attention.errors import InputError

Row = TypeVar("Row")
KEYS = {"prompt", "choices", "answer"}


@dataclasses.dataclass(frozen=True)
class Example:
    """One question: ``answer`` is an index into ``choices``, or the text to generate without them.

    Choices follow the prompt as they stand: nothing is inserted, so they bring their own space.

    Attributes:
        prompt: what the model reads.
        choices: what it chooses from, or None.
        answer: the right one.
        solution: what stands behind the prompt where the example is shown answered; None: the
            right answer.
        group: is shown only examples of the same group.
        contexts: a prompt for each choice, instead of ``prompt``, where the choices stand within
            the text and what follows is the same.
        messages: the prompt as a chat, roles and texts in turn, if it has that form too.
        row: names the row that the example was made of, where its judge asks for that.
    """

    prompt: str
    choices: tuple[str, ...] | None
    answer: int | str
    solution: str | None = None
    group: str = ""
    contexts: tuple[str, ...] = ()
    messages: tuple[tuple[str, str], ...] = ()
    row: str = ""


Judge = Callable[[str, Example], tuple[Any, bool]]
"""Written text → what it answers as a JSON value (None: nothing that can be read), and whether that
is right."""


@dataclasses.dataclass(frozen=True)
class Task:
    """Examples to search on, to report on (``test``) and to show in the prompt (``train``).

    The splits share no example, and all examples have choices or none has.

    Attributes:
        name: what the user calls it.
        search, test, train: the splits.
        instruction: the system message of a chat, or the first paragraph of a plain text.
        cue: ends the plain text of a question, before the answer.
        chat: whether a tokenizer's chat template is used if it has one.
        written: answers are written even where there are choices, unless a protocol is named.
        judge: reads a written answer; None: the choice or the line that stands first.
        stop: texts that end a written answer; None: a line break if there is nothing to choose.
        new_tokens: tokens to write unless told otherwise; None: two more than the longest answer.
        halves: whether search and test split are two halves of one labelled split.
        notes: lines to tell the user.
    """

    name: str
    search: tuple[Example, ...]
    test: tuple[Example, ...] | None = None
    train: tuple[Example, ...] | None = None
    instruction: str = ""
    cue: str = ""
    chat: bool = False
    written: bool = False
    judge: Judge | None = None
    stop: tuple[str, ...] | None = None
    new_tokens: int | None = None
    halves: bool = False
    notes: tuple[str, ...] = ()

    @property
    def generated(self) -> bool:
        """Whether there is nothing to choose from."""
        return self.search[0].choices is None


def place(example: Example) -> float:
    """A number in [0, 1): BLAKE2b-64 of the JSON of ``[prompt, choices]``, over 2⁶⁴.

    It depends on the question alone, so that copies stay in one split.
    """
    question = json.dumps([example.prompt, example.choices]).encode()
    return int.from_bytes(hashlib.blake2b(question, digest_size=8).digest(), "big") / 2**64


def divide(examples: Sequence[Example], share: float = 0.5) -> tuple[list[Example], list[Example]]:
    """Those to search on, and those to test on, whose ``place`` is below ``share``."""
    return (
        [example for example in examples if place(example) >= share],
        [example for example in examples if place(example) < share],
    )


def read_examples(path: str | Path) -> tuple[Example, ...]:
    """Examples of a JSONL file, one object a line; blank lines are skipped.

    ``{"prompt": "…", "choices": ["…", "…"], "answer": 0}`` or ``{"prompt": "…", "answer": "…"}``.

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
    return read_rows(path, parse)


def read_rows(path: str | Path, parse: Callable[[dict[str, Any]], Row]) -> tuple[Row, ...]:
    """What ``parse`` makes of each line of a JSONL file (``.gz`` too); blank lines are skipped.

    Raises:
        InputError: the file cannot be read or holds no line, or a line is no JSON object or
            ``parse`` raises ValueError; the message begins with ``file:line``.
    """
    found = []
    for number, line in enumerate(read_bytes(path).split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            found.append(parse(_object(line)))
        except ValueError as error:
            raise InputError(f"{path}:{number}: {error}") from None
    if not found:
        raise InputError(f"{path}: no example in the file; give one JSON object a line")
    return tuple(found)


def read_bytes(path: str | Path) -> bytes:
    """A file's bytes, unpacked, without a byte-order mark."""
    try:
        content = Path(path).read_bytes()
        if content.startswith(b"\x1f\x8b"):
            content = gzip.decompress(content)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path}: damaged gzip file ({error}); fetch or pack it again") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    except ValueError as error:  # a zero byte in the name
        raise InputError(f"{str(path)!r} is not a file name: {error}") from None
    return content.removeprefix(b"\xef\xbb\xbf")


def _object(line: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(
            line.decode(), object_pairs_hook=_once, parse_constant=_refuse, parse_int=_integer
        )
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start + 1} is not UTF-8; save the file as UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} at column {error.colno}") from None
    except RecursionError:
        raise ValueError("JSON nested too deeply; an example has no nested objects") from None
    if not isinstance(fields, dict):
        raise ValueError('not a JSON object; give {"prompt": …, "answer": …}')
    return fields


def _parse(fields: dict[str, Any]) -> Example:
    if unknown := fields.keys() - KEYS:
        raise ValueError(
            f"unknown key {shown(min(unknown))}; an example has prompt, answer and maybe choices"
        )
    for key in ("prompt", "answer"):
        if key not in fields:
            raise ValueError(f"no {key}")
    check_text("prompt", fields["prompt"])
    if "choices" not in fields:
        return Example(fields["prompt"], None, _reference(fields["answer"]))
    choices = _choices(fields["choices"])
    return Example(fields["prompt"], choices, _index(fields["answer"], len(choices)))


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ValueError("a key is given twice; keep one")
    return fields


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _integer(digits: str) -> int:
    if len(digits) > 18:  # an index has few digits, and Python refuses thousands of them
        raise ValueError(f"the number {digits[:12]}… is too large")
    return int(digits)


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
        if choice in choices[:i]:
            raise ValueError(f"choice {i} repeats {shown(choice)}; choices must differ")
    return tuple(choices)


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
    """A value as an error message names it: one line, at most 40 characters."""
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:39]}…"
