"""Scores on quantifiers, by design and scale, of models and simple answers beside constant ones."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from attention.errors import InputError
from icl.evaluation.errors import forward, models_of
from icl.evaluation.sweeps import grid, read_axes, read_deviant
from icl.tasks import Design, Quantifiers, measures, truth, with_deviant
from icl.training import fitting as training

SKIP = 3  # first positions that do not count
SETTINGS = {"design": str, "sigma": float, "points": int, "deviant": str}
BASELINES = ("true", "false", "current", "previous", "exact")
Labels = Float[np.ndarray, "B T"]
# of the numbers, and of the labels before each: positive for "holds"
Predictor = Callable[[Float[np.ndarray, "B T 1"], Labels], Labels]


class Asked(NamedTuple):
    """Prompts of one setting, and the positions that are asked about."""

    x_BTD: Float[np.ndarray, "B T 1"]
    y_BT: Labels
    where_BT: Bool[np.ndarray, "B T"]


def settings(sweeps: Sequence[str]) -> list[dict[str, Any]]:
    """The grid of ``design=``, ``sigma=``, ``points=``, ``deviant=``; all designs if none is given.

    Raises:
        InputError: unknown names or values.
    """
    axes = {"design": list(get_args(Design)), **read_axes(sweeps, SETTINGS)}
    return grid(axes)


def drawn(task: Quantifiers, setting: Mapping[str, Any], prompts: int, seed: int) -> Asked:
    """So many prompts of a setting, of a mix so many of each quantifier; every position is asked.

    ``sigma`` multiplies the inputs.
    """
    kinds = ("every", "some") if task.kind == "mix" else (task.kind,)
    points = setting.get("points", task.points)
    if points <= SKIP:
        raise InputError(f"prompts need more than {SKIP} points, the first that do not count")
    parts = []
    for i, kind in enumerate(kinds):
        asked = dataclasses.replace(
            task,
            kind=kind,
            design=setting["design"],
            points=points,
            labels=True,
            inputs=task.inputs.scaled(setting.get("sigma", 1.0)),
        )
        x_BTD, y_BT, _ = asked.sample(jax.random.fold_in(jax.random.key(seed), i), 0, prompts)
        if "deviant" in setting:
            x_BTD = with_deviant(x_BTD, *read_deviant(setting["deviant"]))
            y_BT = truth(x_BTD[:, :, 0], jnp.full((prompts, 1), kind == "every"))
        parts.append((np.asarray(x_BTD), np.asarray(y_BT)))
    x_BTD, y_BT = (np.concatenate(each) for each in zip(*parts, strict=True))
    return Asked(x_BTD, y_BT, np.ones(y_BT.shape, bool))


def scored(asked: Asked, predicted_BT: Labels, setting: Mapping[str, Any]) -> dict[str, float]:
    """``measures`` where asked, the first three positions left out.

    With a deviant also ``at_deviant`` and ``after_deviant``, the balanced accuracy at its position
    and at all later ones, with ``constant_``: a model whose answer far away does not depend on the
    context can be wrong at the one and right at the others.  A deviant of the sign that decides
    nothing (positive for every, negative for some) leaves later labels as they are.
    """
    place_1T = np.arange(asked.y_BT.shape[1])[None]
    numbers = dict(measures(predicted_BT, asked.y_BT, SKIP, asked.where_BT & (place_1T >= SKIP)))
    if "deviant" in setting:
        deviant, _ = read_deviant(setting["deviant"])
        for name, part in (("at", place_1T == deviant), ("after", place_1T > deviant)):
            where = asked.where_BT & part
            found = measures(predicted_BT, asked.y_BT, 0, where) if where.any() else {}
            for prefix in ("", "constant_"):
                number = found.get(f"{prefix}balanced_accuracy", float("nan"))
                numbers[f"{prefix}{name}_deviant"] = number
    return numbers


def score(
    by_name: Mapping[str, Predictor],
    task: Quantifiers,
    sweeps: Sequence[str] = (),
    prompts: int = 256,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """A row a predictor and setting (see ``settings``, ``scored``).

    Raises:
        InputError: unknown names or values.
    """
    rows = []
    for setting in settings(sweeps):
        asked = drawn(task, setting, prompts, seed)
        for name, predict in by_name.items():
            predicted_BT = np.asarray(predict(asked.x_BTD, asked.y_BT))
            numbers = scored(asked, predicted_BT, setting)
            rows.append({"predictor": name, **setting, "kind": task.kind, **numbers})
    return rows


def model_predictor(trained: training.Trained) -> Predictor:
    """A trained model.

    Raises:
        InputError: one of another task.
    """
    task: Any = trained.task
    if not isinstance(task, Quantifiers):
        raise InputError("this run was not trained on quantifiers")
    return lambda x_BTD, y_BT: forward(trained.config, trained.params, x_BTD, y_BT, task.labels)


def predictors(
    names: Sequence[str], runs: Sequence[Path], task: Quantifiers | None = None
) -> tuple[dict[str, Predictor], Quantifiers]:
    """Baselines and trained models by name, and their task: that of the first run by default.

    Raises:
        InputError: an unknown name, or a run of another task.
    """
    found: dict[str, Predictor] = {}
    loaded = [(run, name, each) for run in runs for name, each in models_of(run).items()]
    models = [model_predictor(trained) for _, _, trained in loaded]
    own: Any = next((trained.task for _, _, trained in loaded), None)
    task = own if task is None else task
    assert isinstance(task, Quantifiers)
    for name in names:
        if name not in BASELINES:
            raise InputError(f"unknown predictor {name!r}; there are {', '.join(BASELINES)}")
        if name == "previous" and not task.labels:
            raise InputError("the predictor previous repeats a label, and there are none here")
        found[name] = functools.partial(baseline, name, task)
    for (run, name, trained), model in zip(loaded, models, strict=True):
        other: Any = trained.task
        if (other.kind, other.labels) != (task.kind, task.labels):
            raise InputError(
                f"{run} learnt {_described(other)}, and {_described(task)} is asked: separately"
            )
        found[name if name not in found else f"{run.parent}/{name}"] = model
    return found, task


def _described(task: Quantifiers) -> str:
    return f"{task.kind} {'with' if task.labels else 'without'} labels"


def baseline(name: str, task: Quantifiers, x_BTD: np.ndarray, y_BT: Labels) -> Labels:
    """Simple answers, ±1: none looks at the labels from its own position on.

    ``true`` and ``false`` are constant; ``current`` is the sign of the current number; ``previous``
    the label before (of the first number, its sign); ``exact`` follows the rule, which in a mix is
    read from the labels: every, until they contradict it.
    """
    sign_BT = np.where(x_BTD[:, :, 0] > 0, 1.0, -1.0)
    if name in ("true", "false"):
        return np.full(y_BT.shape, 1.0 if name == "true" else -1.0)
    if name == "current":
        return sign_BT
    if name == "previous":
        return np.concatenate([sign_BT[:, :1], y_BT[:, :-1]], axis=1)
    every_BT = np.minimum.accumulate(sign_BT, axis=1)
    some_BT = np.maximum.accumulate(sign_BT, axis=1)
    if task.kind != "mix":
        return every_BT if task.kind == "every" else some_BT
    agrees_BT = np.logical_and.accumulate(every_BT == y_BT, axis=1)
    before_BT = np.concatenate([np.ones_like(agrees_BT[:, :1]), agrees_BT[:, :-1]], axis=1)
    return np.where(before_BT, every_BT, some_BT)
