"""What a row of the table of normalizers consists of."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Literal

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array

from attention.normalizers.base2 import Log2
from attention.normalizers.formulas import Values, Where

Params = Mapping[str, ArrayLike]  # values by name
Granularity = Literal["layer", "head", "model"]  # each has a value of its own
Domain = Literal["raw", "exp", "1+softplus", "1+sigmoid"]

CONSTRAINTS: dict[str, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
    # from the stored to the effective value of a learned parameter, and back
    "raw": (lambda x: x, lambda v: v),
    "exp": (jnp.exp, jnp.log),
    "1+softplus": (lambda x: 1 + jax.nn.softplus(x), lambda v: jnp.log(jnp.expm1(v - 1))),
    "1+sigmoid": (lambda x: 1 + jax.nn.sigmoid(x), lambda v: jnp.log((v - 1) / (2 - v))),
}


@dataclasses.dataclass(frozen=True)
class Parameter:
    """A parameter of a normalizer.

    Attributes:
        value: the effective value; if the parameter is learned, the one at the start.
        domain: how a learned parameter is stored: a key of ``CONSTRAINTS``.
        learned: whether training changes it.
        by_head: values for the query heads, instead of one for all of them.
    """

    value: float
    domain: Domain = "exp"
    learned: bool = True
    by_head: tuple[float, ...] | None = None

    @property
    def start(self) -> float | Array:
        """The effective value, or those of the heads, ``[N]``."""
        return self.value if self.by_head is None else jnp.asarray(self.by_head)

    @property
    def bounds(self) -> tuple[float, float]:
        """The effective value lies between these two, both excluded."""
        low = 1.0 if self.learned and self.domain.startswith("1+") else 0.0
        high = 2.0 if self.learned and self.domain == "1+sigmoid" else float("inf")
        return low, high


@dataclasses.dataclass(frozen=True)
class Normalizer:
    """A row of the table: one of three formulas, and what is true of it.

    Attributes:
        description: its equation, in one line.
        logit_transform: ``t(scores, params, count)``, if the weights are a softmax of ``t``.
        weigh: ``weigh(scores, where, params, count)``, if the weights are another function.
        feature_map: ``phi(x, params)``, if the weights are the products ``phi(q) · phi(k)`` over
            their sum.
        position_weight: ``weight(t − s, params)``, a factor of the products of a feature map.
        parameters: by name.
        per: each layer, each query head or the whole model has its own learned values.
        heads: how many query heads the model must have; None: any number.
        uses_count: whether the formula reads ``count``, the number of allowed keys ``[..., 1]``.
        identity: whether ``t`` is the scores themselves; kernels made for softmax then fit.
        base2: ``base2(scores, params, count, log2)``, equal to ``log2(e) · t``, if that saves the
            fused kernels a change of base; ``log2(u)`` is that of 1 + u; None: they multiply.
        sink: whether the softmax has one more key, of logit 0 and value 0.
        sums_to_one: whether the weights of every row with an allowed key sum to one.
        non_negative: whether no weight is below zero.
        shift_invariant: whether adding a constant to a row of scores changes nothing.
    """

    description: str
    logit_transform: Callable[[Array, Values, Array], Array] | None = None
    weigh: Callable[[Array, Where, Values, Array], Array] | None = None
    feature_map: Callable[[Array, Values], Array] | None = None
    position_weight: Callable[[Array, Values], Array] | None = None
    parameters: Mapping[str, Parameter] = dataclasses.field(default_factory=dict)
    per: Granularity = "layer"
    heads: int | None = None
    uses_count: bool = False
    identity: bool = False
    base2: Callable[[Array, Values, Array, Log2], Array] | None = None
    sink: bool = False
    sums_to_one: bool = True
    non_negative: bool = True
    shift_invariant: bool = False

    @property
    def form(self) -> Literal["scores", "features"]:
        """Whether the normalizer works on scores, or on queries and keys separately."""
        return "scores" if self.feature_map is None else "features"

    @property
    def defaults(self) -> dict[str, float | Array]:
        """Effective values of all parameters; those of learned ones are the values at the start."""
        return {name: parameter.start for name, parameter in self.parameters.items()}

    @property
    def learns(self) -> bool:
        """Whether any parameter is learned."""
        return any(parameter.learned for parameter in self.parameters.values())

    def init(self, num_heads: int) -> dict[str, Array]:
        """Stored start values of the learned parameters, float32 ``[]``, or ``[N]`` if per head."""
        shape = (num_heads,) if self.per == "head" else ()
        return {
            name: jnp.full(shape, CONSTRAINTS[p.domain][1](jnp.float32(p.start)))
            for name, p in self.parameters.items()
            if p.learned
        }

    def constrain(self, raw: Values) -> dict[str, Array | float]:
        """Effective values of all parameters; ``raw`` holds the stored values of learned ones."""
        return {
            name: CONSTRAINTS[p.domain][0](raw[name]) if p.learned else p.start
            for name, p in self.parameters.items()
        }
