"""Texts with labels, the sources that they come from, and JSONL files of the user."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal, NamedTuple

from attention.choices import Choices
from attention.errors import InputError
from attention.files import read_json_lines, shaped
from attention.language.text_lines import Labelled, Tagged

Line = dict[str, Any]  # of a JSONL file
Kind = Literal["sequence", "token"]
Split = Literal["train", "validation", "test"]


class Row(NamedTuple):
    """One text as its source gives it.

    Attributes:
        words: of the text.
        pair: words of a second sentence, or None.
        label: the label of the text, by name or number, or the names of the labels of its words.
    """

    words: list[str]
    pair: list[str] | None
    label: str | int | list[str]


@dataclasses.dataclass(frozen=True)
class LabelledText:
    """One text of a set.

    Attributes:
        words: of the text.
        pair: words of a second sentence, or None.
        labels: the number of its label, or that of the label of each word.
    """

    words: list[str]
    pair: list[str] | None
    labels: list[int]


@dataclasses.dataclass(frozen=True)
class Dataset:
    """One split of a set.

    Attributes:
        name: of the set.
        kind: whether a text has one label (``sequence``) or one for each word (``token``).
        labels: names of the labels.
        texts: the texts.
    """

    name: str
    kind: Kind
    labels: list[str]
    texts: list[LabelledText]


@dataclasses.dataclass(frozen=True)
class Source:
    """A set of texts, and how to read it.

    Attributes:
        kind: whether a text has one label (``sequence``) or one for each word (``token``).
        labels: names of the labels.
        rows: reads a split from the folder of the data.
        description: what the set is, in a few words.
    """

    kind: Kind
    labels: list[str]
    rows: Callable[[Split, Path], Iterable[Row]]
    description: str


class Sources(Choices[Source]):
    """The sets by name; a JSONL file of the user is a set too.

    The lines of such a file are ``{"text": …, "label": …}``, with ``"pair"`` for a second sentence,
    or ``{"tokens": […], "tags": […]}``.
    """

    def pick(self, name: str) -> Source:
        """Find the set of a name, or read that of a file.

        Raises:
            InputError: there is no such set or file, or the file cannot be read.
        """
        return super().pick(name) if name in self or not Path(name).is_file() else _of_file(name)

    @property
    def listed(self) -> str:
        """All names that can be picked, as a text."""
        return f"{super().listed}, or a JSONL file"


def _of_file(file: str) -> Source:
    """The set in a file of the user.

    Raises:
        InputError: it has no texts or two kinds of them, or a line is wrong.
    """
    lines = read_json_lines(file, _checked)
    if not lines:
        raise InputError(f"{file}: no texts in the file")
    kind: Kind = "token" if "tags" in lines[0] else "sequence"
    if any(("tags" in line) != (kind == "token") for line in lines):
        raise InputError(f"{file}: some lines have tags and some have none; divide the file")
    rows = [(_tagged if kind == "token" else _labelled)(line) for line in lines]
    given = [row.label if isinstance(row.label, list) else [row.label] for row in rows]
    labels = sorted({str(label) for each in given for label in each})
    return Source(kind, labels, lambda split, folder: rows, "a file of the user")


def _checked(line: Line) -> Line:
    try:
        found = shaped(Tagged if "tags" in line else Labelled)(line)
    except ValueError as error:
        need = 'a line is {"text": …, "label": …} or {"tokens": […], "tags": […]}'
        raise ValueError(f"{error}; {need}") from None
    if "tags" in found and len(found["tags"]) != len(found["tokens"]):
        raise ValueError(f"{len(found['tokens'])} tokens have {len(found['tags'])} tags")
    return found


def _tagged(line: Line) -> Row:
    return Row(line["tokens"], None, [str(tag) for tag in line["tags"]])


def _labelled(line: Line) -> Row:
    pair = split_words(line["pair"]) if "pair" in line else None
    return Row(split_words(line["text"]), pair, str(line["label"]))


def split_words(text: str) -> list[str]:
    """Split a text into words; a punctuation mark is a word of its own."""
    for mark in '.,;:!?"()':
        text = text.replace(mark, f" {mark} ")
    return text.split()
