"""``every`` and ``some``: is every (some) number so far positive?  Labels are ±1.

Drawn plainly, labels hardly vary: from the fourth number on, a constant answer is right in 15 of 16
prompts.  Hence the designs, and measures that a constant answer cannot flatter.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import ClassVar, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from attention.errors import InputError
from icl.tasks.distributions import Distribution, Normal
from icl.tasks.functions import Loss
from icl.tasks.prompts import Prompts

Kind = Literal["every", "some", "mix"]
Design = Literal["plain", "balanced", "rare", "late"]


@dataclasses.dataclass(frozen=True)
class Quantifiers:
    """Prompts of numbers and, after each, whether the quantified sentence holds so far.

    Attributes:
        kind: ``every`` (y_t = +1 iff all x_1..x_t > 0), ``some`` (iff any is), or ``mix``: either,
            drawn a prompt; the labels in context tell which.
        inputs: of the numbers.
        points: numbers a prompt.
        design: ``plain``: independent draws.  ``balanced``: in half of the prompts the label
            never flips, in the others it flips at a place drawn uniformly.  ``rare``: a number
            decides (is negative for every, positive for some) with probability ``rate``.
            ``late``: the label flips in the last quarter.  In the last three, magnitudes come from
            ``inputs`` and signs from the design (after a flip, both from ``inputs``).
        labels: whether the labels of earlier numbers are in the context.
        rate: of deciding numbers in the design ``rare``.
    """

    kind: Kind = "every"
    inputs: Distribution = Normal(0.0, 1.0)
    points: int = 41
    design: Design = "plain"
    labels: bool = True
    rate: float = 0.02

    loss: ClassVar[Loss] = "logistic"
    input_size: ClassVar[int] = 1

    def __post_init__(self) -> None:
        for value, there in ((self.kind, get_args(Kind)), (self.design, get_args(Design))):
            if value not in there:
                raise InputError(f"unknown {value!r}; there are {', '.join(there)}")
        if self.points < 1:
            raise InputError(f"a prompt has at least 1 point, not {self.points}")
        if not 0 < self.rate < 1:
            raise InputError(f"a rate is between 0 and 1, not {self.rate}")
        if self.kind == "mix" and not self.labels:
            raise InputError("without labels in context, nothing tells which quantifier is meant")

    def sample(
        self, key: Key[Array, ""], step: Int[Array, ""] | int = 0, batch: int = 64
    ) -> Prompts:
        """A batch, the same for the same key; the tasks of this room have no curriculum."""
        del step
        kinds, draws, flips = jax.random.split(key, 3)
        x_BT = self.inputs.sample(draws, (batch, self.points))
        every_B1 = {
            "every": lambda: jnp.ones((batch, 1), bool),
            "some": lambda: jnp.zeros((batch, 1), bool),
            "mix": lambda: jax.random.bernoulli(kinds, shape=(batch, 1)),
        }[self.kind]()
        if self.design == "rare":
            decides_BT = jax.random.bernoulli(flips, self.rate, x_BT.shape)
            x_BT = jnp.abs(x_BT) * jnp.where(decides_BT == every_B1, -1, 1)
        elif self.design != "plain":
            place_BT = jnp.arange(self.points)[None]
            flip_B1 = self._flips(flips, batch)
            sign_BT = jnp.where((place_BT == flip_B1) == every_B1, -1, 1)
            x_BT = jnp.where(place_BT <= flip_B1, jnp.abs(x_BT) * sign_BT, x_BT)
        return Prompts(
            x_BT[:, :, None],
            truth(x_BT, every_B1),
            jnp.ones((1, self.points), bool),
        )

    def _flips(self, key: Key[Array, ""], batch: int) -> Int[Array, "B 1"]:
        """Place of the deciding number; ``points`` where there is none."""
        never, where = jax.random.split(key)
        first = self.points - max(1, self.points // 4) if self.design == "late" else 0
        flip_B1 = jax.random.randint(where, (batch, 1), first, self.points)
        if self.design == "late":
            return flip_B1
        return jnp.where(jax.random.bernoulli(never, shape=(batch, 1)), self.points, flip_B1)


def truth(x_BT: Float[Array, "B T"], every_B1: Bool[Array, "B 1"]) -> Float[Array, "B T"]:
    """Labels ±1 of the numbers so far."""
    positive_BT = x_BT > 0
    holds_BT = jnp.where(
        every_B1,
        jax.lax.associative_scan(jnp.logical_and, positive_BT, axis=1),
        jax.lax.associative_scan(jnp.logical_or, positive_BT, axis=1),
    )
    return jnp.where(holds_BT, 1.0, -1.0)


def measures(
    predicted_BT: Float[Array, "B T"] | Float[np.ndarray, "B T"],
    y_BT: Float[Array, "B T"] | Float[np.ndarray, "B T"],
    skip: int = 3,
    where_BT: Bool[np.ndarray, "#B T"] | None = None,
) -> Mapping[str, float]:
    """Scores of signs, beside what a constant answer gets.

    Args:
        predicted_BT: positive for "holds"; NaN is no answer, and wrong.
        y_BT: labels ±1.
        skip: first positions that do not count (the papers: 3).
        where_BT: positions that count; None: all but the first ``skip``.

    Returns:
        ``accuracy``; ``balanced_accuracy``: mean over the labels that occur;
        ``late_flip_accuracy``: in prompts whose label flips in the second half, at positions from
        the flip on, and ``late_flip_balanced_accuracy``: mean of that and of the positions before
        (NaN without such prompts); ``wrong_prompts``: share with any wrong answer.  Each also with
        ``constant_``: what the better constant answer gets.  (``every`` always flips to -1, so that
        a constant is right after a flip, and balanced over both sides it has 0.5.)
    """
    predicted, y = np.asarray(predicted_BT), np.asarray(y_BT)
    if skip >= y.shape[1]:
        raise InputError(
            f"{y.shape[1]} positions, of which the first {skip} do not count: none left"
        )
    place_1T = np.arange(y.shape[1])[None]
    where = np.broadcast_to(place_1T >= skip if where_BT is None else where_BT, y.shape)
    flip_B1 = np.where((y != y[:, :1]).any(axis=1), np.argmax(y != y[:, :1], axis=1), -1)[:, None]
    late = where & (flip_B1 >= max(skip, y.shape[1] // 2))
    parts = where, late & (place_1T >= flip_B1), late & (place_1T < flip_B1)
    answers = np.where(np.isnan(predicted), 0, np.where(predicted > 0, 1, -1))
    found = _scores(answers == y, y, *parts)
    constants = [_scores(np.equal(y, label), y, *parts) for label in (-1, 1)]
    best = {name: min if name == "wrong_prompts" else max for name in found}
    floors = {name: best[name](each[name] for each in constants) for name in found}
    return {**found, **{f"constant_{name}": value for name, value in floors.items()}}


def _scores(
    right: np.ndarray, y: np.ndarray, where: np.ndarray, after: np.ndarray, before: np.ndarray
) -> dict[str, float]:
    sides = [right[where & (y == label)] for label in (-1, 1)]
    late, early = (float(right[part].mean()) if part.any() else np.nan for part in (after, before))
    return {
        "accuracy": float(right[where].mean()),
        "balanced_accuracy": float(np.mean([side.mean() for side in sides if side.size])),
        "late_flip_accuracy": late,
        "late_flip_balanced_accuracy": (late + early) / 2,
        "wrong_prompts": float((where & ~right).any(axis=1).mean()),
    }
