"""Prompts ``(x₁, f(x₁), x₂, f(x₂), …)`` of a function, and the model's input made of them."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from attention.errors import InputError


class Prompts(NamedTuple):
    """A batch of sequences of points, one function each."""

    x_BTD: Float[Array, "B T d"]
    y_BT: Float[Array, "B T"]
    where_BT: Bool[Array, "#B T"]  # points that count in the loss, alike in all prompts


def interleave(x_BTD: Float[Array, "B T d"], y_BT: Float[Array, "B T"]) -> Float[Array, "B U d"]:
    """Vectors ``x₁, (f(x₁), 0, …), x₂, …, x_T``: U = 2T − 1 of them.

    The value of the last point is left out: nothing that is read could depend on it.
    """
    values_BTD = jnp.zeros_like(x_BTD).at[:, :, 0].set(y_BT)
    both_BTPD = jnp.stack([x_BTD, values_BTD], axis=2)
    batch, points, d = x_BTD.shape
    return both_BTPD.reshape(batch, 2 * points, d)[:, :-1]


def inputs_and_places(
    x_BTD: Float[Array, "B T d"], y_BT: Float[Array, "B T"], labels: bool = True
) -> tuple[Float[Array, "B U d"], slice]:
    """The model's input, and where its predictions of ``y_BT`` stand: at every ``x``.

    ``labels`` false leaves all values out: the input is ``x₁, x₂, …``.
    """
    if labels:
        return interleave(x_BTD, y_BT), slice(0, None, 2)
    return x_BTD, slice(0, None, 1)


def in_order(x_BTD: Float[Array, "B T d"], y_BT: Float[Array, "B T"]) -> tuple[Array, Array]:
    """The same points with the first coordinate ascending."""
    order_BT = jnp.argsort(x_BTD[:, :, 0], axis=1, stable=True)
    return (
        jnp.take_along_axis(x_BTD, order_BT[:, :, None], axis=1),
        jnp.take_along_axis(y_BT, order_BT, axis=1),
    )


def with_deviant(
    x_BTD: Float[Array, "B T d"], position: int, value: float
) -> Float[Array, "B T d"]:
    """The inputs with that at ``position`` (from 0) replaced by ``value``, in every coordinate.

    Values of the function must be taken after this.
    """
    if not 0 <= position < x_BTD.shape[1]:
        raise InputError(
            f"no position {position} for a deviant among {x_BTD.shape[1]} points (from 0)"
        )
    return x_BTD.at[:, position].set(value)


def mask_points(points: int, used: Int[Array, ""] | int) -> Bool[Array, "1 T"]:
    """True at the first ``used`` of ``points`` points."""
    return (jnp.arange(points) < used)[None]
