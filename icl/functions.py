"""Classes of functions to be learnt in context: drawn by a key, evaluated at points.

Each member draws one function (``draw``) and evaluates it (``value``); batches come from ``vmap``.
The number of dimensions and the degree in use may be data (a curriculum): what lies beyond is
multiplied by zero, so that shapes, and the compiled program, stay the same.
"""

from __future__ import annotations

import abc
import dataclasses
import math
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from attention.errors import InputError
from icl.distributions import Distribution

Loss = Literal["squared", "logistic"]
Count = Int[Array, ""] | int | None


@dataclasses.dataclass(frozen=True)
class FunctionClass(abc.ABC):
    """Functions of ``d`` numbers."""

    d: int = 1

    loss: ClassVar[Loss] = "squared"

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.type == "int" and not value >= int(field.name not in ("degree", "depth")):
                raise InputError(f"{field.name}={value} is too small for {self.name}")

    @property
    def name(self) -> str:
        """Its name on the command line."""
        return next(name for name, kind in FUNCTIONS.items() if kind is type(self))

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
            f"{field.name}={_written(getattr(self, field.name))}"
            for field in dataclasses.fields(self)
            if getattr(self, field.name) != field.default
        )
        return f"{self.name}:{settings}" if settings else self.name


@dataclasses.dataclass(frozen=True)
class Linear(FunctionClass):
    """``f(x) = w·x`` (Garg et al.)."""

    def draw(self, key: Key[Array, ""], of: Distribution, degree: Count = None) -> Any:
        return of.sample(key, (self.d,))

    def value(self, coefficients: Any, x_TD: Float[Array, "T d"]) -> Float[Array, " T"]:
        return _product(x_TD, coefficients)


@dataclasses.dataclass(frozen=True)
class Affine(FunctionClass):
    """``f(x) = a·x + b``; coefficients ``[d + 1]``, ``b`` last."""

    def draw(self, key: Key[Array, ""], of: Distribution, degree: Count = None) -> Any:
        return of.sample(key, (self.d + 1,))

    def value(self, coefficients: Any, x_TD: Float[Array, "T d"]) -> Float[Array, " T"]:
        return _product(x_TD, coefficients[:-1]) + coefficients[-1]


@dataclasses.dataclass(frozen=True)
class Series(FunctionClass):
    """Sums of ``degree + 1`` basis functions of one number; coefficients ``[largest + 1]``.

    ``degrees`` (say 1, 3 and 5; 2 and 4 are then held out) has every prompt draw its degree.
    """

    degree: int = 1
    degrees: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.d != 1:
            raise InputError(f"{self.name} is a function of one number, not of d={self.d}")
        if min(self.degrees, default=0) < 0:
            raise InputError(f"degrees={_written(self.degrees)}: a degree is 0 or more")

    @property
    def largest(self) -> int:
        """The highest degree there can be."""
        return max(self.degrees, default=self.degree)

    def draw(self, key: Key[Array, ""], of: Distribution, degree: Count = None) -> Any:
        which, key = jax.random.split(key)
        if degree is None and self.degrees:
            degree = jax.random.choice(which, jnp.array(self.degrees))
        coefficients = of.sample(key, (self.largest + 1,))
        if degree is None:
            return coefficients
        return jnp.where(jnp.arange(self.largest + 1) <= degree, coefficients, 0)


@dataclasses.dataclass(frozen=True)
class Polynomial(Series):
    """``f(x) = c_0 + c_1 x + … + c_n x^n``, coefficients independent."""

    def value(self, coefficients: Any, x_TD: Float[Array, "T d"]) -> Float[Array, " T"]:
        x_T, total_T = x_TD[:, 0], jnp.zeros_like(x_TD[:, 0])
        for power in reversed(range(coefficients.shape[0])):
            total_T = total_T * x_T + coefficients[power]
        return total_T


@dataclasses.dataclass(frozen=True)
class Chebyshev(Series):
    """``f(x) = Σ c_i T_i(x)``, by the recurrence, hence defined outside [-1, 1] too."""

    def value(self, coefficients: Any, x_TD: Float[Array, "T d"]) -> Float[Array, " T"]:
        x_T = x_TD[:, 0]
        before_T, now_T = jnp.ones_like(x_T), x_T
        total_T = coefficients[0] * before_T
        for i in range(1, coefficients.shape[0]):
            total_T += coefficients[i] * now_T
            before_T, now_T = now_T, 2 * x_T * now_T - before_T
        return total_T


