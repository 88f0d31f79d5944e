"""Trained models and baselines as predictors."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from attention.errors import InputError
from icl.tasks import Inputs, Predictor, Task, Values, baseline
from icl.training import Trained, load_all, predict

PROMPTS_AT_ONCE = 512


def model_predictor(trained: Trained) -> Predictor:
    """Make a predictor of a trained model, which is applied to blocks of prompts.

    Raises:
        InputError: when it predicts: prompts are longer than the model's positions, or inputs
            have another size than the model's.
    """

    def apply(x_BTD: Inputs, y_FBT: Values) -> Values:
        functions, prompts, points = y_FBT.shape
        most = trained.config.longest_text
        if 2 * points - 1 > most:
            raise InputError(f"prompts of {points} points are longer than the model's {most // 2}")
        if x_BTD.shape[2] != trained.config.input_size:
            raise InputError(
                f"inputs of {x_BTD.shape[2]} numbers for a model of {trained.config.input_size}"
            )
        rows = functions * prompts
        block = min(PROMPTS_AT_ONCE, rows)
        x = np.broadcast_to(np.asarray(x_BTD, np.float32), (functions, *x_BTD.shape))
        x, y = x.reshape(rows, points, -1), np.asarray(y_FBT, np.float32).reshape(rows, points)
        pad = -rows % block  # so that one shape is compiled
        x, y = (np.concatenate([each, each[:pad]]) if pad else each for each in (x, y))
        one = functools.partial(predict, trained.config, trained.params, labels=trained.task.labels)
        parts = [slice(i, i + block) for i in range(0, rows, block)]
        out = [np.asarray(one(x[part], y[part])) for part in parts]
        return np.concatenate(out)[:rows].reshape(y_FBT.shape)

    return apply


def predictors(task: Task, names: Sequence[str], runs: Sequence[Path]) -> dict[str, Predictor]:
    """Baselines by their names, and trained models by the names of their directories.

    Args:
        task: that they are to predict.
        names: of baselines.
        runs: directories of ``icl train``.

    Raises:
        InputError: a name is unknown, or a run learned a task that this one does not test.
    """
    found = {name: baseline(task, task.baselines, name) for name in names}
    for run in runs:
        for name, trained in load_all(run).items():
            if not task.accepts(trained.task):
                raise InputError(f"{run} learned {trained.task}, and is asked {task}")
            found[name if name not in found else f"{run.parent}/{name}"] = model_predictor(trained)
    return found
