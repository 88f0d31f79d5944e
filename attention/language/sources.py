"""The sets of labelled texts: four real ones in local files, and one that is generated."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from pathlib import Path

from attention.errors import InputError
from attention.files import read_json_lines, shaped
from attention.language.labelled_texts import (
    Dataset,
    LabelledText,
    Line,
    Row,
    Source,
    Sources,
    Split,
    split_words,
)
from attention.language.text_lines import Inference, Review, Spoken, Tagged

SPLITS: tuple[Split, ...] = ("train", "validation", "test")


def load_texts(name: str, split: Split, folder: str | Path = "data") -> Dataset:
    """Load one split of a set.

    Args:
        name: a key of ``SOURCES``, or a JSONL file; every split of a file has all its lines.
        split: which part of the set.
        folder: with the files of the named sets.

    Raises:
        InputError: the name is unknown, or a file is missing or damaged.
    """
    source = SOURCES.pick(name)
    texts = []
    for words, pair, label in source.rows(split, Path(folder)):
        given = label if isinstance(label, list) else [label]
        for each in given:
            if isinstance(each, str) and each not in source.labels:
                known = ", ".join(source.labels)
                raise InputError(f"{name} has a label {each!r}, which is none of {known}")
        labels = [source.labels.index(x) if isinstance(x, str) else x for x in given]
        if words and (source.kind == "sequence" or len(labels) == len(words)):
            texts.append(LabelledText([str(word) for word in words], pair, labels))
    return Dataset(name, source.kind, source.labels, texts)


def _from_files(
    shape: type,
    row: Callable[[Line], Row],
    *files: str,
    keep: Callable[[Line, Split], bool] = lambda line, split: True,
) -> Callable[[Split, Path], list[Row]]:
    """Read the JSONL files of a split; ``files`` has the names for each split, between spaces.

    The lines have the type ``shape``.
    """

    def rows(split: Split, folder: Path) -> list[Row]:
        named = files[SPLITS.index(split)].split()
        paths = [folder / f"{name}.jsonl.gz" for name in named]
        for path in paths:
            if not path.is_file():
                raise InputError(f"{path}: no such file; --data is the folder of the data")
        lines = [line for path in paths for line in read_json_lines(path, shaped(shape))]
        return [row(line) for line in lines if keep(line, split)]

    return rows


# The six types of WNUT in the four words of WikiGold.
_WNUT = {"person": "PER", "location": "LOC", "corporation": "ORG", "group": "ORG",
         "product": "MISC", "creative-work": "MISC"}  # fmt: skip


def _entities(line: Line) -> Row:
    plain: list[str] = [tag.partition("-")[2] or tag for tag in line["tags"]]
    return Row(line["tokens"], None, [_WNUT.get(tag, tag) for tag in plain])


def _parts_of_speech(line: Line) -> Row:
    return Row(line["tokens"], None, line["upos"])


def _inference(line: Line) -> Row:
    return Row(split_words(line["premise"]), split_words(line["hypothesis"]), line["label"])


def _review(line: Line) -> Row:
    return Row(split_words(line["text"]), None, line["label"])


def _of_premise(line: Line, split: Split) -> bool:
    """Divide SNLI's validation split: a tenth of the premises validates, the others train."""
    tenth = sum(line["premise"].encode()) % 10 == 0
    return split == "test" or tenth == (split != "train")


def _of_fold(line: Line, split: Split) -> bool:
    fold = int(str(line["id"])[2])  # cv000 to cv999 are ten folds
    return {"train": fold < 8, "validation": fold == 8, "test": fold == 9}[split]


DEMO_SEEDS: dict[Split, int] = {"train": 1, "validation": 2, "test": 3}
DEMO_TEXTS = 400
_NOUNS = "food room staff view price music bread coffee garden lobby".split()
_GOOD = "good lovely great clean fresh kind".split()
_BAD = "bad awful poor dirty stale rude".split()
_PLAIN, _TURN = ["was", "was very", "was really", "was always"], ["was not", "was never"]


def generate_texts(seed: int, count: int) -> list[LabelledText]:
    """Draw texts like ``music ? the food was not good but the music was very lovely .`` → good.

    Two to four clauses are about different things. The label is that of the thing in the question:
    no word tells it without the question and its clause.

    Args:
        seed: of the draws.
        count: number of texts.

    Returns:
        The texts; label 0 is bad, 1 is good.
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
        found.append(LabelledText([*text.split(), "."], None, [label]))
    return found


def _generated(split: Split, folder: Path) -> Iterable[Row]:
    del folder
    texts = generate_texts(DEMO_SEEDS[split], DEMO_TEXTS)
    return [Row(text.words, text.pair, text.labels[0]) for text in texts]


UPOS: list[str] = [
    *"ADJ ADP ADV AUX CCONJ DET INTJ NOUN NUM PART PRON PROPN PUNCT SCONJ SYM VERB X".split()
]
SNLI = ("snli/validation", "snli/validation", "snli/test")  # see _of_premise
ENTITIES = ("wikigold/all wnut17/train", "wnut17/validation", "wnut17/test")
SOURCES = Sources(
    "task",
    {
        "snli": Source(
            "sequence",
            ["entailment", "neutral", "contradiction"],
            _from_files(Inference, _inference, *SNLI, keep=_of_premise),
            "natural language inference (needs context)",
        ),
        "ner": Source(
            "token",
            ["O", "PER", "LOC", "ORG", "MISC"],
            _from_files(Tagged, _entities, *ENTITIES),
            "named entities: WikiGold and WNUT-17 (needs context)",
        ),
        "pos": Source(
            "token",
            UPOS,
            _from_files(Spoken, _parts_of_speech, *(f"ud_english_ewt/{split}" for split in SPLITS)),
            "parts of speech, UD English EWT (needs it less)",
        ),
        "reviews": Source(
            "sequence",
            ["negative", "positive"],
            _from_files(Review, _review, *["movie_reviews/all"] * 3, keep=_of_fold),
            "sentiment of long reviews (needs it less)",
        ),
        "demo": Source(
            "sequence", ["bad", "good"], _generated, "generated sentences about several things"
        ),
    },
    group="labelled texts",
)
