"""Functions that are linear in their coefficients, and the sign of such a function.

Source: Garg et al. (2022), "What can transformers learn in-context?", whose suite has most of them.
"""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from attention.errors import InputError
from icl.tasks.distributions import Distribution
from icl.tasks.functions.classes import Degree, FunctionClass, Vector, product
from icl.tasks.losses import LOGISTIC, Loss


@dataclasses.dataclass(frozen=True)
class Linear(FunctionClass[Vector]):
    """``f(x) = w·x``."""

    name: ClassVar[str] = "linear"

    def draw(self, key: Key[Array, ""], of: Distribution, degree: Degree = None) -> Vector:
        return of.sample(key, (self.d,))

    def value(self, coefficients: Vector, x_TD: Float[Array, "T d"]) -> Float[Array, " T"]:
        return product(x_TD, coefficients)


@dataclasses.dataclass(frozen=True)
class Affine(FunctionClass[Vector]):
    """``f(x) = a·x + b``; coefficients ``[d + 1]``, ``b`` last."""

    name: ClassVar[str] = "affine"

    def draw(self, key: Key[Array, ""], of: Distribution, degree: Degree = None) -> Vector:
        return of.sample(key, (self.d + 1,))

    def value(self, coefficients: Vector, x_TD: Float[Array, "T d"]) -> Float[Array, " T"]:
        return product(x_TD, coefficients[:-1]) + coefficients[-1]

    def monomials(self, coefficients: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
        return coefficients[::-1] if self.d == 1 else super().monomials(coefficients)


@dataclasses.dataclass(frozen=True)
class Sparse(Linear):
    """``f(x) = w·x`` where only ``k`` of the ``d`` weights are not zero."""

    name: ClassVar[str] = "sparse"
    d: int = 20
    k: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.k > self.d:
            raise InputError(
                f"{self.name}: k={self.k} weights of d={self.d} cannot be other than 0"
            )

    def draw(self, key: Key[Array, ""], of: Distribution, degree: Degree = None) -> Vector:
        key, order = jax.random.split(key)
        return jnp.where(jax.random.permutation(order, self.d) < self.k, super().draw(key, of), 0)


@dataclasses.dataclass(frozen=True)
class NoisyLinear(Linear):
    """``f(x) = w·x``, shown as ``w·x + noise · N(0, 1)``.

    Attributes:
        noise: standard deviation of the noise.
        renormalize: scale what is shown to the variance d that it has without noise.
    """

    name: ClassVar[str] = "noisy"
    d: int = 20
    noise: float = 1.0
    renormalize: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.noise < math.inf:
            raise InputError(f"{self.name}: noise={self.noise:g} is no standard deviation")

    def observe(
        self, key: Key[Array, ""], coefficients: Vector, x_TD: Float[Array, "T d"]
    ) -> Float[Array, " T"]:
        clean_T = self.value(coefficients, x_TD)
        noisy_T = clean_T + self.noise * jax.random.normal(key, clean_T.shape)
        return (
            noisy_T * math.sqrt(self.d / (self.d + self.noise**2)) if self.renormalize else noisy_T
        )


@dataclasses.dataclass(frozen=True)
class Quadratic(Linear):
    """``f(x) = w·x² / sqrt(3)``; for normal inputs its spread is that of a linear function."""

    name: ClassVar[str] = "quadratic"
    d: int = 20

    def value(self, coefficients: Vector, x_TD: Float[Array, "T d"]) -> Float[Array, " T"]:
        return product(jnp.square(x_TD), coefficients) / math.sqrt(3)


@dataclasses.dataclass(frozen=True)
class Classification(Linear):
    """``f(x) = sign(w·x)``, a label ±1."""

    name: ClassVar[str] = "classification"
    d: int = 20
    loss: ClassVar[Loss] = LOGISTIC

    def value(self, coefficients: Vector, x_TD: Float[Array, "T d"]) -> Float[Array, " T"]:
        return jnp.where(product(x_TD, coefficients) >= 0, 1.0, -1.0)
