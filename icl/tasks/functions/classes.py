"""The base of all classes of functions, and the text form of their settings."""

from __future__ import annotations

import abc
import dataclasses
from typing import Any, ClassVar, Generic, TypeVar

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from attention.errors import InputError
from icl.tasks.distributions import Distribution
from icl.tasks.losses import SQUARED, Loss

Degree = Int[Array, ""] | int | None
Vector = Float[Array, " C"]
Coefficients = TypeVar("Coefficients")


@dataclasses.dataclass(frozen=True)
class FunctionClass(abc.ABC, Generic[Coefficients]):
    """A class of functions of ``d`` numbers; the fields are its settings.

    Attributes:
        d: numbers of an input.
        name: its name in ``--functions``.
        loss: the loss and the error of predictions.

    Raises:
        InputError: a whole number is too small.
    """

    d: int = 1

    name: ClassVar[str]
    loss: ClassVar[Loss] = SQUARED

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            least = int(field.name not in ("degree", "depth"))
            if type(value) is int and value < least:
                raise InputError(f"{field.name}={value} is too small for {self.name}")

    @abc.abstractmethod
    def draw(self, key: Key[Array, ""], of: Distribution, degree: Degree = None) -> Coefficients:
        """Draw the coefficients of one function, independently.

        Args:
            key: of the draws.
            of: distribution of each coefficient.
            degree: of a series, in place of its own degree.
        """

    @abc.abstractmethod
    def value(self, coefficients: Coefficients, x_TD: Float[Array, "T d"]) -> Float[Array, " T"]:
        """``f(x)`` without noise."""

    def observe(
        self, key: Key[Array, ""], coefficients: Coefficients, x_TD: Float[Array, "T d"]
    ) -> Float[Array, " T"]:
        """``f(x)`` as a prompt shows it: with noise, if the class has noise.

        Args:
            key: of the noise.
            coefficients: of the function.
            x_TD: inputs.
        """
        del key
        return self.value(coefficients, x_TD)

    def monomials(self, coefficients: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
        """The coefficients ``c_0, c_1, c_2, …`` of the function ``c_0 + c_1 x + c_2 x² + …``.

        Raises:
            InputError: the functions are not polynomials of one number.
        """
        raise InputError(f"{self} has no roots to compare with: it is no polynomial of one number")

    def __str__(self) -> str:
        settings = ",".join(
            f"{field.name}={written(getattr(self, field.name))}"
            for field in dataclasses.fields(self)
            if getattr(self, field.name) != field.default
        )
        return f"{self.name}:{settings}" if settings else self.name


def written(value: float | tuple[int, ...]) -> str:
    """A setting as `read_setting` reads it: ``3``, ``0.5``, ``true`` or ``1+3+5``."""
    if isinstance(value, tuple):
        return "+".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else f"{value:g}"


def read_setting(text: str, default: Any) -> float | tuple[int, ...]:
    """The setting that `written` wrote, of the type that its default has.

    Raises:
        KeyError: it is neither ``true`` nor ``false``.
        ValueError: it is no number.
    """
    if isinstance(default, tuple):
        return tuple(int(number) for number in text.split("+"))
    if isinstance(default, bool):
        return {"true": True, "false": False}[text]
    return type(default)(text)


def product(x_TD: Float[Array, "T d"], w_D: Float[Array, " d"]) -> Float[Array, " T"]:
    """The products ``x·w``, in full precision."""
    return jnp.einsum("TD,D->T", x_TD, w_D, precision="highest")


def require_one_number(functions: FunctionClass) -> None:
    """Refuse a class of functions of several numbers where there is one.

    Raises:
        InputError: ``d`` is not 1.
    """
    if functions.d != 1:
        raise InputError(f"{functions.name} is a function of one number, not of d={functions.d}")
