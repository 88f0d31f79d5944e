"""Functions of one number that no training of the papers saw.

They test the claim of arXiv 2502.03503 that a model of polynomials approximates every continuous
function on an interval.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from attention.errors import InputError
from icl.tasks.distributions import Distribution
from icl.tasks.functions.classes import Degree, FunctionClass, Vector, product, require_one_number

Waves = tuple[Float[Array, " F"], Float[Array, " F"], Float[Array, " F"]]


@dataclasses.dataclass(frozen=True)
class Shape(FunctionClass[Vector]):
    """``f(x) = a·g(x) + b`` with a fixed shape g; coefficients ``(a, b)``."""

    shape: ClassVar[Callable[[Float[Array, " T"]], Float[Array, " T"]]]

    def __post_init__(self) -> None:
        super().__post_init__()
        require_one_number(self)

    def draw(self, key: Key[Array, ""], of: Distribution, degree: Degree = None) -> Vector:
        return of.sample(key, (2,))

    def value(self, coefficients: Vector, x_TD: Float[Array, "T d"]) -> Float[Array, " T"]:
        return coefficients[0] * type(self).shape(x_TD[:, 0]) + coefficients[1]


class Sine(Shape):
    """``f(x) = a·sin(πx) + b``."""

    name: ClassVar[str] = "sin"
    shape = staticmethod(lambda x_T: jnp.sin(math.pi * x_T))


class Exponential(Shape):
    """``f(x) = a·exp(x) + b``."""

    name: ClassVar[str] = "exp"
    shape = staticmethod(jnp.exp)


class Absolute(Shape):
    """``f(x) = a·|x| + b``."""

    name: ClassVar[str] = "abs"
    shape = staticmethod(jnp.abs)


class Step(Shape):
    """``f(x) = a·[x ≥ 0] + b``, which is not continuous."""

    name: ClassVar[str] = "step"
    shape = staticmethod(lambda x_T: jnp.where(x_T >= 0, 1.0, 0.0))


FIXED = (
    (0, 1),
    (20, 0, -1),
    (4, -4, -1, 1),
    (4, 0, -5, 2, 1),
    (-1 / 48, 1 / 24, 5 / 16, -5 / 12, -11 / 12, 1),
)
"""x; 20 − x²; roots 1, 2, −2; x⁴ + 2x³ − 5x² + 4; and roots 1, ±1/2, 1/4, −1/3: ascending."""


@dataclasses.dataclass(frozen=True)
class FixedPolynomial(FunctionClass[Vector]):
    """One of five polynomials of the authors' program, each as likely; coefficients ascending.

    Attributes:
        number: of the polynomial, from 1; 0 draws one.
    """

    name: ClassVar[str] = "fixed"
    number: int = 0

    def __post_init__(self) -> None:
        require_one_number(self)
        if not 0 <= self.number <= len(FIXED):
            raise InputError(f"{self.name}: number={self.number} is not from 0 to {len(FIXED)}")

    def draw(self, key: Key[Array, ""], of: Distribution, degree: Degree = None) -> Vector:
        most = max(map(len, FIXED))
        rows = jnp.array([[*row, *[0.0] * (most - len(row))] for row in FIXED])
        drawn = jax.random.randint(key, (), 0, len(FIXED))
        return rows[self.number - 1 if self.number else drawn]

    def value(self, coefficients: Vector, x_TD: Float[Array, "T d"]) -> Float[Array, " T"]:
        return jnp.polyval(coefficients[::-1], x_TD[:, 0])

    def monomials(self, coefficients: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
        return coefficients


@dataclasses.dataclass(frozen=True)
class Smooth(FunctionClass[Waves]):
    """A smooth random function: a sum of cosines of random frequency and phase.

        f(x) = sqrt(2 / waves) · Σ_i a_i cos(x z_i / length + p_i),   z_i ~ N(0, 1), p_i ~ U(0, 2π)

    With coefficients a_i ~ N(0, 1) and many waves this is a Gaussian process with the kernel
    ``exp(−(x − x')² / (2 length²))``.  Source: Rahimi and Recht (2007), "Random features for
    large-scale kernel machines".

    Attributes:
        waves: number of cosines.
        length: over which values are alike.
    """

    name: ClassVar[str] = "smooth"
    waves: int = 64
    length: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require_one_number(self)
        if not 0 < self.length < math.inf:
            raise InputError(f"{self.name}: length={self.length:g} is not a positive number")

    def draw(self, key: Key[Array, ""], of: Distribution, degree: Degree = None) -> Waves:
        heights, frequencies, phases = jax.random.split(key, 3)
        return (
            of.sample(heights, (self.waves,)),
            jax.random.normal(frequencies, (self.waves,)) / self.length,
            jax.random.uniform(phases, (self.waves,), maxval=2 * math.pi),
        )

    def value(self, coefficients: Waves, x_TD: Float[Array, "T d"]) -> Float[Array, " T"]:
        heights_F, frequencies_F, phases_F = coefficients
        waves_TF = jnp.cos(x_TD * frequencies_F[None] + phases_F[None])
        return math.sqrt(2 / self.waves) * product(waves_TF, heights_F)
