"""Dot-product attention with any normalizer and grouped key/value heads."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from attention.normalizers import Params, normalize


def attention_weights(
    query: Float[Array, "B T N H"],
    key: Float[Array, "B S K H"],
    *,
    normalizer: str = "softmax",
    params: Params | None = None,
    mask: Bool[Array, "#B #T S"] | None = None,
    scale: float | None = None,
    precision: str | None = None,
) -> Float[Array, "B N T S"]:
    """Weights ``normalize(scale · q·k)`` over keys, in float32; zero wherever ``mask`` is false.

    Query head ``n`` reads key head ``n // (N / K)``.  ``scale`` defaults to ``1/sqrt(H)``.
    ``params`` are the normalizer's effective values, each of shape ``[]`` or ``[N]``.
    """
    batch, length, num_heads, head_size = query.shape
    num_kv = key.shape[2]
    groups = num_heads // num_kv
    query_BTKGH = query.reshape(batch, length, num_kv, groups, head_size)
    scores_BKGTS = jnp.einsum(
        "BTKGH,BSKH->BKGTS",
        query_BTKGH,
        key,
        precision=precision,
        preferred_element_type=jnp.promote_types(query.dtype, jnp.float32),
    )
    scores_BKGTS *= head_size**-0.5 if scale is None else scale
    shaped = {
        name: jnp.reshape(value, (1, num_kv, groups, 1, 1)) if jnp.ndim(value) else value
        for name, value in (params or {}).items()
    }
    where = None if mask is None else mask[:, None, None]
    weights_BKGTS = normalize(normalizer, scores_BKGTS, where, shaped)
    return weights_BKGTS.reshape(batch, num_heads, length, -1)


def weighted_values(
    weights: Float[Array, "B N T S"],
    value: Float[Array, "B S K H"],
    *,
    precision: str | None = None,
) -> Float[Array, "B T N H"]:
    """``out_t = sum_s weights_ts value_s`` per head, in the dtype of ``value``."""
    batch, num_heads, length, keys = weights.shape
    num_kv = value.shape[2]
    weights_BKGTS = weights.reshape(batch, num_kv, num_heads // num_kv, length, keys)
    out_BTKGH = jnp.einsum(
        "BKGTS,BSKH->BTKGH", weights_BKGTS.astype(value.dtype), value, precision=precision
    )
    return out_BTKGH.reshape(batch, length, num_heads, value.shape[3])


def dot_product_attention(
    query: Float[Array, "B T N H"],
    key: Float[Array, "B S K H"],
    value: Float[Array, "B S K H"],
    *,
    normalizer: str = "softmax",
    params: Params | None = None,
    mask: Bool[Array, "#B #T S"] | None = None,
    scale: float | None = None,
    precision: str | None = None,
) -> Float[Array, "B T N H"]:
    """``out = normalize(scale · q kᵀ) v`` per head, for any normalizer of the table.

    See ``attention_weights`` for the arguments.  This is the reference: it holds the whole
    ``[B, N, T, S]`` matrix of weights.
    """
    weights = attention_weights(
        query,
        key,
        normalizer=normalizer,
        params=params,
        mask=mask,
        scale=scale,
        precision=precision,
    )
    return weighted_values(weights, value, precision=precision)
