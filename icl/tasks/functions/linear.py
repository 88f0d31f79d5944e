"""Functions linear in their coefficients, and the sign of one: most of the suite of Garg et al."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from attention.errors import InputError
from icl.tasks.distributions import Distribution
from icl.tasks.functions.classes import Count, FunctionClass, Loss, product


@dataclasses.dataclass(frozen=True)
class Linear(FunctionClass):
    """``f(x) = w·x`` (Garg et al.)."""

    name: ClassVar[str] = "linear"

    def draw(self, key: Key[Array, ""], of: Distribution, degree: Count = None) -> Any:
        return of.sample(key, (self.d,))

    def value(self, coefficients: Any, x_TD: Float[Array, "T d"]) -> Float[Array, " T"]:
        return product(x_TD, coefficients)


@dataclasses.dataclass(frozen=True)
class Affine(FunctionClass):
    """``f(x) = a·x + b``; coefficients ``[d + 1]``, ``b`` last."""

    name: ClassVar[str] = "affine"

    def draw(self, key: Key[Array, ""], of: Distribution, degree: Count = None) -> Any:
        return of.sample(key, (self.d + 1,))

    def value(self, coefficients: Any, x_TD: Float[Array, "T d"]) -> Float[Array, " T"]:
        return product(x_TD, coefficients[:-1]) + coefficients[-1]


@dataclasses.dataclass(frozen=True)
class Sparse(Linear):
    """``f(x) = w·x`` with ``k`` of the ``d`` weights other than zero."""

    name: ClassVar[str] = "sparse"
    d: int = 20
    k: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.k > self.d:
            raise InputError(
                f"{self.name}: k={self.k} weights of d={self.d} cannot be other than 0"
            )

    def draw(self, key: Key[Array, ""], of: Distribution, degree: Count = None) -> Any:
        key, order = jax.random.split(key)
        return jnp.where(jax.random.permutation(order, self.d) < self.k, super().draw(key, of), 0)


@dataclasses.dataclass(frozen=True)
class NoisyLinear(Linear):
    """``w·x + noise · N(0, 1)``; ``renormalize``: scaled so that its variance is d."""

    name: ClassVar[str] = "noisy"
    d: int = 20
    noise: float = 1.0
    renormalize: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.noise < math.inf:
            raise InputError(f"{self.name}: noise={self.noise:g} is no standard deviation")

    def observe(
        self, key: Key[Array, ""], coefficients: Any, x_TD: Float[Array, "T d"]
    ) -> Float[Array, " T"]:
        clean_T = self.value(coefficients, x_TD)
        noisy_T = clean_T + self.noise * jax.random.normal(key, clean_T.shape)
        return (
            noisy_T * math.sqrt(self.d / (self.d + self.noise**2)) if self.renormalize else noisy_T
        )


@dataclasses.dataclass(frozen=True)
class Quadratic(Linear):
    """``f(x) = w·x² / sqrt(3)``: the variance of a linear function, for normal inputs."""

    name: ClassVar[str] = "quadratic"
    d: int = 20

    def value(self, coefficients: Any, x_TD: Float[Array, "T d"]) -> Float[Array, " T"]:
        return product(jnp.square(x_TD), coefficients) / math.sqrt(3)


@dataclasses.dataclass(frozen=True)
class Classification(Linear):
    """``f(x) = sign(w·x)``, ±1."""

    name: ClassVar[str] = "classification"
    d: int = 20
    loss: ClassVar[Loss] = "logistic"

    def value(self, coefficients: Any, x_TD: Float[Array, "T d"]) -> Float[Array, " T"]:
        return jnp.where(product(x_TD, coefficients) >= 0, 1.0, -1.0)
