"""Boundary values: where a model's output stops following the function.

The output of a pre-LN model is bounded, whatever its input: every update of the residual stream is
a function of normalized states, and hence bounded by the weights.  With one number as the input,
``h_0 = w x + c + p_t``.  As the queried x grows, the last norm sees the direction of ±w alone, and
the output tends to two constants that no context can change:

    c± = norm_f(±w) · w_out + b_out
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence

import jax
import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from attention import files
from attention.errors import InputError
from icl.analysis.collapse import last_weights, spread
from icl.evaluation import effective_bound, evaluate, model_predictor
from icl.tasks import SQUARED, Sampling
from icl.tasks.functions import FunctionTask, require_functions
from icl.training import Trained, predict_last

MAGNITUDES = (0.1, 1, 3, 10, 30, 100)  # of prompts whose attention is looked at
FAR = 1e6  # an x at which the limits are observed


@dataclasses.dataclass(frozen=True)
class Survey:
    """What `survey` finds.

    Attributes:
        slopes: the slopes c of f = c·x.
        along_slopes: mean output for each of them, at x = 1.
        queries: the last x of f = x.
        along_queries: mean output for each of them.
        numbers: pairs ``plateau_along_slopes`` and ``plateau_along_x`` (smallest and largest
            output), ``observed_limits`` at x = ±1e6, and if there are any ``limits_from_weights``;
            and ``effective_bound`` alone.
        entropies: rows of magnitude, layer and entropy; none without attention.
    """

    slopes: Float[np.ndarray, " C"]
    along_slopes: Float[np.ndarray, " C"]
    queries: Float[np.ndarray, " C"]
    along_queries: Float[np.ndarray, " C"]
    numbers: dict[str, tuple[float, ...]]
    entropies: list[dict[str, float]]


def survey(trained: Trained, most: float = 30.0, count: int = 61) -> Survey:
    """Follow a model along slopes and far inputs.

    Args:
        trained: a model of functions of one number.
        most: slopes from −most to most.
        count: number of slopes, and of inputs.

    Raises:
        InputError: a number is not possible, or the model learned something else.
    """
    task = _task_of_one_number(trained)
    if count < 2 or not 0 < most < np.inf:
        raise InputError("there must be at least 2 slopes, up to a positive number")
    slopes = np.linspace(-most, most, count)
    queries = np.sign(slopes) * np.geomspace(1e-2, 1e5, count)[np.argsort(np.argsort(abs(slopes)))]
    curve, far = follow(trained, list(slopes)), along_inputs(trained, list(queries))
    high, low = along_inputs(trained, [FAR, -FAR])
    numbers: dict[str, tuple[float, ...]] = {
        "plateau_along_slopes": (float(curve.min()), float(curve.max())),
        "plateau_along_x": (float(far.min()), float(far.max())),
        "observed_limits": (float(high), float(low)),
    }
    with contextlib.suppress(InputError):  # there are none without LayerNorm
        numbers["limits_from_weights"] = limits(trained)
    if task.points > task.skip and task.loss is SQUARED:
        numbers["effective_bound"] = (bound_of(trained),)
    rows = entropies(trained, MAGNITUDES) if trained.config.attention else []
    return Survey(slopes, curve, queries, far, numbers, rows)


def _task_of_one_number(trained: Trained) -> FunctionTask:
    task = require_functions(trained.task)
    if task.inverse or task.functions.d != 1:
        raise InputError(f"boundary values are those of functions of one number, not of {task}")
    return task


def limits(trained: Trained) -> tuple[float, float]:
    """``(c+, c−)``, from the weights alone.

    Raises:
        InputError: the model has no last LayerNorm or no residual stream, or several numbers as
            its input.
    """
    c = trained.config
    if not (c.final_norm and c.norm == "layernorm" and c.residual and c.input_size == 1):
        raise InputError("the limits c+ and c- are those of pre-LN models of one number")
    params = jax.tree.map(np.asarray, trained.params)
    w_D = params["embed"]["kernel"][0].astype(np.float64)
    centred_D = (w_D - w_D.mean()) / w_D.std()
    norm, out = params["final_norm"], params["head"]["out"]

    def read(h_D: Float[np.ndarray, " D"]) -> float:
        normed_D = h_D * norm["scale"] + norm["bias"]
        return float(normed_D @ out["kernel"][:, 0] + out["bias"][0])

    return read(centred_D), read(-centred_D)


def follow(
    trained: Trained, slopes: Sequence[float], query: float = 1.0, seed: int = 0, prompts: int = 64
) -> Float[np.ndarray, " C"]:
    """Mean output for each ``f = c·x`` at the last point, ``x = query``.

    Args:
        trained: a model of functions of one number.
        slopes: the c.
        query: the last x; the other inputs are drawn as in training.
        seed: of the inputs.
        prompts: number of prompts that the mean is taken over.
    """
    task = _task_of_one_number(trained)
    x_BT = np.array(task.inputs.sample(jax.random.key(seed), (prompts, task.points)))
    x_BT[:, -1] = query
    return np.array([predict_last(trained, x_BT, slope * x_BT).mean() for slope in slopes])


def along_inputs(
    trained: Trained, queries: Sequence[float], slope: float = 1.0, seed: int = 0, prompts: int = 64
) -> Float[np.ndarray, " Q"]:
    """Mean output for ``f = slope·x`` at the last point, for each queried x; see `follow`."""
    return np.array([follow(trained, [slope], query, seed, prompts)[0] for query in queries])


def bound_of(trained: Trained, functions: int = 50, prompts: int = 16) -> float:
    """B_eff of a model's own errors: σ = 1 … 10 times its coefficients, on its inputs."""
    task, sampling = trained.task, Sampling(functions, prompts)
    cases = [task.draw(setting, sampling) for setting in task.settings(["sigma=1:10"])]
    rows, _ = evaluate(task, cases, {"model": model_predictor(trained)})
    values = [case.y_FBT[:, :, case.where_BT[0]] for case in cases]
    return effective_bound(values, [row["error"] for row in rows])


