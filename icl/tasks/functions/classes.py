"""What a class of functions is, and how its settings are written."""

from __future__ import annotations

import abc
import dataclasses
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from attention.errors import InputError
from icl.tasks.distributions import Distribution
from icl.tasks.losses import SQUARED, Loss

Count = Int[Array, ""] | int | None


@dataclasses.dataclass(frozen=True)
class FunctionClass(abc.ABC):
    """A class of functions of ``d`` numbers.

    Attributes:
        d: numbers of an input.
        name: how the class is called in ``--functions``.
        loss: how a prediction is scored.
    """

    d: int = 1

    name: ClassVar[str]
    loss: ClassVar[Loss] = SQUARED

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            least = int(field.name not in ("degree", "depth"))
            if type_name(field) == "int" and value < least:
                raise InputError(f"{field.name}={value} is too small for {self.name}")

    @abc.abstractmethod
    def draw(self, key: Key[Array, ""], of: Distribution, degree: Count = None) -> Any:
        """The coefficients of one function, independent draws.

        Args:
            key: of the draws.
            of: distribution of each coefficient.
            degree: of a series, in place of the class's own.
        """

    @abc.abstractmethod
    def value(self, coefficients: Any, x_TD: Float[Array, "T d"]) -> Float[Array, " T"]:
        """``f(x)`` without noise."""

    def observe(
        self, key: Key[Array, ""], coefficients: Any, x_TD: Float[Array, "T d"]
    ) -> Float[Array, " T"]:
        """``f(x)`` as a prompt shows it: with noise, if the class has any."""
        del key
        return self.value(coefficients, x_TD)

    def monomials(self, coefficients: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
        """The function of one number as ``c_0 + c_1 x + c_2 x² …``.

        Raises:
            InputError: the class has no such form.
        """
        raise InputError(f"{self} has no roots to compare with: it is no polynomial of one number")

    def __str__(self) -> str:
        settings = ",".join(
            f"{field.name}={written(getattr(self, field.name))}"
            for field in dataclasses.fields(self)
            if getattr(self, field.name) != field.default
        )
        return f"{self.name}:{settings}" if settings else self.name


def type_name(field: dataclasses.Field[Any]) -> str:
    """The type of a setting as its class writes it; annotations may be texts or types."""
    return field.type.__name__ if isinstance(field.type, type) else str(field.type)


def written(value: Any) -> str:
    """A setting as ``function_class`` reads it."""
    if isinstance(value, tuple):
        return "+".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else f"{value:g}"


def product(x_TD: Float[Array, "T d"], w_D: Float[Array, " d"]) -> Float[Array, " T"]:
    """``x·w`` in full precision."""
    return jnp.einsum("TD,D->T", x_TD, w_D, precision="highest")
