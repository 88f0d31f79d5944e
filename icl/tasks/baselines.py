"""Baselines: simple predictors that models are compared with, by name."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from attention.choices import nearest
from attention.errors import InputError
from icl.tasks.prompts import Inputs, Values

if TYPE_CHECKING:
    from icl.tasks.kind import Task

Predictor = Callable[[Inputs, Values], Values]
"""Predicts the values of F functions at the same inputs.

At each position it sees the inputs up to there, and the values before."""


@dataclasses.dataclass(frozen=True)
class Baseline:
    """A simple predictor.

    Attributes:
        predict: ``(task, number, x_BTD, y_FBT)`` → predictions ``[F, B, T]``, as a `Predictor`.
        number: the default of its number; None if it takes no number.
        letter: the number's name in lists, such as K in ``knn-K``.
        whole: whether the number must be whole.
        labels: whether it looks at the labels of earlier points.
    """

    predict: Callable[[Any, float, Inputs, Values], Values]
    number: float | None = None
    letter: str = ""
    whole: bool = True
    labels: bool = False


def baseline(task: Task, table: Mapping[str, Baseline], text: str) -> Predictor:
    """The baseline called ``NAME`` or ``NAME-NUMBER``, such as ``knn-3``.

    Args:
        task: the task that it predicts.
        table: the task's baselines.
        text: the name.

    Raises:
        InputError: there is no such baseline, or it needs labels that the task does not show.
    """
    name, number = text, None
    if text not in table:
        name, _, written = text.rpartition("-")
        try:
            number = float(written)
        except ValueError:
            number = math.nan
    row = table.get(name)
    if row is None or not _allowed(row, number):
        names = [f"{each}-{row.letter}" if row.letter else each for each, row in table.items()]
        raise InputError(
            f"unknown predictor {text!r}{nearest(text, table)}; there are {', '.join(names)}"
        )
    if row.labels and not task.labels:
        raise InputError(f"the predictor {name} needs labels, and there are none here")
    used = (row.number or 0) if number is None else number
    return lambda x_BTD, y_FBT: row.predict(task, used, x_BTD, y_FBT)


def _allowed(row: Baseline, number: float | None) -> bool:
    if number is None or row.number is None:
        return number is None
    return 0 < number < math.inf and (not row.whole or number == int(number))


ZERO = Baseline(lambda task, number, x_BTD, y_FBT: np.zeros_like(y_FBT))
