"""Tasks: prompts as a pure function of (key, step), with curricula that change no shape."""

from __future__ import annotations

import dataclasses
from typing import Protocol

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from attention.errors import InputError
from icl.tasks.distributions import Distribution, Normal
from icl.tasks.functions import Affine, FunctionClass, Loss, Series
from icl.tasks.prompts import Prompts, mask_points


class Task(Protocol):
    """What training needs of a task; hashable."""

    @property
    def points(self) -> int: ...
    @property
    def labels(self) -> bool: ...
    @property
    def loss(self) -> Loss: ...
    @property
    def input_size(self) -> int: ...
    def sample(self, key: Key[Array, ""], step: Int[Array, ""] | int, batch: int) -> Prompts:
        """A batch of prompts."""
        ...


@dataclasses.dataclass(frozen=True)
class Curriculum:
    """``min(end, start + increment · (step // every))``; written ``start:end:increment:every``."""

    start: int
    end: int
    increment: int
    every: int

    def __post_init__(self) -> None:
        if not (1 <= self.start <= self.end and self.increment >= 1 and self.every >= 1):
            raise InputError(
                f"a curriculum is START:END:INCREMENT:EVERY, positive and not falling, not {self}"
            )

    def at(self, step: Int[Array, ""] | int) -> Int[Array, ""]:
        """Its value at a step."""
        return jnp.minimum(self.end, self.start + self.increment * (step // self.every))

    def __str__(self) -> str:
        return f"{self.start}:{self.end}:{self.increment}:{self.every}"


def curriculum(text: str | None) -> Curriculum | None:
    """``11:41:2:2000``, or None for none."""
    if text is None:
        return None
    try:
        return Curriculum(*(int(number) for number in text.split(":")))
    except (TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"a curriculum is START:END:INCREMENT:EVERY, not {text!r}") from None


@dataclasses.dataclass(frozen=True)
class FunctionTask:
    """Points of functions: every prompt draws a function and its inputs.

    Attributes:
        functions: the class.
        inputs: of every coordinate of x.
        coefficients: of every coefficient.
        points: of a prompt; curricula use fewer of them, masked.
        inverse: points are (f(x), x): the value comes first and its x is to be predicted.
        point_curriculum: how many points count.
        dimension_curriculum: how many coordinates of x are not zero.
        degree_curriculum: degree in use, of a series.
    """

    functions: FunctionClass = Affine()
    inputs: Distribution = Normal(0.0, 1.0)
    coefficients: Distribution = Normal(0.0, 1.0)
    points: int = 41
    inverse: bool = False
    point_curriculum: Curriculum | None = None
    dimension_curriculum: Curriculum | None = None
    degree_curriculum: Curriculum | None = None

    def __post_init__(self) -> None:
        for what, plan, most in (
            ("points", self.point_curriculum, self.points),
            ("dimensions", self.dimension_curriculum, self.functions.d),
            ("degree", self.degree_curriculum, getattr(self.functions, "largest", 0)),
        ):
            if plan is not None and plan.end > most:
                raise InputError(f"the curriculum of {what} ends at {plan.end}, beyond {most}")
        if self.points < 1:
            raise InputError(f"a prompt has at least 1 point, not {self.points}")
        if self.inverse and self.functions.d != 1:
            raise InputError("the inverse problem is that of functions of one number")
        if isinstance(self.functions, Series) and self.functions.degrees and self.degree_curriculum:
            raise InputError("give degrees drawn per prompt, or a curriculum of degrees, not both")

    @property
    def loss(self) -> Loss:
        """How a prediction is scored in training."""
        return self.functions.loss

    @property
    def input_size(self) -> int:
        """Numbers in a token."""
        return self.functions.d

    @property
    def labels(self) -> bool:
        """Whether values of earlier points are in the context."""
        return True

    def sample(
        self, key: Key[Array, ""], step: Int[Array, ""] | int = 0, batch: int = 64
    ) -> Prompts:
        """A batch, the same for the same key and step."""
        inputs, coefficients, noise = jax.random.split(key, 3)
        x_BTD = self.inputs.sample(inputs, (batch, self.points, self.functions.d))
        if self.dimension_curriculum is not None:
            used = jnp.arange(self.functions.d) < self.dimension_curriculum.at(step)
            x_BTD = x_BTD * used[None, None]
        degree = None if self.degree_curriculum is None else self.degree_curriculum.at(step)
        drawn = jax.vmap(lambda k: self.functions.draw(k, self.coefficients, degree))(
            jax.random.split(coefficients, batch)
        )
        y_BT = jax.vmap(self.functions.observe)(jax.random.split(noise, batch), drawn, x_BTD)
        used = self.points if self.point_curriculum is None else self.point_curriculum.at(step)
        where_BT = mask_points(self.points, used)
        if self.inverse:
            return Prompts(y_BT[:, :, None], x_BTD[:, :, 0], where_BT)
        return Prompts(x_BTD, y_BT, where_BT)


def prediction_loss(
    predicted_BT: Float[Array, "B T"], prompts: Prompts, loss: Loss
) -> tuple[Float[Array, ""], Int[Array, ""]]:
    """Sum over the points that count, of ``(p − y)²`` or for labels ±1 of ``log(1 + e^(−p y))``.

    Returns:
        The sum, and how many points count.
    """
    if loss == "squared":
        each_BT = jnp.square(predicted_BT - prompts.y_BT)
    else:
        each_BT = jax.nn.softplus(-predicted_BT * prompts.y_BT)
    where_BT = jnp.broadcast_to(prompts.where_BT, each_BT.shape)
    return jnp.sum(jnp.where(where_BT, each_BT, 0)), jnp.sum(where_BT)
