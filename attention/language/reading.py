"""Examples → what a classifier reads."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from attention.errors import InputError
from attention.files import read_json
from attention.language.classification import Dataset, Example


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer of a model folder; code that comes with it is never run."""
    import transformers

    transformers.logging.set_verbosity_error()
    try:
        return transformers.AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except Exception as error:  # the library raises whatever its parts raise
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{folder}: no tokenizer that can be read: {reason}") from error


def with_labels_of(folder: Path, dataset: Dataset) -> Dataset:
    """The data with the model's labels, found by name in any order and case; it may know more.

    A model that names none (``LABEL_0`` …) has the data's, in their order.

    Raises:
        InputError: the data have a label that the model has not.
    """
    named = read_json(folder / "config.json").get("id2label") or {}
    labels = [str(named[key]) for key in sorted(named, key=int)]
    if len(labels) == len(dataset.labels) and labels == [f"LABEL_{i}" for i in range(len(labels))]:
        return dataset
    exact = len({label.casefold() for label in labels}) < len(labels)
    plain: Callable[[str], str] = str if exact else str.casefold
    places = {plain(label): place for place, label in enumerate(labels)}
    if not all(plain(label) in places for label in dataset.labels):
        raise InputError(
            f"label sets differ: the model has {', '.join(labels) or 'none'}; "
            f"{dataset.name} has {', '.join(dataset.labels)}"
        )
    number = [places[plain(label)] for label in dataset.labels]
    examples = [
        dataclasses.replace(example, labels=[number[label] for label in example.labels])
        for example in dataset.examples
    ]
    return dataclasses.replace(dataset, labels=labels, examples=examples)


def read(
    tokenizer: Any, example: Example, longest: int, *, cut: bool = False
) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Token ids, BERT's segments, and the first token of each word of the first sentence.

    Raises:
        InputError: more tokens than ``longest``, unless ``cut``.
    """
    encoded = tokenizer(
        example.words,
        example.pair,
        is_split_into_words=True,
        truncation=cut,
        max_length=longest if cut else None,
    )
    tokens = np.asarray(encoded["input_ids"], np.int32)
    if len(tokens) > longest:
        raise InputError(
            f"a sequence of {len(tokens)} tokens is longer than the model's {longest}; "
            "leave it out or cut it (--cut)"
        )
    first: dict[int, int] = {}
    for place, (word, part) in enumerate(
        zip(encoded.word_ids(), encoded.sequence_ids(), strict=True)
    ):
        if word is not None and part == 0:
            first.setdefault(word, place)
    types = np.asarray([part == 1 for part in encoded.sequence_ids()], np.int32)
    return tokens, types, [first[word] for word in sorted(first)]
