"""Words of a treebank, and the labels that are read off their states."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from attention.choices import Choices
from attention.errors import InputError
from attention.files import read_json_lines, shaped
from attention.language.text_lines import Parsed

FARTHEST, DEEPEST = 4, 4
FOLDERS = ("ud_english_ewt", "classification/ud_english_ewt")


class ParsedSentence(NamedTuple):
    """A sentence with its tree.

    Attributes:
        words: syntactic words.
        pos: part of speech of each word.
        features: of each word, such as ``Number=Sing|Tense=Past``.
        heads: number of each word's head, from 1; 0 for the root.
    """

    words: list[str]
    pos: list[str]
    features: list[str]
    heads: list[int]


@dataclasses.dataclass(frozen=True)
class WordLabel:
    """What is read off the state of a word.

    Attributes:
        description: one line.
        read: makes the label of each word of a sentence; None for a word that is left out.
    """

    description: str
    read: Callable[[ParsedSentence], list[str | None]]


def _head(sentence: ParsedSentence) -> list[str | None]:
    """How far away the head stands: −1 is the word before; far ones count as ±4."""
    found: list[str | None] = []
    for place, head in enumerate(sentence.heads, start=1):
        distance = max(-FARTHEST, min(FARTHEST, head - place))
        found.append(f"{distance:+d}" if head else "root")
    return found


def _depth(sentence: ParsedSentence) -> list[str | None]:
    """The arcs from a word up to the root; 4 or more count as 4."""
    found: list[str | None] = []
    for place in range(1, len(sentence.heads) + 1):
        depth = 0
        while (head := sentence.heads[place - 1]) and depth < DEEPEST:
            place, depth = head, depth + 1
        found.append(str(depth))
    return found


def _feature(name: str, *values: str) -> Callable[[ParsedSentence], list[str | None]]:
    def read(sentence: ParsedSentence) -> list[str | None]:
        found: list[str | None] = []
        for features in sentence.features:
            each = dict(part.split("=", 1) for part in features.split("|") if "=" in part)
            found.append(each.get(name) if each.get(name) in values else None)
        return found

    return read


WORD_LABELS: Choices[WordLabel] = Choices(
    "label",
    {
        "pos": WordLabel("part of speech", lambda sentence: list(sentence.pos)),
        "head": WordLabel("where the head word stands", _head),
        "depth": WordLabel("arcs up to the root of the tree", _depth),
        "number": WordLabel("singular or plural", _feature("Number", "Sing", "Plur")),
        "tense": WordLabel("past or present", _feature("Tense", "Past", "Pres")),
    },
)


def read_treebank(data: Path, split: str, limit: int | None = None) -> list[ParsedSentence]:
    """Read ``DATA/ud_english_ewt/SPLIT.jsonl[.gz]``, or the same below ``DATA/classification``.

    Args:
        data: the folder of the data.
        split: ``train``, ``validation`` or ``test``.
        limit: how many sentences are read; None: all.

    Raises:
        InputError: there is no such file, or a line is not what it should be.
    """
    names = [f"{folder}/{split}.jsonl{packed}" for folder in FOLDERS for packed in ("", ".gz")]
    file = next((data / name for name in names if (data / name).is_file()), None)
    if file is None:
        raise InputError(f"there is no {data / FOLDERS[0] / split}.jsonl[.gz]")
    return read_json_lines(file, _sentence)[:limit]


def _sentence(row: dict[str, Any]) -> ParsedSentence:
    shaped(Parsed)(row)
    found = ParsedSentence(row["tokens"], row["upos"], row["feats"], row["heads"])
    if len({len(column) for column in found}) > 1:
        raise ValueError("tokens, upos, feats and heads have different lengths")
    if not all(0 <= head <= len(found.words) for head in found.heads):
        raise ValueError("a head is no word of the sentence")
    return found