@dataclasses.dataclass(frozen=True)
class Sparse(Linear):
    """``f(x) = w·x`` with ``k`` of the ``d`` weights other than zero."""

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

    d: int = 20
    noise: float = 1.0
    renormalize: bool = False

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

    d: int = 20

    def value(self, coefficients: Any, x_TD: Float[Array, "T d"]) -> Float[Array, " T"]:
        return _product(jnp.square(x_TD), coefficients) / math.sqrt(3)


@dataclasses.dataclass(frozen=True)
class ReluNetwork(FunctionClass):
    """``f(x) = sqrt(2/hidden) · v·relu(W x)``."""

    d: int = 20
    hidden: int = 100

    def draw(self, key: Key[Array, ""], of: Distribution, degree: Count = None) -> Any:
        inner, outer = jax.random.split(key)
        return of.sample(inner, (self.d, self.hidden)), of.sample(outer, (self.hidden,))

    def value(self, coefficients: Any, x_TD: Float[Array, "T d"]) -> Float[Array, " T"]:
        inner_DF, outer_F = coefficients
        hidden_TF = jax.nn.relu(jnp.einsum("TD,DF->TF", x_TD, inner_DF, precision="highest"))
        return _product(hidden_TF, outer_F) * math.sqrt(2 / self.hidden)


@dataclasses.dataclass(frozen=True)
class DecisionTree(FunctionClass):
    """A full tree of ``depth`` splits at the sign of one coordinate each; a value a leaf."""

    d: int = 20
    depth: int = 4

    def draw(self, key: Key[Array, ""], of: Distribution, degree: Count = None) -> Any:
        splits, leaves = jax.random.split(key)
        coordinates = jax.random.randint(splits, (2**self.depth - 1,), 0, self.d)
        return coordinates, of.sample(leaves, (2**self.depth,))

    def value(self, coefficients: Any, x_TD: Float[Array, "T d"]) -> Float[Array, " T"]:
        coordinates, leaves = coefficients
        node_T = jnp.zeros(x_TD.shape[0], int)  # node i has the children 2i + 1 and 2i + 2
        for _ in range(self.depth):
            split_T = jnp.take_along_axis(x_TD, coordinates[node_T][:, None], axis=1)[:, 0]
            node_T = 2 * node_T + 1 + (split_T > 0)
        return leaves[node_T - (2**self.depth - 1)]


@dataclasses.dataclass(frozen=True)
class Classification(Linear):
    """``f(x) = sign(w·x)``, ±1."""

    d: int = 20
    loss: ClassVar[Loss] = "logistic"

    def value(self, coefficients: Any, x_TD: Float[Array, "T d"]) -> Float[Array, " T"]:
        return jnp.where(_product(x_TD, coefficients) >= 0, 1.0, -1.0)


FUNCTIONS: dict[str, type[FunctionClass]] = {
    "affine": Affine,
    "linear": Linear,
    "polynomial": Polynomial,
    "chebyshev": Chebyshev,
    "sparse": Sparse,
    "noisy": NoisyLinear,
    "quadratic": Quadratic,
    "relu-network": ReluNetwork,
    "tree": DecisionTree,
    "classification": Classification,
}


def function_class(text: str) -> FunctionClass:
    """Read ``affine``, ``linear:d=20``, ``polynomial:degrees=1+3+5``, ``tree:d=5,depth=3``.

    Raises:
        InputError: one line that says what is not understood and what there is.
    """
    name, _, settings = text.strip().partition(":")
    if name not in FUNCTIONS:
        raise InputError(f"unknown functions {name!r}; there are {', '.join(FUNCTIONS)}")
    kind = FUNCTIONS[name]
    fields = {field.name: field for field in dataclasses.fields(kind)}
    given: dict[str, Any] = {}
    for setting in filter(None, settings.split(",")):
        key, _, value = setting.partition("=")
        try:
            given[key] = _READ[str(fields[key].type)](value)
        except (KeyError, ValueError):
            raise InputError(
                f"functions {text!r}: {setting!r} is not understood; "
                f"{name} has {', '.join(f'{each}=' for each in fields)}"
            ) from None
    return kind(**given)


_READ: dict[str, Any] = {
    "int": int,
    "float": float,
    "bool": lambda text: {"true": True, "false": False}[text],
    "tuple[int, ...]": lambda text: tuple(int(number) for number in text.split("+")),
}


def _written(value: Any) -> str:
    if isinstance(value, tuple):
        return "+".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else f"{value:g}"


def _product(x_TD: Float[Array, "T d"], w_D: Float[Array, " d"]) -> Float[Array, " T"]:
    return jnp.einsum("TD,D->T", x_TD, w_D, precision="highest")
