"""Attention normalizers: from scores to weights over keys, as pure functions in one table.

Every member masks *after* its transform with a boolean ``where``: a masked key gets exactly zero,
no gradient flows through it, and a row with nothing to attend to is all zeros.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

Params = Mapping[str, Float[Array, "..."]]
Granularity = str  # "layer": one value; "head": one value a query head


def masked_softmax(
    logits: Float[Array, "... S"],
    where: Bool[
        Array,
        (
            ...  # S
        ),
    ]
    | None,
) -> Float[Array, "... S"]:
    """``exp(t_s) / sum_s' exp(t_s')`` over the keys where ``where`` holds, in float32 at least.

    The largest allowed logit is subtracted first; a row without any allowed key is zero.
    """
    if where is None:
        return jax.nn.softmax(logits, axis=-1)
    lowest = jnp.finfo(logits.dtype).min
    largest = jnp.max(jnp.where(where, logits, lowest), axis=-1, keepdims=True)
    # The inner `where` keeps a masked logit's overflow out of the gradient.
    shifted = jnp.where(where, logits - jax.lax.stop_gradient(largest), 0)
    weights = jnp.where(where, jnp.exp(shifted), 0)
    total = jnp.sum(weights, axis=-1, keepdims=True)
    return weights / jnp.where(total > 0, total, 1)


def _identity(scores: Array, params: Params) -> Array:
    del params
    return scores


@jax.custom_jvp
def signed_log(scores: Array, n: Array, b: Array) -> Array:
    """SSA's logit transform ``t(s) = n · sgn(s) · log(1 + b|s|)``.

    Its derivative ``n·b / (1 + b|s|)`` is continuous, ``n·b`` at zero, where automatic
    differentiation of ``sgn`` and ``|·|`` would give zero.
    """
    return n * jnp.sign(scores) * jnp.log1p(b * jnp.abs(scores))


@signed_log.defjvp
def _signed_log_jvp(primals, tangents):
    scores, n, b = primals
    d_scores, d_n, d_b = tangents
    logs = jnp.sign(scores) * jnp.log1p(b * jnp.abs(scores))
    rate = n / (1 + b * jnp.abs(scores))
    return n * logs, rate * b * d_scores + logs * d_n + rate * scores * d_b


def _ssa(scores: Array, params: Params) -> Array:
    return signed_log(scores, params["n"], params["b"])


@dataclasses.dataclass(frozen=True)
class Normalizer:
    """A row of the table.

    ``logit_transform(scores, params)`` precedes the softmax; ``defaults`` are the effective values
    of the parameters.  Learned parameters are stored as logarithms, hence positive: ``constrain``
    gives the effective values.  They stay in float32 whatever the model's dtype.
    """

    logit_transform: Callable[[Array, Params], Array]
    defaults: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def init(self, num_heads: int, granularity: Granularity = "layer") -> dict[str, Array]:
        """Learnable (unconstrained) parameters, of shape ``[]`` a layer or ``[num_heads]``."""
        shape = {"layer": (), "head": (num_heads,)}[granularity]
        return {
            name: jnp.full(shape, jnp.log(jnp.float32(value)), jnp.float32)
            for name, value in self.defaults.items()
        }

    def constrain(self, raw: Params) -> dict[str, Array]:
        """Effective parameter values ``exp(raw)``."""
        return {name: jnp.exp(value) for name, value in raw.items()}


NORMALIZERS: dict[str, Normalizer] = {
    "softmax": Normalizer(_identity),
    # n and b start where the paper's decoder does.
    "ssa": Normalizer(_ssa, {"n": 1.5, "b": 0.8}),
}


def normalizer(name: str) -> Normalizer:
    """The table's row called ``name``; an unknown name is a ValueError that lists the table."""
    if name not in NORMALIZERS:
        raise ValueError(f"unknown normalizer {name!r}; there are {', '.join(NORMALIZERS)}")
    return NORMALIZERS[name]


def normalize(
    name: str,
    scores: Float[Array, "... S"],
    where: Bool[
        Array,
        (
            ...  # S
        ),
    ]
    | None = None,
    params: Params | None = None,
) -> Float[Array, "... S"]:
    """Weights over keys (last axis): ``softmax(t(scores))`` over the keys where ``where`` holds.

    Args:
        name: ``softmax``: ``t(s) = s``.  ``ssa`` (scaled signed averaging, arXiv 2508.14685):
            ``t(s) = n · sgn(s) · log(1 + b|s|)``, that is, weights in proportion to
            ``(1 + b|s|)^(n sgn s)``; it tends to softmax for ``b = 1/m, n = m, m → ∞``.
        scores: of any floating dtype; computed in float32 at least.
        where: true where a key may be attended to; broadcastable to ``scores``.
        params: effective values, each broadcastable to ``scores`` (``ssa``: ``n``, ``b``);
            None means the table's defaults.

    Returns:
        Weights of the shape of ``scores``, float32 (float64 for float64 scores), zero wherever
        ``where`` is false.
    """
    row = normalizer(name)
    values = {**row.defaults, **(params or {})}
    if unknown := set(values) - set(row.defaults):
        raise ValueError(f"normalizer {name!r} has no parameter {', '.join(sorted(unknown))}")
    dtype = jnp.promote_types(scores.dtype, jnp.float32)
    arrays = {key: jnp.asarray(value, dtype) for key, value in values.items()}
    scores = scores.astype(dtype)
    if where is not None:
        # The mask comes after the transform; this only keeps a masked infinity or NaN out of the
        # transform's derivative, which would multiply it by zero.
        scores = jnp.where(where, scores, 0)
    return masked_softmax(row.logit_transform(scores, arrays), where)
