"""Distributions of inputs and coefficients: normal, uniform, and mixtures of two of them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Protocol

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from attention.errors import InputError

FORMS = "normal:MEAN,DEVIATION, uniform:LOW,HIGH and mix:A|B of two of these"


class Distribution(Protocol):
    """Of a real number; hashable, so that a jitted function may close over it."""

    @property
    def mean(self) -> float:
        """Expectation."""
        ...

    @property
    def deviation(self) -> float:
        """Standard deviation."""
        ...

    def sample(self, key: Key[Array, ""], shape: Sequence[int]) -> Float[Array, ...]:
        """Independent draws, float32."""
        ...

    def scaled(self, factor: float) -> Distribution:
        """Of ``factor`` times the number."""
        ...


@dataclasses.dataclass(frozen=True)
class Normal:
    """N(mean, deviation²)."""

    mean: float
    deviation: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mean) and 0 < self.deviation < math.inf):
            raise InputError(
                f"{self} is no distribution: a normal one needs a positive standard deviation"
            )

    def sample(self, key: Key[Array, ""], shape: Sequence[int]) -> Float[Array, ...]:
        """Independent draws."""
        return self.mean + self.deviation * jax.random.normal(key, tuple(shape))

    def scaled(self, factor: float) -> Normal:
        """Of ``factor`` times the number."""
        return Normal(factor * self.mean, abs(factor) * self.deviation)

    def __str__(self) -> str:
        return f"normal:{self.mean:g},{self.deviation:g}"


@dataclasses.dataclass(frozen=True)
class Uniform:
    """U(low, high)."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not -math.inf < self.low < self.high < math.inf:
            raise InputError(f"{self} is no distribution: LOW must be less than HIGH")

    @property
    def mean(self) -> float:
        """Expectation."""
        return (self.low + self.high) / 2

    @property
    def deviation(self) -> float:
        """Standard deviation."""
        return (self.high - self.low) / math.sqrt(12)

    def sample(self, key: Key[Array, ""], shape: Sequence[int]) -> Float[Array, ...]:
        """Independent draws."""
        return jax.random.uniform(key, tuple(shape), minval=self.low, maxval=self.high)

    def scaled(self, factor: float) -> Uniform:
        """Of ``factor`` times the number."""
        low, high = sorted((factor * self.low, factor * self.high))
        return Uniform(low, high)

    def __str__(self) -> str:
        return f"uniform:{self.low:g},{self.high:g}"


@dataclasses.dataclass(frozen=True)
class Mixture:
    """Either of two distributions with probability 1/2, chosen anew for every number."""

    first: Normal | Uniform
    second: Normal | Uniform

    @property
    def mean(self) -> float:
        """Expectation."""
        return (self.first.mean + self.second.mean) / 2

    @property
    def deviation(self) -> float:
        """Standard deviation: within the parts, and between them."""
        parts = (self.first, self.second)
        within = sum(part.deviation**2 for part in parts) / 2
        return math.sqrt(within + sum((part.mean - self.mean) ** 2 for part in parts) / 2)

    def sample(self, key: Key[Array, ""], shape: Sequence[int]) -> Float[Array, ...]:
        """Independent draws."""
        which, one, other = jax.random.split(key, 3)
        return jnp.where(
            jax.random.bernoulli(which, shape=tuple(shape)),
            self.first.sample(one, shape),
            self.second.sample(other, shape),
        )

    def scaled(self, factor: float) -> Mixture:
        """Of ``factor`` times the number."""
        return Mixture(self.first.scaled(factor), self.second.scaled(factor))

    def __str__(self) -> str:
        return f"mix:{self.first}|{self.second}"


def distribution(text: str) -> Normal | Uniform | Mixture:
    """``normal:0,1``, ``uniform:-5,5`` or ``mix:normal:-1,1|normal:1,1``.

    Raises:
        InputError: one line that says what is not understood.
    """
    name, _, rest = text.strip().partition(":")
    if name == "mix":
        parts = [distribution(part) for part in rest.split("|")]
        if len(parts) == 2 and not any(isinstance(part, Mixture) for part in parts):
            first, second = parts
            return Mixture(first, second)  # type: ignore[arg-type]
    elif name in ("normal", "uniform"):
        try:
            numbers = [float(number) for number in rest.split(",")]
        except ValueError:
            numbers = []
        if len(numbers) == 2:
            return Normal(*numbers) if name == "normal" else Uniform(*numbers)
    raise InputError(f"{text!r} is no distribution; there are {FORMS}")
