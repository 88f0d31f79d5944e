"""Error of predictors on functions and inputs they may not have been trained for.

``ε = mean over functions, prompts and positions (the first two dropped) of (prediction − y)²``, as
in arXiv 2411.11465, always beside the error of predicting zero, with a bootstrap over functions.
Where an input deviates, the positions after it count: its own value would outweigh all others.
"""

from __future__ import annotations

import csv
import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from attention.errors import InputError
from attention.transformer import TransformerConfig
from icl import baselines, training
from icl.distributions import distribution
from icl.functions import Affine, FunctionClass, Series
from icl.prompts import in_order, with_deviant

SKIP = 2  # first positions that do not count
PROMPTS_AT_ONCE = 512
Squares = Float[np.ndarray, "F B T"]
# of the inputs alone, and of the values on them
Predictor = Callable[[Float[np.ndarray, "B T d"], Squares], Squares]


def predictors(names: Sequence[str], runs: Sequence[Path]) -> dict[str, Predictor]:
    """Baselines by name and trained models by the name of their directory."""
    found: dict[str, Predictor] = {
        name: functools.partial(baselines.predict, name) for name in names
    }
    for run in runs:
        name = run.name if run.name not in found else str(run)
        found[name] = model_predictor(training.load(run))
    if not found:
        raise InputError("nothing to evaluate: give --run or --predictors")
    for name in names:
        baselines.predict(name, np.zeros((1, 1, 1)), np.zeros((1, 1, 1)))  # raises if unknown
    return found


