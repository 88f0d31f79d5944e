"""Scores of labels ±1, beside those of the best constant answer."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

from attention.errors import InputError

SKIP = 3  # first positions that do not count, as in arXiv 2508.14685


def measures(
    predicted_BT: Float[np.ndarray, "B T"],
    y_BT: Float[np.ndarray, "B T"],
    skip: int = SKIP,
    where_BT: Bool[np.ndarray, "#B T"] | None = None,
) -> dict[str, float]:
    """Score the signs of predictions.

    Args:
        predicted_BT: positive where the sentence is said to hold; NaN is no answer, and is wrong.
        y_BT: labels ±1.
        skip: number of first positions that do not count.
        where_BT: positions that count; None: all but the first ``skip``.

    Returns:
        - ``accuracy``: the share of right answers.
        - ``balanced_accuracy``: the mean of the accuracies at each label that occurs.
        - ``late_flip_accuracy``: the accuracy from the flip on, in prompts whose label flips in
          the second half; NaN if there are none.
        - ``late_flip_balanced_accuracy``: the mean of that and of the accuracy before the flip.
        - ``wrong_prompts``: the share of prompts with a wrong answer.
        - Each of these under ``constant_…`` too: the score of the best constant answer.  (The label
          of ``every`` always flips to −1, so that a constant is right after a flip.  It has 0.5
          over both sides.)

    Raises:
        InputError: no position counts.
    """
    predicted, y = np.asarray(predicted_BT), np.asarray(y_BT)
    if skip >= y.shape[1]:
        raise InputError(
            f"{y.shape[1]} positions, of which the first {skip} do not count: none left"
        )
    place_1T = np.arange(y.shape[1])[None]
    where = np.broadcast_to(place_1T >= skip if where_BT is None else where_BT, y.shape)
    flip_B1 = np.where((y != y[:, :1]).any(axis=1), np.argmax(y != y[:, :1], axis=1), -1)[:, None]
    late = where & (flip_B1 >= max(skip, y.shape[1] // 2))
    parts = where, late & (place_1T >= flip_B1), late & (place_1T < flip_B1)
    answers = np.where(np.isnan(predicted), 0, np.where(predicted > 0, 1, -1))
    found = _scores(answers == y, y, *parts)
    constants = [_scores(np.equal(y, label), y, *parts) for label in (-1, 1)]
    best = {name: min if name == "wrong_prompts" else max for name in found}
    floors = {name: best[name](each[name] for each in constants) for name in found}
    return {**found, **{f"constant_{name}": value for name, value in floors.items()}}


def _scores(
    right: np.ndarray, y: np.ndarray, where: np.ndarray, after: np.ndarray, before: np.ndarray
) -> dict[str, float]:
    sides = [right[where & (y == label)] for label in (-1, 1)]
    late, early = (float(right[part].mean()) if part.any() else np.nan for part in (after, before))
    return {
        "accuracy": float(right[where].mean()),
        "balanced_accuracy": float(np.mean([side.mean() for side in sides if side.size])),
        "late_flip_accuracy": late,
        "late_flip_balanced_accuracy": (late + early) / 2,
        "wrong_prompts": float((where & ~right).any(axis=1).mean()),
    }
