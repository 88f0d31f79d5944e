"""What a class of functions is, and how its settings are written."""

from __future__ import annotations

import abc
import dataclasses
from typing import Any, ClassVar, Literal

import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from attention.errors import InputError
from icl.tasks.distributions import Distribution

Loss = Literal["squared", "logistic"]
Count = Int[Array, ""] | int | None


@dataclasses.dataclass(frozen=True)
class FunctionClass(abc.ABC):
    """Functions of ``d`` numbers."""

    d: int = 1

    name: ClassVar[str]  # on the command line
    loss: ClassVar[Loss] = "squared"

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.type == "int" and not value >= int(field.name not in ("degree", "depth")):
                raise InputError(f"{field.name}={value} is too small for {self.name}")

    @abc.abstractmethod
    def draw(self, key: Key[Array, ""], of: Distribution, degree: Count = None) -> Any:
        """Coefficients of one function, independent draws from ``of``.

        ``degree``, if given, replaces the class's own; only series have one.
        """

    @abc.abstractmethod
    def value(self, coefficients: Any, x_TD: Float[Array, "T d"]) -> Float[Array, " T"]:
        """``f(x)``, without noise."""

    def observe(
        self, key: Key[Array, ""], coefficients: Any, x_TD: Float[Array, "T d"]
    ) -> Float[Array, " T"]:
        """What a prompt shows of ``f(x)``: with noise, where the class has any."""
        del key
        return self.value(coefficients, x_TD)

    def __str__(self) -> str:
        settings = ",".join(
            f"{field.name}={written(getattr(self, field.name))}"
            for field in dataclasses.fields(self)
            if getattr(self, field.name) != field.default
        )
        return f"{self.name}:{settings}" if settings else self.name


def written(value: Any) -> str:
    """A setting as ``function_class`` reads it."""
    if isinstance(value, tuple):
        return "+".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else f"{value:g}"


def product(x_TD: Float[Array, "T d"], w_D: Float[Array, " d"]) -> Float[Array, " T"]:
    """``x·w`` in full precision."""
    return jnp.einsum("TD,D->T", x_TD, w_D, precision="highest")
