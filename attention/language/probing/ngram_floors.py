"""The n-gram models that stand beside a score: counted on text, in the tokens of the model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Int

from attention.errors import InputError
from attention.files import SETTINGS, cache_folder, check_shape, read_json
from attention.language.corpora import Shares, encode_corpus, load_corpus, special_ids
from attention.language.ngrams import NgramModel, fit_floors
from attention.language.probing.opening import OpenedModel
from attention.language.run_files import Pretrained


def count_floors(model: OpenedModel, place: str | None) -> dict[str, NgramModel]:
    """Count the n-grams of a text, sentence by sentence, without special tokens.

    Args:
        model: whose tokens are counted.
        place: the text, as ``load_corpus`` takes it; its training split is counted.  None: the text
            that the model was trained on, if it is a run that says so.  ``none``: no text.

    Returns:
        An n-gram model for each row of ``FLOORS``; nothing where there is no text.

    Raises:
        InputError: there is no such text, or it is empty.
    """
    shares, by = Shares(), "book"
    if place is None:
        settings = run_settings(model.name)
        place, by = settings.get("corpus_place"), settings.get("by", by)
        if "validation" in settings and "test" in settings:
            check_shape(settings, Pretrained, f"{model.name}/{SETTINGS}")
            shares = Shares(settings["validation"], settings["test"])
    if place in (None, "none"):
        return {}
    files = encode_corpus(
        load_corpus(place, by=by), model.tokenizer, cache_folder() / "tokens", shares=shares,
        unit="sentence",
    )  # fmt: skip
    tokens, starts = files.tokens("train")[:], files.units("train")
    kept = ~np.isin(tokens, special_ids(model.tokenizer))
    before = np.concatenate([[0], np.cumsum(kept)])
    sentences: list[Int[np.ndarray, " T"]] = np.split(tokens[kept], before[starts[1:-1]])
    size = model.config.vocab_size
    if size is None:
        raise InputError(f"{model.name} has no vocabulary")
    return fit_floors(sentences, size)


def run_settings(model: str) -> dict:
    """The settings of the run that a model is; empty for any other model."""
    file = Path(model) / SETTINGS
    return read_json(file) if file.is_file() else {}
