"""What the lines of files of texts may say."""

from __future__ import annotations

import msgspec

Label = str | int | float | bool


class Tagged(msgspec.Struct):
    """Words with a tag each."""

    tokens: list[str]
    tags: list[Label]


class Labelled(msgspec.Struct):
    """A text, or a pair of texts, with a label."""

    text: str
    label: Label
    pair: str = ""


class Review(msgspec.Struct):
    """A review of a film; its id begins with the number of its fold."""

    id: str
    text: str
    label: Label


class Inference(msgspec.Struct):
    """Two sentences, and whether the second follows."""

    premise: str
    hypothesis: str
    label: Label


class Spoken(msgspec.Struct):
    """Words with their parts of speech."""

    tokens: list[str]
    upos: list[str]


class Parsed(Spoken):
    """A sentence of a treebank: features of the words, and the numbers of their heads."""

    feats: list[str]
    heads: list[int]


class MinimalPair(msgspec.Struct):
    """A sentence that a grammar allows, and one that it does not."""

    sentence_good: str
    sentence_bad: str
    pairID: str | int | None = None
    linguistics_term: str | None = None


class SuiteLine(msgspec.Struct):
    """The first line of a suite."""

    suite: str
    predictions: list[str]


class SuiteItem(msgspec.Struct):
    """An item of a suite: the regions of the sentence in each condition."""

    item: str | int
    conditions: dict[str, list[str]]
