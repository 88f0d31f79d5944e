"""What a language model is asked in pretraining: a row of the table makes the batch of a step.

A batch has one part, or two for ``hybrid``: ``causal``, in which a token sees what stands before
it, and ``masked``, in which it sees its whole text.  A part is a dict of arrays:

    tokens     [B, T]  what the model reads
    segments   [B, T]  which text each token belongs to; absent where all see all
    places     [B, P]  the places that are read; absent where all T are
    targets    [B, P]  the token that each place predicts
    weights    [B, P]  of its loss
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from attention.choices import Choices
from attention.language.corpora import Rows
from attention.language.pretraining.masking import Corruption, corrupt, places_of

Part = dict[str, np.ndarray]
Batch = dict[str, Part]


@dataclasses.dataclass(frozen=True)
class Question:
    """What decides how rows become a batch.

    Attributes:
        corruption: of the rows of a masked part; None: there is no such part.
        most_rate: the largest share of masked tokens in the whole training, which decides how many
            places are read.
        causal_share: share of the rows that are causal, for ``hybrid``.
        shifted: whether the token before a masked place predicts it, as in ``hybrid``.
        alone: whether rows hold several texts that do not see each other, or padding.
    """

    corruption: Corruption | None
    most_rate: float
    causal_share: float
    shifted: bool
    alone: bool


Make = Callable[[Rows, Question, tuple[int, ...]], Batch]


@dataclasses.dataclass(frozen=True)
class Objective:
    """A way to pretrain.

    Attributes:
        description: in one line.
        make: makes a batch of rows; the last argument seeds its draws.
        head: the head that its models have.
        masks: whether tokens are masked.
        causal: whether its models are causal.
    """

    description: str
    make: Make
    head: str
    masks: bool
    causal: bool


def causal_part(rows: Rows, question: Question) -> Part:
    """Each token predicts the next one of its text."""
    same = rows.segments[:, 1:] == rows.segments[:, :-1]
    weights = (same & rows.real[:, 1:]).astype(np.float32)
    part = {"tokens": rows.tokens[:, :-1], "targets": rows.tokens[:, 1:], "weights": weights}
    return part | ({"segments": rows.segments[:, :-1]} if question.alone else {})


def masked_part(rows: Rows, question: Question, seed: tuple[int, ...]) -> Part:
    """Masked places are predicted from their whole text."""
    assert question.corruption is not None  # the objective masks
    tokens, segments = rows.tokens[:, :-1], rows.segments[:, :-1]
    most = places_of(tokens.shape[1], question.most_rate)
    real = rows.real[:, :-1].copy()
    if question.shifted:
        # The place before must be of the same text.
        real[:, 0] = False
        real[:, 1:] &= segments[:, 1:] == segments[:, :-1]
    asked = corrupt(tokens, real, question.corruption, seed, most)
    places, weights = asked.places, asked.weights
    if question.shifted:
        # All rows weigh about as much, although a masked one is asked at fewer places.
        places, weights = np.maximum(places - 1, 0), weights / question.corruption.rate
    part = {
        "tokens": asked.tokens,
        "places": places,
        "targets": asked.targets,
        "weights": weights.astype(np.float32),
    }
    return part | ({"segments": segments} if question.alone else {})


def _causal(rows: Rows, question: Question, seed: tuple[int, ...]) -> Batch:
    del seed
    return {"causal": causal_part(rows, question)}


def _masked(rows: Rows, question: Question, seed: tuple[int, ...]) -> Batch:
    return {"masked": masked_part(rows, question, seed)}


def _hybrid(rows: Rows, question: Question, seed: tuple[int, ...]) -> Batch:
    first = causal_rows(len(rows.tokens), question.causal_share)
    causal = Rows(rows.tokens[:first], rows.segments[:first])
    masked = Rows(rows.tokens[first:], rows.segments[first:])
    return {
        "causal": causal_part(causal, question),
        "masked": masked_part(masked, question, seed),
    }


def causal_rows(batch: int, share: float) -> int:
    """How many rows of a batch are causal: the share, with at least one row of each kind."""
    return min(max(1, round(batch * share)), batch - 1)


OBJECTIVES: Choices[Objective] = Choices(
    "objective",
    {
        "causal": Objective("predict the next token", _causal, "causal_lm", False, True),
        "masked": Objective(
            "predict masked tokens from both sides", _masked, "masked_lm", True, False
        ),
        "hybrid": Objective(
            "some rows causal, the others masked and predicted one place earlier, by one model "
            "(Charpentier and Samuel 2024, arXiv 2410.24159)",
            _hybrid,
            "causal_lm",
            True,
            True,
        ),
    },
    group="language objective",
)


def rate_at(step: int, steps: int, start: float, end: float) -> float:
    """The share of masked tokens at a step: it goes from start to end in a straight line."""
    return start + (end - start) * min(1.0, step / max(1, steps - 1))


def stack_seeds(batches: list[Batch]) -> Batch:
    """The batches of several seeds as one: every array becomes ``[B, seed, …]``."""
    if len(batches) == 1:
        return batches[0]
    width = {kind: max(batch[kind]["tokens"].shape[1] for batch in batches) for kind in batches[0]}
    return {
        kind: {
            name: np.stack([_widened(batch[kind], width[kind])[name] for batch in batches], 1)
            for name in part
        }
        for kind, part in batches[0].items()
    }


def _widened(part: Part, width: int) -> Part:
    """A part of sentences as wide as that of another seed."""
    missing = width - part["tokens"].shape[1]
    if not missing:
        return part
    whole = ("tokens", "segments") if "places" in part else tuple(part)
    fill = {"segments": -1}
    return {
        name: np.pad(array, ((0, 0), (0, missing)), constant_values=fill.get(name, 0))
        if name in whole
        else array
        for name, array in part.items()
    }
