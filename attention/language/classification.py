"""Classification data: four real sets in local files, one that is generated, and any JSONL file."""

from __future__ import annotations

import dataclasses
import gzip
import json
import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal

from attention.errors import InputError

Kind = Literal["sequence", "token"]


@dataclasses.dataclass(frozen=True)
class Example:
    """Words, possibly a second sentence, and one label or one a word."""

    words: list[str]
    pair: list[str] | None
    labels: list[int]


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Examples of one split; ``labels`` are names."""

    name: str
    kind: Kind
    labels: list[str]
    examples: list[Example]


@dataclasses.dataclass(frozen=True)
class Source:
    """A set in local files: ``files[split]`` under the data folder, and how a row is read."""

    kind: Kind
    labels: list[str]
    files: dict[str, str]
    read: Callable[[dict[str, Any]], tuple[list[str], list[str] | None, Any]]
    keep: Callable[[dict[str, Any], str], bool] = lambda row, split: True
    description: str = ""


UPOS: list[str] = [
    *"ADJ ADP ADV AUX CCONJ DET INTJ NOUN NUM PART PRON PROPN PUNCT SCONJ SYM VERB X".split()
]
ENTITIES = ["O", "PER", "LOC", "ORG", "MISC"]
# WNUT's six types in WikiGold's four words.
_WNUT = {
    "person": "PER",
    "location": "LOC",
    "corporation": "ORG",
    "group": "ORG",
    "product": "MISC",
    "creative-work": "MISC",
}


def _entities(row: dict[str, Any]) -> tuple[list[str], None, list[str]]:
    plain: list[str] = [tag.partition("-")[2] or tag for tag in row["tags"]]
    return row["tokens"], None, [_WNUT.get(tag, tag) for tag in plain]


def _fold(row: dict[str, Any], split: str) -> bool:
    fold = int(str(row["id"])[2])  # cv000 to cv999 are ten folds
    return {"train": fold < 8, "validation": fold == 8, "test": fold == 9}[split]


SOURCES = {
    # There is no training split of SNLI: its validation split trains, all but the last tenth.
    "snli": Source(
        "sequence",
        ["entailment", "neutral", "contradiction"],
        {split: f"snli/{'test' if split == 'test' else 'validation'}.jsonl.gz" for split in
         ("train", "validation", "test")},
        lambda row: (_words(row["premise"]), _words(row["hypothesis"]), row["label"]),
        lambda row, split: split == "test" or (_mixed(row["premise"]) == 0) == (split != "train"),
        "natural language inference (needs context)",
    ),
    "ner": Source(
        "token",
        ENTITIES,
        {"train": "wikigold/all.jsonl.gz wnut17/train.jsonl.gz",
         "validation": "wnut17/validation.jsonl.gz", "test": "wnut17/test.jsonl.gz"},
        _entities,
        description="named entities: WikiGold and WNUT-17 (needs context)",
    ),
    "pos": Source(
        "token",
        UPOS,
        {split: f"ud_english_ewt/{split}.jsonl.gz" for split in ("train", "validation", "test")},
        lambda row: (row["tokens"], None, row["upos"]),
        description="parts of speech, UD English EWT (needs it less)",
    ),
    "reviews": Source(
        "sequence",
        ["negative", "positive"],
        dict.fromkeys(("train", "validation", "test"), "movie_reviews/all.jsonl.gz"),
        lambda row: (_words(row["text"]), None, row["label"]),
        _fold,
        "sentiment of long reviews (needs it less)",
    ),
}  # fmt: skip


def _words(text: str) -> list[str]:
    for mark in '.,;:!?"()':
        text = text.replace(mark, f" {mark} ")
    return text.split()


def _mixed(text: str) -> int:
    """A tenth of all premises: those that give zero."""
    return sum(text.encode()) % 10


def load(name: str, split: str, folder: str | Path = "data") -> Dataset:
    """One split of a named set, of ``demo`` (generated), or of a JSONL file of the user's.

    A file has lines ``{"text": …, "label": "name"}`` (and ``"pair"``), or
    ``{"tokens": […], "tags": […]}``.

    Raises:
        InputError: unknown name, missing or damaged file.
    """
    if name == "demo":
        seed = {"train": 1, "validation": 2, "test": 3}[split]
        return Dataset(name, "sequence", DEMO_LABELS, demo(seed, 400))
    if name in SOURCES:
        source = SOURCES[name]
        files = [Path(folder) / file for file in source.files[split].split()]
        rows = [row for file in files for row in _rows(file) if source.keep(row, split)]
        return Dataset(name, source.kind, source.labels, _examples(rows, source))
    if not Path(name).is_file():
        raise InputError(f"{name}: neither a file nor one of {', '.join([*SOURCES, 'demo'])}")
    rows = list(_rows(Path(name)))
    try:
        kind: Kind = "token" if "tags" in rows[0] else "sequence"
        key = "tags" if kind == "token" else "label"
        labels = sorted({str(label) for row in rows for label in _listed(row[key])})
        read = (
            (lambda row: (row["tokens"], None, [str(tag) for tag in row["tags"]]))
            if kind == "token"
            else (
                lambda row: (
                    _words(row["text"]),
                    _words(row["pair"]) if "pair" in row else None,
                    str(row["label"]),
                )
            )
        )
        return Dataset(name, kind, labels, _examples(rows, Source(kind, labels, {}, read)))
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise InputError(
            f'{name}: needs lines {{"text": …, "label": …}} or {{"tokens": […], "tags": […]}}'
        ) from error


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _examples(rows: list[dict[str, Any]], source: Source) -> list[Example]:
    found = []
    for row in rows:
        words, pair, labels = source.read(row)
        named = [source.labels.index(x) if isinstance(x, str) else x for x in _listed(labels)]
        if words and (source.kind == "sequence" or len(named) == len(words)):
            found.append(Example([str(word) for word in words], pair, named))
    return found


def _rows(file: Path) -> Iterable[dict[str, Any]]:
    if not file.is_file():
        raise InputError(f"{file}: no such file; give the folder of the data")
    opener = gzip.open if file.suffix == ".gz" else open
    try:
        with opener(file, "rt", encoding="utf-8") as stream:
            return [json.loads(line) for line in stream if line.strip()]
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: cannot be read as JSON lines: {error}") from error


DEMO_LABELS = ["bad", "good"]
_NOUNS = "food room staff view price music bread coffee garden lobby".split()
_GOOD = "good lovely great clean fresh kind".split()
_BAD = "bad awful poor dirty stale rude".split()
_PLAIN, _TURN = ["was", "was very", "was really", "was always"], ["was not", "was never"]


def demo(seed: int, count: int) -> list[Example]:
    """``music ? the food was not good but the music was very lovely .`` → good.

    Two to four clauses about different things; the label is that of the thing asked about, so that
    no word of the sentence tells it without the question and the clause it belongs to.
    """
    draw = random.Random(seed)
    found = []
    for _ in range(count):
        nouns = draw.sample(_NOUNS, draw.randint(2, 4))
        asked, clauses, label = draw.choice(nouns), [], 0
        for noun in nouns:
            good, turned = draw.random() < 0.5, draw.random() < 0.4
            word = draw.choice(_GOOD if good else _BAD)
            clauses.append(f"the {noun} {draw.choice(_TURN if turned else _PLAIN)} {word}")
            if noun == asked:
                label = int(good != turned)
        text = f"{asked} ? {clauses[0]}"
        for clause in clauses[1:]:
            text += f" {draw.choice(['and', 'but', ','])} {clause}"
        found.append(Example([*text.split(), "."], None, [label]))
    return found
