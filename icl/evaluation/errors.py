"""Error of predictors on functions and inputs they may not have been trained for.

``ε = mean over functions, prompts and positions (the first two dropped) of (prediction − y)²``, as
in arXiv 2411.11465, always beside the error of predicting zero, with a bootstrap over functions.
Where an input deviates, the positions after it count: its own value would outweigh all others.
Of labels ±1 it is the share of wrong signs; an answer of 0 is half wrong.
"""

from __future__ import annotations

import csv
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from attention.errors import InputError
from attention.transformer import TransformerConfig
from icl.evaluation import baselines
from icl.evaluation.sweeps import Case
from icl.tasks.functions import Affine, FunctionClass, Loss
from icl.training import fitting as training

PROMPTS_AT_ONCE = 512
Squares = Float[np.ndarray, "F B T"]
# of the inputs alone, and of the values on them
Predictor = Callable[[Float[np.ndarray, "B T d"], Squares], Squares]


def predictors(names: Sequence[str], runs: Sequence[Path]) -> dict[str, Predictor]:
    """Baselines by name and trained models by the name of their directory.

    Raises:
        InputError: an unknown name, a run of another task, or nothing at all.
    """
    found: dict[str, Predictor] = {
        name: functools.partial(baselines.predict, name) for name in names
    }
    for run in runs:
        for name, trained in models_of(run).items():
            functions_of(trained)  # raises for other tasks
            found[name if name not in found else f"{run.parent}/{name}"] = model_predictor(trained)
    if not found:
        raise InputError("nothing to evaluate: give --run or --predictors")
    for name in names:
        baselines.predict(name, np.zeros((1, 1, 1)), np.zeros((1, 1, 1)))  # raises if unknown
    return found


def models_of(run: Path) -> dict[str, training.Trained]:
    """The model of a run by the name of its directory; several by name and seed, ``NAME#SEED``."""
    first = training.load(run)
    seeds = range(first.experiment.seed, first.experiment.seed + first.experiment.seeds)
    name = run.resolve().name
    if len(seeds) == 1:
        return {name: first}
    return {f"{name}#{seed}": training.load(run, seed) for seed in seeds}


@functools.partial(jax.jit, static_argnums=(0, 4))
def forward(config: TransformerConfig, params: Any, x: Any, y: Any, labels: bool) -> Any:
    """``training.predict``, compiled."""
    return training.predict(config, params, x, y, labels)


def model_predictor(trained: training.Trained) -> Predictor:
    """A trained model, applied to blocks of prompts."""

    def predict(x_BTD: np.ndarray, y_FBT: Squares) -> Squares:
        functions, prompts, points = y_FBT.shape
        if 2 * points - 1 > trained.config.max_position_embeddings:
            raise InputError(
                f"prompts of {points} points are longer than the model's "
                f"{trained.config.max_position_embeddings // 2}"
            )
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
        out = [
            np.asarray(
                forward(
                    trained.config,
                    trained.params,
                    x[i : i + block],
                    y[i : i + block],
                    trained.task.labels,
                )
            )
            for i in range(0, rows, block)
        ]
        return np.concatenate(out)[:rows].reshape(y_FBT.shape)

    return predict


def bootstrap(errors_F: Float[np.ndarray, " F"], draws: int = 1000) -> tuple[float, float]:
    """Central 95 % of means over functions drawn with replacement."""
    chosen = np.random.default_rng(0).integers(0, len(errors_F), (draws, len(errors_F)))
    low, high = np.quantile(errors_F[chosen].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


def errors_of(predicted_FBT: Squares, y_FBT: Squares, loss: Loss) -> Squares:
    """``(p − y)²``, or ``|sign p − y| / 2`` for labels ±1."""
    if loss == "squared":
        return np.square(predicted_FBT - y_FBT)
    return np.abs(np.sign(predicted_FBT) - y_FBT) / 2


def evaluate(
    cases: Iterable[Case], by_name: Mapping[str, Predictor]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of ``errors.csv``, and of ``positions.csv``: error by position, none dropped.

    Raises:
        InputError: prompts with no position that counts.
    """
    rows, positions = [], []
    for case in cases:
        points = case.y_FBT.shape[2]
        if points <= case.skip:
            raise InputError(
                f"prompts need more than {case.skip} points, the first that do not count"
            )
        y_FBT = case.y_FBT.astype(np.float64)
        zero = np.mean(errors_of(np.zeros_like(y_FBT), y_FBT, case.loss)[:, :, case.skip :])
        for name, predict in by_name.items():
            errors_FBT = errors_of(predict(case.x_BTD, y_FBT), y_FBT, case.loss)
            errors_F = errors_FBT[:, :, case.skip :].mean(axis=(1, 2))
            low, high = bootstrap(errors_F)
            error = float(errors_F.mean())
            numbers = {"error": error, "error_over_zero": float(error / zero)}
            rows.append({"predictor": name, **case.labels, **numbers, "low": low, "high": high})
            positions += [
                {"predictor": name, **case.labels, "position": t + 1, "error": float(each)}
                for t, each in enumerate(errors_FBT.mean(axis=(0, 1)))
            ]
    return rows, positions


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes the file whole or not at all."""
    part = path.with_suffix(".part")
    with part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    part.replace(path)


def functions_of(trained: training.Trained | None) -> tuple[FunctionClass, str, str]:
    """Class, coefficients and inputs that a model was trained on; those of paper A for none."""
    if trained is None:
        return Affine(), "normal:0,1", "normal:0,1"
    functions = getattr(trained.task, "functions", None)
    if functions is None or getattr(trained.task, "inverse", False):
        raise InputError("this run was not trained to predict values of functions")
    task: Any = trained.task
    return functions, str(task.coefficients), str(task.inputs)
