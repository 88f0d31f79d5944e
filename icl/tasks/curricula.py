"""Curricula: a number that grows with the training step, while shapes stay the same."""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp
from jaxtyping import Array, Int

from attention.errors import InputError

FORM = "START:END:INCREMENT:EVERY"


@dataclasses.dataclass(frozen=True)
class Curriculum:
    """``min(end, start + increment · (step // every))``, a whole number.

    Attributes:
        start: its value at step 0.
        end: its largest value.
        increment: added each time.
        every: steps between two increments.

    Raises:
        InputError: a number is below 1, or the start is above the end.
    """

    start: int
    end: int
    increment: int
    every: int

    def __post_init__(self) -> None:
        if not (1 <= self.start <= self.end and self.increment >= 1 and self.every >= 1):
            raise InputError(f"a curriculum is {FORM}, positive and not falling, not {self}")

    def at(self, step: Int[Array, ""] | int) -> Int[Array, ""]:
        """The value at a training step."""
        return jnp.minimum(self.end, self.start + self.increment * (step // self.every))

    def __str__(self) -> str:
        return f"{self.start}:{self.end}:{self.increment}:{self.every}"


def curriculum(text: str | None) -> Curriculum | None:
    """Read ``11:41:2:2000``; None for None.

    Raises:
        InputError: the text is not a curriculum.
    """
    if text is None:
        return None
    try:
        return Curriculum(*(int(number) for number in text.split(":")))
    except InputError:
        raise
    except (TypeError, ValueError):
        raise InputError(f"a curriculum is {FORM}, not {text!r}") from None
