"""Boundary values: where a model's output stops following the function.

The output of a pre-LN model is bounded for all inputs: every update of the residual stream is a
function of normalized states, and hence bounded by the weights.  If the input is one number,
``h_0 = w x + c + p_t``.  As the queried x grows, the last norm sees the direction ±w alone, and the
output tends to two constants, whatever the context:

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
from icl.tasks import SQUARED, Sampling, Task
from icl.tasks.functions import FunctionTask, require_functions
from icl.training import Trained, predict_last

MAGNITUDES = (0.1, 1, 3, 10, 30, 100)  # of prompts whose attention is looked at
FAR = 1e6  # an x at which the limits are observed


@dataclasses.dataclass(frozen=True)
class Survey:
    """What `survey` finds.

    Attributes:
        slopes: slopes c of functions f = c·x.
        along_slopes: mean output at x = 1 for each slope.
        queries: last inputs x of the function f = x.
        along_queries: mean output for each last input.
        numbers: the pairs ``plateau_along_slopes`` and ``plateau_along_x`` (smallest and largest
            output), ``observed_limits`` (outputs at x = ±1e6) and, for pre-LN models,
            ``limits_from_weights``; and the single number ``effective_bound``.
        entropies: rows of magnitude, layer and entropy (nats); empty without attention.
    """

    slopes: Float[np.ndarray, " C"]
    along_slopes: Float[np.ndarray, " C"]
    queries: Float[np.ndarray, " C"]
    along_queries: Float[np.ndarray, " C"]
    numbers: dict[str, tuple[float, ...]]
    entropies: list[dict[str, float]]


def survey(trained: Trained, most: float = 30.0, count: int = 61) -> Survey:
    """Follow the output of a model along slopes and to far inputs.

    Args:
        trained: a model of functions of one number.
        most: slopes go from −most to most.
        count: number of slopes, and of inputs.

    Raises:
        InputError: a number is out of range, or the model learned another kind of task.
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
    rows = entropies(trained, MAGNITUDES) if _attends(trained) else []
    return Survey(slopes, curve, queries, far, numbers, rows)


def _attends(trained: Trained) -> bool:
    """Whether any layer has attention; halves of layers may be gone."""
    return any(attention for attention, _ in trained.config.halves)


def has_boundary(task: Task) -> bool:
    """Whether `survey` can look at models of a task: it asks for functions of one number."""
    return isinstance(task, FunctionTask) and not task.inverse and task.functions.d == 1


def _task_of_one_number(trained: Trained) -> FunctionTask:
    task = require_functions(trained.task)
    if not has_boundary(task):
        raise InputError(f"boundary values are those of functions of one number, not of {task}")
    return task


def limits(trained: Trained) -> tuple[float, float]:
    """The limits ``(c+, c−)`` of the output, from the weights alone.

    Raises:
        InputError: the model has no last LayerNorm, no residual stream, or inputs of several
            numbers.
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
    """The mean output at the last point, for each function ``f = c·x``.

    Args:
        trained: a model of functions of one number.
        slopes: the slopes c.
        query: the last x; the other inputs are drawn as in training.
        seed: of the inputs.
        prompts: number of prompts of which the mean is taken.
    """
    task = _task_of_one_number(trained)
    x_BT = np.array(task.inputs.sample(jax.random.key(seed), (prompts, task.points)))
    x_BT[:, -1] = query
    return np.array([predict_last(trained, x_BT, slope * x_BT).mean() for slope in slopes])


def along_inputs(
    trained: Trained, queries: Sequence[float], slope: float = 1.0, seed: int = 0, prompts: int = 64
) -> Float[np.ndarray, " Q"]:
    """The mean output at the last point of ``f = slope·x``, for each last x; see `follow`."""
    return np.array([follow(trained, [slope], query, seed, prompts)[0] for query in queries])


def bound_of(trained: Trained, functions: int = 50, prompts: int = 16) -> float:
    """B_eff of a model: its errors for coefficients of 1 to 10 times the spread of training.

    Args:
        trained: a model of functions of one number.
        functions: drawn for each spread.
        prompts: rows of inputs, which all functions share.
    """
    task, sampling = trained.task, Sampling(functions, prompts)
    cases = [task.draw(setting, sampling) for setting in task.settings(["sigma=1:10"])]
    rows, _ = evaluate(task, cases, {"model": model_predictor(trained)})
    values = [case.y_FBT[:, :, case.where_BT[0]] for case in cases]
    return effective_bound(values, [row["error"] for row in rows])


def entropies(
    trained: Trained, magnitudes: Sequence[float], seed: int = 0, prompts: int = 16
) -> list[dict[str, float]]:
    """The mean entropy of the last query's attention, for each magnitude of f = x and each layer.

    Args:
        trained: a model of functions of one number.
        magnitudes: factors of the inputs, which are drawn as in training.
        seed: of the inputs.
        prompts: number of prompts of which the mean is taken.

    Returns:
        Rows of ``magnitude``, ``layer`` and ``entropy`` (nats).

    Raises:
        InputError: the model has no attention.
    """
    if not _attends(trained):
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
    """Draw the output and the true value along slopes and along inputs, with the limits c±."""
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
