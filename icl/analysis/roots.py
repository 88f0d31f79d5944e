"""Asks a trained model for a root of the function that a prompt shows, in one of two ways.

*swap*: a model trained on pairs in the other order, ``(f(x_1), x_1, f(x_2), x_2, …)``
(``FunctionTask(inverse=True)``), is asked for the x of the value 0.  *scan*: a model trained to
predict f(x) is asked for f at many x, and roots are where its answers change sign.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Float

from icl.tasks import Setting, Task
from icl.tasks.functions import RootQuestions, require_functions, root_questions
from icl.training import Trained, predict_last


def approximate(
    trained: Trained,
    setting: Setting | None = None,
    *,
    asked: Task | None = None,
    count: int = 256,
    seed: int = 0,
    low: float = -3.0,
    high: float = 3.0,
    grid: int = 121,
) -> dict[str, float]:
    """Measure the distance of a model's answers to the nearest root from ``low`` to ``high``.

    A run that was trained on the inverse is asked by *swap*, any other one by *scan*.

    Args:
        trained: a model of functions of one number.
        setting: of a sweep; None: that of the task.
        asked: the task whose functions are asked; None: that which the model learned.
        count: number of functions.
        seed: draws functions and inputs.
        low: smallest root that counts.
        high: largest root that counts.
        grid: number of x at which *scan* asks for f.

    Returns:
        What `RootQuestions.score` returns.

    Raises:
        InputError: the model learned another kind of task, or no function has a root there.
    """
    inverse = require_functions(trained.task).inverse
    task = dataclasses.replace(require_functions(asked or trained.task), inverse=inverse)
    questions = root_questions(task, setting, count=count, seed=seed, low=low, high=high)
    if inverse:
        return questions.score([np.array([x]) for x in _swapped(trained, questions)])
    return questions.score(_scanned(trained, questions, np.linspace(low, high, grid)))


def _swapped(trained: Trained, asked: RootQuestions) -> Float[np.ndarray, " B"]:
    values_BT = np.array(asked.y_BT)
    values_BT[:, -1] = 0
    return predict_last(trained, values_BT, asked.x_BT)


def _scanned(
    trained: Trained, asked: RootQuestions, places_G: Float[np.ndarray, " G"]
) -> list[Float[np.ndarray, " A"]]:
    """All changes of sign by linear interpolation, the one nearest to 0 first."""
    values_BG = np.empty((len(asked.x_BT), len(places_G)))
    inputs_BT = np.array(asked.x_BT)
    for i, place in enumerate(places_G):
        inputs_BT[:, -1] = place
        values_BG[:, i] = predict_last(trained, inputs_BT, asked.y_BT)
    answers = []
    for value_G in values_BG:
        crossing = np.flatnonzero(np.sign(value_G[:-1]) != np.sign(value_G[1:]))
        left, right = value_G[crossing], value_G[crossing + 1]
        at = places_G[crossing] + (places_G[1] - places_G[0]) * left / (left - right)
        answers.append(at[np.argsort(np.abs(at), kind="stable")])
    return answers
