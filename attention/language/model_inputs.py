"""What a classifier reads of a labelled text: token ids, and the model's numbers of labels."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int

from attention.errors import InputError
from attention.files import read_json
from attention.language.labelled_texts import Dataset, LabelledText

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def with_labels_of(folder: Path, dataset: Dataset) -> Dataset:
    """Number the labels of a set as a model does.

    The order and the case of the names do not matter. The model may have more labels. A model
    without names (``LABEL_0`` …) has those of the set, in the same order.

    Args:
        folder: of the model.
        dataset: the set.

    Raises:
        InputError: the model lacks a label of the set.
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
    texts = [
        dataclasses.replace(text, labels=[number[label] for label in text.labels])
        for text in dataset.texts
    ]
    return dataclasses.replace(dataset, labels=labels, texts=texts)


def encode_words(
    tokenizer: PreTrainedTokenizerBase, text: LabelledText, longest: int, *, cut: bool = False
) -> tuple[Int[np.ndarray, " T"], Int[np.ndarray, " T"], list[int]]:
    """Encode a text whose words are given.

    Args:
        tokenizer: of the model.
        text: the text.
        longest: how many tokens the model reads at most.
        cut: drop the tokens beyond that.

    Returns:
        Token ids, BERT's segments, and the first token of each word of the first sentence.

    Raises:
        InputError: there are more tokens than ``longest``, and ``cut`` is false.
    """
    encoded = tokenizer(
        text.words,
        text.pair,
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


def encode_pieces(
    tokenizer: PreTrainedTokenizerBase, text: str, length: int
) -> Int[np.ndarray, "pieces length"]:
    """Encode a running text, and cut it into pieces of one length; the rest is dropped.

    Args:
        tokenizer: of the model.
        text: the text.
        length: tokens in a piece.
    """
    ids = tokenizer(text)["input_ids"]
    return np.asarray(ids[: len(ids) // length * length], np.int32).reshape(-1, length)
