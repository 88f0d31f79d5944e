"""Settings of a sweep: which functions on which inputs are asked for.

``--sweep NAME=VALUES``, any number of times, is a grid.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from attention.errors import InputError
from icl.tasks import distribution, in_order, with_deviant
from icl.tasks.functions import FunctionClass, Loss, Series

SKIP = 2  # first positions that do not count


@dataclasses.dataclass(frozen=True)
class Case:
    """Functions on inputs, and what they are called in the tables."""

    labels: Mapping[str, Any]  # inputs, sigma and more columns
    x_BTD: np.ndarray
    y_FBT: np.ndarray
    skip: int = SKIP  # first positions that do not count
    loss: Loss = "squared"


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
        where, number = read_deviant(design.deviant)
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
    labels = dataclasses.asdict(design)
    return Case(labels, np.asarray(x_BTD), np.asarray(y_FBT), skip, functions.loss)


def read_axes(
    sweeps: Sequence[str], kinds: Mapping[str, Callable[[str], Any]]
) -> dict[str, list[Any]]:
    """Values by name of ``NAME=VALUES``, between commas, or ``FIRST:LAST`` of integers.

    Distributions have commas of their own: semicolons stand between them.

    Args:
        sweeps: what was given.
        kinds: how a value of each name is read.

    Raises:
        InputError: unknown names or values, or a name given twice.
    """
    axes: dict[str, list[Any]] = {}
    for sweep in sweeps:
        name, _, text = sweep.partition("=")
        if name not in kinds or not text:
            raise InputError(f"a sweep is NAME=VALUES with a name of {', '.join(kinds)}: {sweep!r}")
        if name in axes:
            raise InputError(f"{name} is swept twice; put all its values into one --sweep")
        first, _, last = text.partition(":")
        if first.isdigit() and last.isdigit() and name != "deviant":
            parts = [str(i) for i in range(int(first), int(last) + 1)]
            if not parts:
                raise InputError(f"{sweep!r}: FIRST must not be more than LAST")
        else:
            laws = name == "inputs" and any(letter.isalpha() for letter in text)
            parts = text.split(";" if laws else ",")
        try:
            axes[name] = [kinds[name](part.strip()) for part in parts]
        except InputError:
            raise
        except ValueError:
            raise InputError(f"{sweep!r}: these are no values of {name}") from None
        if name in ("sigma", "points") and not all(0 < value < math.inf for value in axes[name]):
            raise InputError(f"{sweep!r}: {name} must be positive")
    return axes


def grid(axes: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Every combination."""
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def read_deviant(text: str) -> tuple[int, float]:
    """``POSITION:VALUE``.

    Raises:
        InputError: something else.
    """
    place, _, value = text.partition(":")
    try:
        where, number = int(place), float(value)
    except ValueError:
        raise InputError(f"a deviant is POSITION:VALUE, not {text!r}") from None
    if not math.isfinite(number):
        raise InputError(f"a deviant is a finite number, not {value}")
    return where, number


def designs(sweeps: Sequence[str], base: Design) -> list[Design]:
    """The grid of all ``--sweep NAME=VALUES``: ``sigma=1:10``, ``degree=1,2,3``, ``inputs=…;…``.

    ``inputs=1:10`` scales the base's distribution.

    Raises:
        InputError: unknown names or values.
    """

    def inputs(text: str) -> str:
        try:
            factor = float(text)
        except ValueError:
            return str(distribution(text))
        if not factor > 0:
            raise InputError(f"inputs are scaled by a positive number, not {text}")
        return str(distribution(base.inputs).scaled(factor))

    names = [field.name for field in dataclasses.fields(Design)]
    kinds: dict[str, Callable[[str], Any]] = dict.fromkeys(names, str)
    kinds |= {"inputs": inputs, "sigma": float, "points": int, "degree": int}
    return [dataclasses.replace(base, **values) for values in grid(read_axes(sweeps, kinds))]