def entropies(
    trained: Trained, magnitudes: Sequence[float], seed: int = 0, prompts: int = 16
) -> list[dict[str, float]]:
    """Mean entropy (nats) of the last query's attention weights, by layer, against magnitude.

    Args:
        trained: a model of functions of one number.
        magnitudes: each multiplies all inputs, which are drawn as in training; f = x.
        seed: of the inputs.
        prompts: number of prompts that the mean is taken over.

    Returns:
        A row for each magnitude and layer.

    Raises:
        InputError: the model has no attention.
    """
    if not trained.config.attention:
        raise InputError("a model without attention has no entropy of attention")
    task = _task_of_one_number(trained)
    x_BT = task.inputs.sample(jax.random.key(seed), (prompts, task.points))
    rows = []
    for magnitude in magnitudes:
        far_BT = magnitude * x_BT
        weights_LBNS = last_weights(trained.config, trained.params, far_BT[:, :, None], far_BT)
        rows += [
            {"magnitude": float(magnitude), "layer": i, "entropy": spread(np.asarray(layer))[1]}
            for i, layer in enumerate(weights_LBNS)
        ]
    return rows


def draw_boundary(found: Survey) -> Figure:
    """The output against the true value, along slopes and along inputs, with the limits c±."""
    figure = Figure(figsize=(9.2, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(found.slopes, found.slopes, ":", color=files.GREY, label="f(1) = c")
    left.plot(found.slopes, found.along_slopes, label="model")
    left.set(title="f = c·x at x = 1", xlabel="c", ylabel="output")
    right.plot(found.queries, found.queries, ":", color=files.GREY, label="f(x) = x")
    right.plot(found.queries, found.along_queries, label="model")
    right.set(title="f = x, at a last x far away", xlabel="x")
    right.set_xscale("symlog", linthresh=1)
    right.set_xticks([-1e4, -1e2, -1, 1, 1e2, 1e4])
    expected = found.numbers.get("limits_from_weights", ())
    for ax, curve in ((left, found.along_slopes), (right, found.along_queries)):
        bounds = [*curve, *expected]
        room = 0.3 * (max(bounds) - min(bounds)) + 1e-9
        ax.set_ylim(min(bounds) - room, max(bounds) + room)
    for i, limit in enumerate(expected):
        name = "c+, c−, from weights" * (not i)
        right.axhline(limit, ls="--", lw=0.8, color=files.VERMILION, label=name)
    left.legend(fontsize=8)
    right.legend(fontsize=8)
    return figure
