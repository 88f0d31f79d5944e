"""Designs: how the signs of numbers are drawn, so that labels flip more or less often."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from attention.choices import Choices

Draws = Float[Array, "B T"]
Every = Bool[Array, "B 1"]
Design = Callable[[Key[Array, ""], Draws, Every, float], Draws]
"""``(key, numbers, every, rate) → numbers``.

``every`` says which prompts have the quantifier every; the others have some.  ``rate`` is the
probability of a number that decides.
"""


def truth(x_BT: Float[Array, "B T"], every_B1: Bool[Array, "B 1"]) -> Float[Array, "B T"]:
    """The label ±1 after each number.

    Args:
        x_BT: the numbers.
        every_B1: whether a prompt's quantifier is ``every``; otherwise it is ``some``.
    """
    sign_BT = jnp.where(x_BT > 0, 1.0, -1.0)
    return jnp.where(every_B1, jax.lax.cummin(sign_BT, 1), jax.lax.cummax(sign_BT, 1))


def plain(key: Key[Array, ""], x_BT: Draws, every_B1: Every, rate: float) -> Draws:
    """The numbers as they are drawn."""
    return x_BT


def balanced(key: Key[Array, ""], x_BT: Draws, every_B1: Every, rate: float) -> Draws:
    """The label never flips in half of the prompts; in the others it flips at any place."""
    never, where = jax.random.split(key)
    batch, points = x_BT.shape
    flip_B1 = jax.random.randint(where, (batch, 1), 0, points)
    flip_B1 = jnp.where(jax.random.bernoulli(never, shape=(batch, 1)), points, flip_B1)
    return _flipped(x_BT, every_B1, flip_B1)


def rare(key: Key[Array, ""], x_BT: Draws, every_B1: Every, rate: float) -> Draws:
    """A number decides with probability ``rate``: it is negative for every, positive for some."""
    decides_BT = jax.random.bernoulli(key, rate, x_BT.shape)
    return jnp.abs(x_BT) * jnp.where(decides_BT == every_B1, -1, 1)


def late(key: Key[Array, ""], x_BT: Draws, every_B1: Every, rate: float) -> Draws:
    """The label flips in the last quarter."""
    batch, points = x_BT.shape
    _, where = jax.random.split(key)
    first = points - max(1, points // 4)
    return _flipped(x_BT, every_B1, jax.random.randint(where, (batch, 1), first, points))


def _flipped(x_BT: Draws, every_B1: Every, flip_B1: Int[Array, "B 1"]) -> Draws:
    """Change the signs of numbers so that the label flips at a place; the place T is nowhere.

    Numbers after the flip keep their signs.
    """
    place_1T = jnp.arange(x_BT.shape[1])[None]
    sign_BT = jnp.where((place_1T == flip_B1) == every_B1, -1, 1)
    return jnp.where(place_1T <= flip_B1, jnp.abs(x_BT) * sign_BT, x_BT)


DESIGNS: Choices[Design] = Choices(
    "design", {"plain": plain, "balanced": balanced, "rare": rare, "late": late}
)
"""All designs, for ``--design`` and ``--sweep design=…``."""
