"""Prompts ``(x₁, f(x₁), x₂, f(x₂), …)`` of a function, and the model's input made of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from attention.errors import InputError

Setting = dict[str, Any]
Inputs = Float[np.ndarray, "B T d"]
Values = Float[np.ndarray, "F B T"]
Change = Callable[[Float[Array, "B T d"]], Float[Array, "B T d"]]


class Prompts(NamedTuple):
    """A batch of sequences of points; each sequence has a function of its own.

    Attributes:
        x_BTD: inputs.
        y_BT: values.
        where_BT: points that count in the loss.
    """

    x_BTD: Float[Array, "B T d"]
    y_BT: Float[Array, "B T"]
    where_BT: Bool[Array, "#B T"]


@dataclasses.dataclass(frozen=True)
class Case:
    """Prompts of one setting, on which predictors are compared.

    Attributes:
        setting: what was varied; columns of the tables.
        x_BTD: inputs, the same for all functions.
        y_FBT: values of F functions; F is 1 if every prompt has a function of its own.
        where_BT: positions that count in the scores.
    """

    setting: Setting
    x_BTD: Inputs
    y_FBT: Values
    where_BT: Bool[np.ndarray, "#B T"]


def interleave(x_BTD: Float[Array, "B T d"], y_BT: Float[Array, "B T"]) -> Float[Array, "B U d"]:
    """The U = 2T − 1 vectors ``x₁, (f(x₁), 0, …), x₂, …, x_T`` of a prompt.

    The value of the last point is left out: no prediction depends on it.
    """
    values_BTD = jnp.zeros_like(x_BTD).at[:, :, 0].set(y_BT)
    both_BTPD = jnp.stack([x_BTD, values_BTD], axis=2)
    batch, points, d = x_BTD.shape
    return both_BTPD.reshape(batch, 2 * points, d)[:, :-1]


def inputs_and_places(
    x_BTD: Float[Array, "B T d"], y_BT: Float[Array, "B T"], labels: bool = True
) -> tuple[Float[Array, "B U d"], slice]:
    """The model's input, and the places of the inputs x in it, where the model predicts y.

    Args:
        x_BTD: inputs.
        y_BT: values.
        labels: False leaves out all values, so that the input is ``x₁, x₂, …``.
    """
    if labels:
        return interleave(x_BTD, y_BT), slice(0, None, 2)
    return x_BTD, slice(0, None, 1)


def with_deviant(
    x_BTD: Float[Array, "B T d"], position: int, value: float
) -> Float[Array, "B T d"]:
    """The inputs with every coordinate of one point replaced by the same number.

    Compute the values of the function after this.

    Args:
        x_BTD: inputs.
        position: the point, counted from 0.
        value: the number.

    Raises:
        InputError: there is no such position.
    """
    if not 0 <= position < x_BTD.shape[1]:
        raise InputError(
            f"no position {position} for a deviant among {x_BTD.shape[1]} points (from 0)"
        )
    return x_BTD.at[:, position].set(value)


def mask_points(points: int, used: Int[Array, ""] | int) -> Bool[Array, "1 T"]:
    """True at the first ``used`` of ``points`` points."""
    return (jnp.arange(points) < used)[None]


def counted(points: int, skip: int) -> Bool[np.ndarray, "1 T"]:
    """True at all but the first ``skip`` of ``points`` positions.

    Raises:
        InputError: no position is left.
    """
    if points <= skip:
        raise InputError(f"prompts need more than {skip} points, the first that do not count")
    return (np.arange(points) >= skip)[None]
