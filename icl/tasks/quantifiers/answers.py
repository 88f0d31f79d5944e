"""Baselines of quantifiers: simple answers ±1, which never see the label asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attention.choices import Choices
from icl.tasks.baselines import Baseline
from icl.tasks.prompts import Inputs, Values

if TYPE_CHECKING:
    from icl.tasks.quantifiers.sentences import Quantifiers


def _current(task: Quantifiers, number: float, x_BTD: Inputs, y_FBT: Values) -> Values:
    """The sign of the current number."""
    return np.broadcast_to(np.where(x_BTD[:, :, 0] > 0, 1.0, -1.0), y_FBT.shape)


def _previous(task: Quantifiers, number: float, x_BTD: Inputs, y_FBT: Values) -> Values:
    """The label of the number before; for the first number its own sign."""
    first_FB1 = _current(task, number, x_BTD, y_FBT)[:, :, :1]
    return np.concatenate([first_FB1, y_FBT[:, :, :-1]], axis=2)


def _exact(task: Quantifiers, number: float, x_BTD: Inputs, y_FBT: Values) -> Values:
    """The rule itself; in a mix this is "every" until the labels contradict it."""
    sign_FBT = _current(task, number, x_BTD, y_FBT)
    every_FBT = np.minimum.accumulate(sign_FBT, axis=2)
    some_FBT = np.maximum.accumulate(sign_FBT, axis=2)
    if task.quantifier != "mix":
        return every_FBT if task.quantifier == "every" else some_FBT
    agrees_FBT = np.logical_and.accumulate(every_FBT == y_FBT, axis=2)
    before_FBT = np.roll(agrees_FBT, 1, axis=2)
    before_FBT[:, :, 0] = True
    return np.where(before_FBT, every_FBT, some_FBT)


ANSWERS = Choices(
    "predictor",
    {
        "true": Baseline(lambda task, number, x_BTD, y_FBT: np.ones_like(y_FBT)),
        "false": Baseline(lambda task, number, x_BTD, y_FBT: -np.ones_like(y_FBT)),
        "current": Baseline(_current),
        "previous": Baseline(_previous, labels=True),
        "exact": Baseline(_exact),
    },
    group="quantifier predictor",
)
"""The baselines of quantifiers, by name."""
