"""Distributions of inputs and coefficients: normal, uniform, and mixtures of two of them."""

from __future__ import annotations

import abc
import dataclasses
import math
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from attention.choices import Choices
from attention.errors import InputError


class Distribution(abc.ABC):
    """Distribution of a real number; hashable, so that a jitted function may close over it.

    A subclass is a frozen dataclass of numbers, and a row of ``DISTRIBUTIONS``.

    Attributes:
        name: how the distribution is called, as in ``normal:0,1``.
        form: how its numbers are written behind the name.
    """

    name: ClassVar[str]
    form: ClassVar[str]

    @classmethod
    def read(cls, text: str) -> Self:
        """Read the part of ``normal:0,1`` behind the colon.

        Raises:
            TypeError: there are too few numbers, or too many.
            ValueError: the text cannot be read.
        """
        return cls(*(float(number) for number in text.split(",")))

    @abc.abstractmethod
    def sample(self, key: Key[Array, ""], shape: Sequence[int]) -> Float[Array, ...]:
        """Draw independent numbers, float32."""

    @abc.abstractmethod
    def scaled(self, factor: float) -> Distribution:
        """The distribution of ``factor`` times the number."""

    def __str__(self) -> str:
        numbers: Any = self  # a dataclass, as every subclass is
        return f"{self.name}:{','.join(f'{x:g}' for x in dataclasses.astuple(numbers))}"


@dataclasses.dataclass(frozen=True)
class Normal(Distribution):
    """N(mean, deviation²)."""

    mean: float
    deviation: float

    name: ClassVar[str] = "normal"
    form: ClassVar[str] = "MEAN,DEVIATION"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mean) and 0 < self.deviation < math.inf):
            raise InputError(f"{self} is no distribution: DEVIATION must be positive")

    def sample(self, key: Key[Array, ""], shape: Sequence[int]) -> Float[Array, ...]:
        return self.mean + self.deviation * jax.random.normal(key, tuple(shape))

    def scaled(self, factor: float) -> Normal:
        return Normal(factor * self.mean, abs(factor) * self.deviation)


@dataclasses.dataclass(frozen=True)
class Uniform(Distribution):
    """U(low, high)."""

    low: float
    high: float

    name: ClassVar[str] = "uniform"
    form: ClassVar[str] = "LOW,HIGH"

    def __post_init__(self) -> None:
        if not -math.inf < self.low < self.high < math.inf:
            raise InputError(f"{self} is no distribution: LOW must be less than HIGH")

    def sample(self, key: Key[Array, ""], shape: Sequence[int]) -> Float[Array, ...]:
        return jax.random.uniform(key, tuple(shape), minval=self.low, maxval=self.high)

    def scaled(self, factor: float) -> Uniform:
        return Uniform(*sorted((factor * self.low, factor * self.high)))


@dataclasses.dataclass(frozen=True)
class Mixture(Distribution):
    """One of two distributions with probability 1/2, chosen anew for every number."""

    first: Distribution
    second: Distribution

    name: ClassVar[str] = "mix"
    form: ClassVar[str] = "A|B of two of these"

    @classmethod
    def read(cls, text: str) -> Mixture:
        first, second = (distribution(part) for part in text.split("|"))
        if isinstance(first, Mixture) or isinstance(second, Mixture):
            raise ValueError("a mixture of mixtures")
        return cls(first, second)

    def sample(self, key: Key[Array, ""], shape: Sequence[int]) -> Float[Array, ...]:
        which, one, other = jax.random.split(key, 3)
        return jnp.where(
            jax.random.bernoulli(which, shape=tuple(shape)),
            self.first.sample(one, shape),
            self.second.sample(other, shape),
        )

    def scaled(self, factor: float) -> Mixture:
        return Mixture(self.first.scaled(factor), self.second.scaled(factor))

    def __str__(self) -> str:
        return f"{self.name}:{self.first}|{self.second}"


DISTRIBUTIONS: Choices[type[Distribution]] = Choices(
    "distribution", {kind.name: kind for kind in (Normal, Uniform, Mixture)}
)


def distribution(text: str) -> Distribution:
    """Read ``normal:0,1``, ``uniform:-5,5`` or ``mix:normal:-1,1|normal:1,1``.

    Raises:
        InputError: the text cannot be read.
    """
    name, _, rest = text.strip().partition(":")
    try:
        if name in DISTRIBUTIONS:
            return DISTRIBUTIONS[name].read(rest)
    except InputError:
        raise
    except (TypeError, ValueError):
        pass
    forms = [f"{name}:{row.form}" for name, row in DISTRIBUTIONS.items()]
    raise InputError(f"{text!r} is no distribution; there are {', '.join(forms)}")
