"""Scores of a model trained on quantifiers, by design and scale, beside constant answers."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from attention.errors import InputError
from icl.evaluation import _forward
from icl.prompts import with_deviant
from icl.quantifiers import Quantifiers, measures, truth
from icl.training import Trained


def score(
    trained: Trained, sweeps: Sequence[str] = (), prompts: int = 256, seed: int = 0
) -> list[dict[str, Any]]:
    """A row a setting of ``design=``, ``sigma=``, ``points=``, ``deviant=``.

    ``sigma`` multiplies the inputs.  Without ``design``, all four.  With a deviant, rows have
    ``at_deviant`` and ``after_deviant``, the balanced accuracy at its position and at all later
    ones, with ``constant_``: a model whose answer far away does not depend on the context can be
    wrong at the one and right at the others.  A deviant of the sign that decides nothing (positive
    for every, negative for some) leaves later labels as they are.

    Raises:
        InputError: unknown names or values.
    """
    axes: dict[str, list[str]] = {"design": ["plain", "balanced", "rare", "late"]}
    for sweep in sweeps:
        name, _, text = sweep.partition("=")
        if name not in ("design", "sigma", "points", "deviant") or not text:
            raise InputError(
                f"a sweep of quantifiers is of design, sigma, points or deviant, not {sweep!r}"
            )
        first, _, last = text.partition(":")
        whole = first.isdigit() and last.isdigit() and name in ("sigma", "points")
        axes[name] = (
            [str(i) for i in range(int(first), int(last) + 1)] if whole else text.split(",")
        )
    rows = []
    for values in itertools.product(*axes.values()):
        setting = dict(zip(axes, values, strict=True))
        rows.append(
            {"predictor": trained.experiment.preset, **_score(trained, setting, prompts, seed)}
        )
    return rows


def _score(trained: Trained, setting: dict[str, str], prompts: int, seed: int) -> dict[str, Any]:
    task: Any = trained.task
    assert isinstance(task, Quantifiers)
    kinds = ("every", "some") if task.kind == "mix" else (task.kind,)
    try:
        sigma, points = float(setting.get("sigma", 1)), int(setting.get("points", task.points))
        place, _, value = setting.get("deviant", "0:0").partition(":")
        deviant = int(place), float(value)
    except ValueError:
        raise InputError(f"these are no values of a sweep: {setting}") from None
    if sigma <= 0:
        raise InputError(f"sigma is positive, not {sigma:g}")
    predicted, labels = [], []
    for i, kind in enumerate(kinds):
        asked = dataclasses.replace(
            task,
            kind=kind,
            design=setting["design"],
            points=points,
            inputs=task.inputs.scaled(sigma),
        )
        x_BTD, y_BT, _ = asked.sample(jax.random.fold_in(jax.random.key(seed), i), 0, prompts)
        if "deviant" in setting:
            x_BTD = with_deviant(x_BTD, *deviant)
            y_BT = truth(x_BTD[:, :, 0], jnp.full((prompts, 1), kind == "every"))
        predicted.append(_forward(trained.config, trained.params, x_BTD, y_BT, task.labels))
        labels.append(y_BT)
    signs, truths = jnp.concatenate(predicted), jnp.concatenate(labels)
    numbers = dict(measures(signs, truths))
    if "deviant" in setting:
        place = deviant[0]
        for name, where in (
            ("at_deviant", slice(place, place + 1)),
            ("after_deviant", slice(place + 1, None)),
        ):
            there = truths[:, where]
            found = measures(signs[:, where], there, skip=0) if there.size else {}
            for prefix in ("", "constant_"):
                numbers[prefix + name] = found.get(f"{prefix}balanced_accuracy", float("nan"))
    return {**setting, "kind": task.kind, **numbers}
