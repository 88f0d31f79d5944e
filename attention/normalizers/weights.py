"""From scores to weights, by any row of the table that works on scores."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from attention.errors import InputError
from attention.normalizers.definition import Normalizer, Params
from attention.normalizers.formulas import Where, masked_softmax
from attention.normalizers.specification import check_names
from attention.normalizers.table import NORMALIZERS


def normalize(
    name: str,
    scores: Float[Array, "... S"],
    where: Where = None,
    params: Params | None = None,
) -> Float[Array, "... S"]:
    """Compute weights over keys, the last axis, with a normalizer of the table.

    Args:
        name: a key of ``NORMALIZERS`` of form ``scores``, or a specification.
        scores: of any floating dtype; computed in float32 at least.
        where: true where a key may be attended to; broadcastable to ``scores``.
        params: effective values, each broadcastable to ``scores`` (``ssa``: ``n``, ``b``);
            None means the defaults.  A list by head then has scores ``[..., N, T, S]``.

    Returns:
        Weights of the shape of ``scores``, float32 (float64 for float64 scores), zero wherever
        ``where`` is false.

    Raises:
        InputError: the name or a parameter is unknown, a parameter is not positive, or the
            normalizer works on queries and keys rather than on scores.
    """
    row = NORMALIZERS.pick(name)
    dtype = jnp.promote_types(scores.dtype, jnp.float32)
    values = effective(row, params, dtype)
    if row.heads is not None and params is None:
        shape = (1,) * (scores.ndim - 3) + (row.heads, 1, 1)
        values = {key: value.reshape(shape) for key, value in values.items()}
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
        # The mask is applied after the transform.  This only keeps a masked infinity or NaN out of
        # the derivative of the transform, where it would be multiplied by zero.
        scores = jnp.where(where, scores, 0)
        count = jnp.maximum(jnp.sum(where, axis=-1, keepdims=True), 1).astype(dtype)
    if row.logit_transform is not None:
        return masked_softmax(row.logit_transform(scores, values, count), where, row.sink)
    assert row.weigh is not None  # a row has one of three formulas
    weights = row.weigh(scores, where, values, count)
    return weights if where is None else jnp.where(where, weights, 0)


def effective(
    row: Normalizer, params: Params | None, dtype: DTypeLike = jnp.float32
) -> dict[str, Array]:
    """Effective values of all parameters of a row: those given, and defaults for the others.

    Args:
        row: of the table.
        params: values by name, each broadcastable to scores ``[..., S]``.
        dtype: of the result.

    Raises:
        InputError: the row has no such parameter, or a number is not positive.
    """
    given = dict(params or {})
    check_names(row, set(given))
    for key, value in given.items():
        # Learned arrays are not looked at: that would wait for the device.
        if isinstance(value, int | float | np.generic | np.ndarray) and not np.all(value > 0):
            raise InputError(f"normalizer parameter {key} must be positive, not {value}")
    return {key: jnp.asarray(v, dtype) for key, v in {**row.defaults, **given}.items()}
