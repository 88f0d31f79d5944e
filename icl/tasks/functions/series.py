"""Series in one number: polynomials, and sums of Chebyshev polynomials."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from attention.errors import InputError
from icl.tasks.distributions import Distribution
from icl.tasks.functions.classes import (
    Degree,
    FunctionClass,
    Vector,
    require_one_number,
    written,
)


@dataclasses.dataclass(frozen=True)
class Series(FunctionClass[Vector]):
    """Sums of basis functions of one number; coefficients ``[largest + 1]``.

    Attributes:
        degree: of the series, which has ``degree + 1`` basis functions.
        degrees: degrees from which each prompt draws its own, such as 1, 3 and 5, which hold out
            2 and 4; empty for ``degree`` alone.
    """

    degree: int = 1
    degrees: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        require_one_number(self)
        if min(self.degrees, default=0) < 0:
            raise InputError(f"degrees={written(self.degrees)}: a degree is 0 or more")

    @property
    def largest(self) -> int:
        """The highest degree that a prompt may have."""
        return max(self.degrees, default=self.degree)

    def draw(self, key: Key[Array, ""], of: Distribution, degree: Degree = None) -> Vector:
        which, key = jax.random.split(key)
        if degree is None and self.degrees:
            degree = jax.random.choice(which, jnp.array(self.degrees))
        coefficients = of.sample(key, (self.largest + 1,))
        if degree is None:
            return coefficients
        return jnp.where(jnp.arange(self.largest + 1) <= degree, coefficients, 0)


@dataclasses.dataclass(frozen=True)
class Polynomial(Series):
    """``f(x) = c_0 + c_1 x + … + c_n x^n``."""

    name: ClassVar[str] = "polynomial"

    def monomials(self, coefficients: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
        return coefficients

    def value(self, coefficients: Vector, x_TD: Float[Array, "T d"]) -> Float[Array, " T"]:
        x_T, total_T = x_TD[:, 0], jnp.zeros_like(x_TD[:, 0])
        for power in reversed(range(coefficients.shape[0])):
            total_T = total_T * x_T + coefficients[power]
        return total_T


@dataclasses.dataclass(frozen=True)
class Chebyshev(Series):
    """``f(x) = Σ c_i T_i(x)``, by the recurrence of T_i, which holds outside [-1, 1] too."""

    name: ClassVar[str] = "chebyshev"

    def monomials(self, coefficients: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
        return np.polynomial.chebyshev.cheb2poly(np.asarray(coefficients, np.float64))

    def value(self, coefficients: Vector, x_TD: Float[Array, "T d"]) -> Float[Array, " T"]:
        x_T = x_TD[:, 0]
        before_T, now_T = jnp.ones_like(x_T), x_T
        total_T = coefficients[0] * before_T
        for i in range(1, coefficients.shape[0]):
            total_T += coefficients[i] * now_T
            before_T, now_T = now_T, 2 * x_T * now_T - before_T
        return total_T