@functools.partial(jax.jit, static_argnums=(0, 4))
def _forward(config: TransformerConfig, params: Any, x: Any, y: Any, labels: bool) -> Any:
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
                _forward(
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


@dataclasses.dataclass(frozen=True)
class Case:
    """Functions on inputs, and what they are called in the tables."""

    labels: Mapping[str, Any]  # inputs, sigma and more columns
    x_BTD: np.ndarray
    y_FBT: np.ndarray
    skip: int = SKIP  # first positions that do not count


def published(path: Path | None = None, functions: int | None = None) -> Iterable[Case]:
    """The published evaluation set: σ = 1 … 10, inputs ``normal`` and ``uniform``.

    Raises:
        InputError: no such file, or one without the arrays.
    """
    source = files("icl") / "assets" / "linear_functions.npz" if path is None else path
    try:
        with source.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            data = {name: arrays[name].astype(np.float64) for name in arrays.files}
        a, b = data["a"][:, :functions], data["b"][:, :functions]
        grids = {name: data[f"xs_{name}"] for name in ("normal", "uniform")}
    except FileNotFoundError:
        raise InputError(f"there is no file {path}") from None
    except (KeyError, ValueError, OSError, EOFError) as error:
        raise InputError(
            f"{path} is no evaluation set, an npz of a, b, xs_normal, xs_uniform: {error}"
        ) from None
    if a.shape != b.shape or a.ndim != 2 or any(grid.ndim != 2 for grid in grids.values()):
        raise InputError(f"{path}: a and b must be [sigma, function], xs_… [prompt, point]")
    for name, x_BT in grids.items():
        for i in range(len(a)):
            y_FBT = a[i][:, None, None] * x_BT + b[i][:, None, None]
            yield Case({"inputs": name, "sigma": i + 1}, x_BT[:, :, None], y_FBT)


@dataclasses.dataclass(frozen=True)
class Design:
    """One setting of a sweep; every default is the middle of the road.

    Attributes:
        inputs: distribution of x.
        sigma: factor of the coefficients' distribution.
        points: length of the prompts.
        degree: of a series; None for the class's own.
        order: ``drawn`` or ``sorted`` (x ascending).
        deviant: ``POSITION:VALUE``, an input put in place of that drawn (positions from 0); "" for
            none.
    """

    inputs: str = "normal:0,1"
    sigma: float = 1.0
    points: int = 41
    degree: int | None = None
    order: str = "drawn"
    deviant: str = ""


def drawn(
    design: Design,
    functions: FunctionClass,
    coefficients: str = "normal:0,1",
    *,
    count: int = 100,
    prompts: int = 64,
    seed: int = 0,
) -> Case:
    """``count`` functions on ``prompts`` prompts, the same numbers for every predictor."""
    keys = jax.random.split(jax.random.key(seed), 3)
    x_BTD = distribution(design.inputs).sample(keys[0], (prompts, design.points, functions.d))
    skip = SKIP
    if design.deviant:
        if design.order == "sorted":
            raise InputError("with a deviant the order is that drawn: sorted, it has no one place")
        place, _, value = design.deviant.partition(":")
        try:
            where, number = int(place), float(value)
        except ValueError:
            raise InputError(f"a deviant is POSITION:VALUE, not {design.deviant!r}") from None
        x_BTD, skip = with_deviant(x_BTD, where, number), max(SKIP, where + 1)
    if design.degree is not None:
        if not isinstance(functions, Series):
            raise InputError(f"{functions} has no degree to sweep")
        if design.degree < 0:
            raise InputError(f"a degree is 0 or more, not {design.degree}")
        functions = dataclasses.replace(functions, degree=design.degree, degrees=())
    of = distribution(coefficients).scaled(design.sigma)
    drawn_F = jax.vmap(lambda k: functions.draw(k, of))(jax.random.split(keys[1], count))
    observe = jax.vmap(jax.vmap(functions.observe, (0, None, 0)), (0, 0, None))
    noise_FB = jax.random.split(keys[2], (count, prompts))
    y_FBT = observe(noise_FB, drawn_F, x_BTD)
    if design.order not in ("drawn", "sorted"):
        raise InputError(f"an order is drawn or sorted, not {design.order!r}")
    if design.order == "sorted":
        x_BTD, y_FBT = (
            in_order(x_BTD, y_FBT[0])[0],
            jax.vmap(lambda y: in_order(x_BTD, y)[1])(y_FBT),
        )
    return Case(dataclasses.asdict(design), np.asarray(x_BTD), np.asarray(y_FBT), skip)


def designs(sweeps: Sequence[str], base: Design) -> list[Design]:
    """The grid of all ``--sweep NAME=VALUES``: ``sigma=1:10``, ``degree=1,2,3``, ``inputs=…;…``.

    ``inputs=1:10`` scales the base's distribution.  Values are between commas (semicolons for
    distributions), or ``FIRST:LAST`` of integers.

    Raises:
        InputError: unknown names or values.
    """
    names = [field.name for field in dataclasses.fields(Design)]
    axes: dict[str, list[Any]] = {}
    for sweep in sweeps:
        name, _, text = sweep.partition("=")
        if name not in names or not text:
            raise InputError(f"a sweep is NAME=VALUES with a name of {', '.join(names)}: {sweep!r}")
        named = name == "inputs" and any(letter.isalpha() for letter in text)
        parts = text.split(";" if named else ",")  # a distribution has a comma in it
        read: Callable[[str], Any] = {"sigma": float, "points": int, "degree": int}.get(name, str)
        try:
            first, colon, last = text.partition(":")
            if colon and first.isdigit() and last.isdigit() and name != "deviant":
                parts = [str(i) for i in range(int(first), int(last) + 1)]
            axes[name] = [read(part) for part in parts]
        except ValueError:
            raise InputError(f"{sweep!r}: these are no values of {name}") from None
        if name == "inputs":
            scale = distribution(base.inputs).scaled
            axes[name] = [
                str(
                    scale(float(part)) if part.replace(".", "", 1).isdigit() else distribution(part)
                )
                for part in parts
            ]
        if not axes[name] or (name in ("sigma", "points") and min(axes[name]) <= 0):
            raise InputError(f"{sweep!r}: {name} must be positive")
    grid = itertools.product(*axes.values())
    return [dataclasses.replace(base, **dict(zip(axes, values, strict=True))) for values in grid]


def bootstrap(errors_F: Float[np.ndarray, " F"], draws: int = 1000) -> tuple[float, float]:
    """Central 95 % of means over functions drawn with replacement."""
    chosen = np.random.default_rng(0).integers(0, len(errors_F), (draws, len(errors_F)))
    low, high = np.quantile(errors_F[chosen].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


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
        zero = np.mean(np.square(y_FBT[:, :, case.skip :]))
        for name, predict in by_name.items():
            squares_FBT = np.square(predict(case.x_BTD, y_FBT) - y_FBT)
            errors_F = squares_FBT[:, :, case.skip :].mean(axis=(1, 2))
            low, high = bootstrap(errors_F)
            error = float(errors_F.mean())
            numbers = {"error": error, "error_over_zero": float(error / zero)}
            rows.append({"predictor": name, **case.labels, **numbers, "low": low, "high": high})
            positions += [
                {"predictor": name, **case.labels, "position": t + 1, "error": float(each)}
                for t, each in enumerate(squares_FBT.mean(axis=(0, 1)))
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
