"""Attention normalizers: from scores to weights over keys, as pure functions in one table.

Every member masks *after* its transform with a boolean ``where``: a masked key gets exactly zero,
no gradient flows through it, and a row with nothing to attend to is all zeros.  ``where`` also says
how many keys a row has, for the members that depend on their number.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from attention.errors import InputError
from attention.normalizers import formulas
from attention.normalizers.formulas import Params, Where, masked_softmax

Granularity = Literal["layer", "head", "model"]  # one value a layer; a query head; in all
Domain = Literal["raw", "exp", "1+softplus", "1+sigmoid"]

CONSTRAINTS: dict[str, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
    # of a learned parameter: effective value of what is stored, and back
    "raw": (lambda x: x, lambda v: v),
    "exp": (jnp.exp, jnp.log),
    "1+softplus": (lambda x: 1 + jax.nn.softplus(x), lambda v: jnp.log(jnp.expm1(v - 1))),
    "1+sigmoid": (lambda x: 1 + jax.nn.sigmoid(x), lambda v: jnp.log((v - 1) / (2 - v))),
}


@dataclasses.dataclass(frozen=True)
class Parameter:
    """A parameter: its effective value (at the start, if learned) and how it is learned."""

    value: float
    domain: Domain = "exp"
    learned: bool = True


@dataclasses.dataclass(frozen=True)
class Normalizer:
    """A row of the table.

    Attributes:
        description: its equation, in one line.
        logit_transform: ``t(scores, params, count)``, if the weights are a softmax of ``t``;
            ``count`` is the number of allowed keys, ``[..., 1]``.
        weigh: ``weigh(scores, where, params, count)``, for those that are no softmax.
        feature_map: ``phi(x, params)``, if scores are replaced by products ``phi(q) · phi(k)``,
            and weights are these over their sum.
        position_weight: of ``(t − s, params)``, a factor of the products.
        parameters: by name.
        per: granularity of the learned ones.
        sink: the softmax has one more key, of logit 0 and value 0.
        sums_to_one: every row with an allowed key does.
        shift_invariant: adding a constant to a row changes nothing.
    """

    description: str
    logit_transform: Callable[[Array, Params, Array], Array] | None = None
    weigh: Callable[[Array, Where, Params, Array], Array] | None = None
    feature_map: Callable[[Array, Params], Array] | None = None
    position_weight: Callable[[Array, Params], Array] | None = None
    parameters: Mapping[str, Parameter] = dataclasses.field(default_factory=dict)
    per: Granularity = "layer"
    sink: bool = False
    sums_to_one: bool = True
    non_negative: bool = True
    shift_invariant: bool = False

    @property
    def form(self) -> Literal["scores", "features"]:
        """What the member works on: scores, or queries and keys apart."""
        return "scores" if self.feature_map is None else "features"

    @property
    def defaults(self) -> dict[str, float]:
        """Effective values of all parameters (at the start, of those learned)."""
        return {name: parameter.value for name, parameter in self.parameters.items()}

    @property
    def learns(self) -> bool:
        """Whether any parameter is learned."""
        return any(parameter.learned for parameter in self.parameters.values())

    def init(self, num_heads: int, granularity: Granularity | None = None) -> dict[str, Array]:
        """Stored values of the learned parameters, float32, ``[]`` or ``[num_heads]``."""
        shape = (num_heads,) if (granularity or self.per) == "head" else ()
        return {
            name: jnp.full(shape, CONSTRAINTS[p.domain][1](jnp.float32(p.value)), jnp.float32)
            for name, p in self.parameters.items()
            if p.learned
        }

    def constrain(self, raw: Params) -> dict[str, Any]:
        """Effective values of all parameters: learned ones from ``raw``, the others fixed."""
        return {
            name: CONSTRAINTS[p.domain][0](raw[name]) if p.learned else p.value
            for name, p in self.parameters.items()
        }


NORMALIZERS: dict[str, Normalizer] = {
    "softmax": Normalizer("softmax(s)", formulas.softmax, shift_invariant=True),
    "temperature": Normalizer(
        "softmax(s / temperature)",
        formulas.temperature,
        parameters={"temperature": Parameter(1.0)},
        shift_invariant=True,
    ),
    "softcap": Normalizer(
        "softmax(c tanh(s/c))", formulas.soft_cap, parameters={"c": Parameter(50.0, learned=False)}
    ),
    "ssa": Normalizer(
        "softmax(n sgn(s) log(1 + b|s|))",
        formulas.ssa,
        parameters={"n": Parameter(1.5), "b": Parameter(0.8, learned=False)},
    ),
    "ssmax": Normalizer(
        "softmax(scale log(N) s), N keys",
        formulas.ssmax,
        parameters={"scale": Parameter(0.43)},
        shift_invariant=True,
    ),
    "softmax1": Normalizer("e^s / (1 + sum e^s)", formulas.softmax, sink=True, sums_to_one=False),
    "sigmoid": Normalizer("sigmoid(s - log N), N keys", weigh=formulas.sigmoid, sums_to_one=False),
    "softpick": Normalizer(
        "relu(e^s - 1) / sum |e^s - 1|", weigh=formulas.softpick, sums_to_one=False
    ),
    "relu": Normalizer("relu(s) / N, N keys", weigh=formulas.relu, sums_to_one=False),
    "sparsemax": Normalizer(
        "projection onto the simplex", weigh=formulas.sparsemax, shift_invariant=True
    ),
    "entmax15": Normalizer("1.5-entmax", weigh=formulas.entmax15, shift_invariant=True),
    "entmax": Normalizer(
        "alpha-entmax",
        weigh=formulas.entmax,
        parameters={"alpha": Parameter(1.5, "1+sigmoid")},
        shift_invariant=True,
    ),
    "sasoftmax": Normalizer(
        "softmax(s) times s scaled to [0, 1]", weigh=formulas.self_adjust, sums_to_one=False
    ),
    "linear": Normalizer("phi(q) phi(k), phi = elu + 1", feature_map=formulas.linear),
    "cosformer": Normalizer(
        "relu(q) relu(k) cos(pi/2 (t - s)/length)",
        feature_map=formulas.cosformer,
        position_weight=formulas.cosine_decay,
        parameters={"length": Parameter(2048.0, learned=False)},
    ),
}


def normalizer(spec: str) -> Normalizer:
    """The table's row of a name, or of a specification such as ``ssa:n=2,learn=n+b,per=head``.

    After the name: ``parameter=value`` (its effective value, at the start if learned),
    ``learn=`` the learned parameters joined by ``+``, or ``none``; ``per=layer|head|model``;
    ``as=raw|exp|1+softplus|1+sigmoid``, how the learned ones are stored.

    Raises:
        InputError: one line that says what is not understood and what there is.
    """
    name, _, settings = spec.partition(":")
    if name not in NORMALIZERS:
        raise InputError(f"unknown normalizer {name!r}; there are {', '.join(NORMALIZERS)}")
    row = NORMALIZERS[name]
    parameters, per = dict(row.parameters), row.per
    for setting in filter(None, settings.split(",")):
        key, _, value = setting.partition("=")
        if key in parameters:
            parameters[key] = dataclasses.replace(parameters[key], value=_number(spec, key, value))
        elif key == "learn":
            learned = set(value.split("+")) - {"none"}
            if unknown := learned - set(parameters):
                raise InputError(_no_parameter(name, unknown))
            parameters = {
                each: dataclasses.replace(parameter, learned=each in learned)
                for each, parameter in parameters.items()
            }
        elif key == "per" and value in ("layer", "head", "model"):
            per = value
        elif key == "as" and value in CONSTRAINTS:
            parameters = {
                each: dataclasses.replace(parameter, domain=value)
                for each, parameter in parameters.items()
            }
        else:
            raise InputError(
                f"normalizer {spec!r}: {setting!r} is not understood; there are "
                f"{', '.join([*parameters, 'learn', 'per=layer|head|model'])}, "
                f"as={'|'.join(CONSTRAINTS)}"
            )
    for each, parameter in parameters.items():
        _check_value(spec, each, parameter)
    return dataclasses.replace(row, parameters=parameters, per=per)


def _number(spec: str, name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(f"normalizer {spec!r}: {name} is no number") from None


def _no_parameter(name: str, unknown: set[str]) -> str:
    has = ", ".join(NORMALIZERS[name].parameters) or "none"
    return f"normalizer {name!r} has no parameter {', '.join(sorted(unknown))}; it has {has}"


def _check_value(spec: str, name: str, parameter: Parameter) -> None:
    low, high = {"1+softplus": (1.0, float("inf")), "1+sigmoid": (1.0, 2.0)}.get(
        parameter.domain if parameter.learned else "", (0.0, float("inf"))
    )
    if not low < parameter.value < high:
        raise InputError(
            f"normalizer {spec!r}: {name} must be between {low:g} and {high:g}, "
            f"not {parameter.value:g}"
        )


def normalize(
    name: str,
    scores: Float[Array, "... S"],
    where: Where = None,
    params: Params | None = None,
) -> Float[Array, "... S"]:
    """Weights over keys (last axis) by the normalizer called ``name``.

    Args:
        name: a key of ``NORMALIZERS`` of form ``scores``, or a specification (``normalizer``).
        scores: of any floating dtype; computed in float32 at least.
        where: true where a key may be attended to; broadcastable to ``scores``.
        params: effective values, each broadcastable to ``scores`` (``ssa``: ``n``, ``b``);
            None means the defaults.

    Returns:
        Weights of the shape of ``scores``, float32 (float64 for float64 scores), zero wherever
        ``where`` is false.

    Raises:
        InputError: unknown name or parameter, a parameter that is not positive, or a normalizer of
            queries and keys apart.
    """
    row = normalizer(name)
    dtype = jnp.promote_types(scores.dtype, jnp.float32)
    values = effective(name, row, params, dtype)
    if row.form == "features":
        raise InputError(
            f"normalizer {name!r} works on queries and keys, not on scores: "
            "use dot_product_attention"
        )
    scores = scores.astype(dtype)
    if where is None:
        count = jnp.full((1,) * scores.ndim, scores.shape[-1], dtype)
    else:
        where = jnp.broadcast_to(where, scores.shape)
        # The mask comes after the transform; this only keeps a masked infinity or NaN out of the
        # transform's derivative, which would multiply it by zero.
        scores = jnp.where(where, scores, 0)
        count = jnp.maximum(jnp.sum(where, axis=-1, keepdims=True), 1).astype(dtype)
    if row.logit_transform is not None:
        return masked_softmax(row.logit_transform(scores, values, count), where, row.sink)
    assert row.weigh is not None  # a row is one of three
    weights = row.weigh(scores, where, values, count)
    return weights if where is None else jnp.where(where, weights, 0)


def effective(
    name: str, row: Normalizer, params: Params | None, dtype: Any = jnp.float32
) -> dict[str, Array]:
    """Values of all of a row's parameters as arrays, checked.

    Raises:
        InputError: a parameter that the row does not have, or a number that is not positive.
    """
    given = dict(params or {})
    if unknown := set(given) - set(row.parameters):
        raise InputError(_no_parameter(name.partition(":")[0], unknown))
    for key, value in given.items():
        # Learned arrays are not looked at: that would wait for the device.
        if isinstance(value, int | float | np.generic | np.ndarray) and not np.all(value > 0):
            raise InputError(f"normalizer {name!r}: {key} must be positive, not {value}")
    return {key: jnp.asarray(v, dtype) for key, v in {**row.defaults, **given}.items()}
