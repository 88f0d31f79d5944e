"""Masked tokens: which places are asked, and what stands there instead.

All draws are pure functions of a seed.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from attention.errors import InputError


@dataclasses.dataclass(frozen=True)
class Corruption:
    """What is done to a row before a model is asked about some of its places.

    Attributes:
        rate: share of the tokens that are asked.
        keep: share of those that stay as they are.
        swap: share of those that become another token, drawn uniformly; all others become the
            mask.
        mask: the id of the mask.
        ordinary: the ids that a swap draws from; all others are never asked.
    """

    rate: float
    keep: float
    swap: float
    mask: int
    ordinary: Int[np.ndarray, " W"]

    def __post_init__(self) -> None:
        if not (0 < self.rate < 1 and self.keep >= 0 and self.swap >= 0):
            raise InputError("the masked share must be between 0 and 1, and its parts at least 0")
        if self.keep + self.swap > 1:
            raise InputError("of the masked tokens, at most all can stay or be swapped")


class Asked(NamedTuple):
    """Corrupted rows and what is asked about them.

    Attributes:
        tokens: the rows, with some tokens changed.
        places: the places that are asked, ascending; behind a row's own, where it is short, stand
            places without weight.
        targets: what stood there.
        weights: 1 at a place that is asked, 0 at one that fills up.
    """

    tokens: Int[np.ndarray, "B T"]
    places: Int[np.ndarray, "B P"]
    targets: Int[np.ndarray, "B P"]
    weights: Float[np.ndarray, "B P"]


def places_of(length: int, rate: float) -> int:
    """How many places of a row are asked: the share of its tokens, rounded, and at least one."""
    return max(1, round(rate * length))


def corrupt(
    tokens_BT: Int[np.ndarray, "B T"],
    real_BT: Bool[np.ndarray, "B T"],
    corruption: Corruption,
    seed: tuple[int, ...],
    most: int | None = None,
) -> Asked:
    """Ask a fixed number of places of each row.

    A row with N ordinary tokens is asked at ``max(1, round(rate · N))`` of them, drawn uniformly
    without replacement.  Rows of one length are therefore all asked at equally many places, and the
    head need only run there.

    Args:
        tokens_BT: token ids.
        real_BT: true at tokens of the text.
        corruption: what is done.
        seed: decides all draws, such as ``(seed, step)``.
        most: width P of the result; None: of a row without padding.
    """
    draw = np.random.default_rng(seed)
    batch, length = tokens_BT.shape
    width = places_of(length, corruption.rate) if most is None else most
    askable_BT = real_BT & np.isin(tokens_BT, corruption.ordinary)
    order_BT = np.where(askable_BT, draw.random((batch, length)), 2.0)
    chosen_BP = np.argsort(order_BT, axis=1, kind="stable")[:, :width]
    found_B = askable_BT.sum(1)
    wanted_B = np.maximum(1, np.round(corruption.rate * found_B)).astype(int)
    asked_BP = np.arange(width)[None] < np.minimum(wanted_B, np.minimum(found_B, width))[:, None]
    places_BP = np.sort(np.where(asked_BP, chosen_BP, length), axis=1)
    asked_BP = places_BP < length
    places_BP = np.where(asked_BP, places_BP, 0)
    targets_BP = np.take_along_axis(tokens_BT, places_BP, axis=1)
    kind_BP = draw.random(places_BP.shape)
    swapped_BP = draw.choice(corruption.ordinary, places_BP.shape)
    new_BP = np.where(kind_BP < corruption.swap, swapped_BP, corruption.mask)
    new_BP = np.where(kind_BP >= 1 - corruption.keep, targets_BP, new_BP)
    changed = tokens_BT.copy()
    rows, columns = np.nonzero(asked_BP)
    changed[rows, places_BP[rows, columns]] = new_BP[rows, columns]
    return Asked(
        changed,
        places_BP.astype(np.int32),
        targets_BP.astype(np.int32),
        asked_BP.astype(np.float32),
    )
