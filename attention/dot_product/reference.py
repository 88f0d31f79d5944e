"""The reference: attention that holds the whole matrix of weights, for every normalizer."""

from __future__ import annotations

from collections.abc import Mapping

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from attention.normalizers import NORMALIZERS, Normalizer, Params, effective, normalize


def attention_weights(
    query: Float[Array, "B T N H"],
    key: Float[Array, "B S K H"],
    *,
    normalizer: str = "softmax",
    params: Params | None = None,
    mask: Bool[Array, "#B #T S"] | None = None,
    positions: tuple[Int[Array, "#B T"], Int[Array, "#B S"]] | None = None,
    scale: float | None = None,
    precision: str | None = None,
) -> Float[Array, "B N T S"]:
    """Compute the weights ``normalize(scale · q·k)`` over keys, in float32 at least.

    They are zero wherever ``mask`` is false.  Query head ``n`` reads key head ``n // (N / K)``.
    For a normalizer of form ``features`` the weights are ``phi(q)·phi(k)`` over their sum, and
    ``scale`` is not used.

    Args:
        query: queries.
        key: keys.
        normalizer: a name, or a specification (``attention.normalizers.specification``).
        params: its effective values, each of shape ``[]`` or ``[N]``.
        mask: true at the keys that may be seen.
        positions: of queries and keys, for a normalizer with a position weight; None counts both
            from 0.
        scale: factor of the scores; ``1/sqrt(H)`` if None.
        precision: of the products.

    Raises:
        InputError: the normalizer or a parameter is unknown.
        ValueError: the heads of keys do not divide those of queries.
    """
    batch, length, num_heads, _ = query.shape
    num_kv = key.shape[2]
    query_BTKGH = grouped(query, num_kv)
    row, dtype = NORMALIZERS.pick(normalizer), jnp.promote_types(query.dtype, jnp.float32)
    values = per_head(effective(row, params, dtype), num_kv, num_heads)
    where = None if mask is None else mask[:, None, None]
    if row.form == "features":
        weights_BKGTS = _feature_weights(query_BTKGH, key, row, values, positions, where, precision)
    else:
        scores_BKGTS = _scores(query_BTKGH, key, scale, precision)
        weights_BKGTS = normalize(normalizer, scores_BKGTS, where, values)
    return weights_BKGTS.reshape(batch, num_heads, length, -1)


def attention_scores(
    query: Float[Array, "B T N H"],
    key: Float[Array, "B S K H"],
    *,
    scale: float | None = None,
    precision: str | None = None,
) -> Float[Array, "B N T S"]:
    """Compute the scores ``scale · q·k`` that a normalizer gets, in float32 at least.

    Args:
        query: queries.
        key: keys.
        scale: factor of the scores; ``1/sqrt(H)`` if None.
        precision: of the products.

    Raises:
        ValueError: the heads of keys do not divide those of queries.
    """
    scores_BKGTS = _scores(grouped(query, key.shape[2]), key, scale, precision)
    return scores_BKGTS.reshape(*query.shape[:1], query.shape[2], query.shape[1], -1)


def _scores(query_BTKGH: Array, key: Array, scale: float | None, precision: str | None) -> Array:
    scores_BKGTS = jnp.einsum(
        "BTKGH,BSKH->BKGTS",
        query_BTKGH,
        key,
        precision=precision,
        preferred_element_type=jnp.promote_types(query_BTKGH.dtype, jnp.float32),
    )
    return scores_BKGTS * (query_BTKGH.shape[-1] ** -0.5 if scale is None else scale)


def grouped(query: Float[Array, "B T N H"], num_kv: int) -> Float[Array, "B T K G H"]:
    """Group the queries by the key head that they read.

    Raises:
        ValueError: the heads of keys do not divide those of queries.
    """
    batch, length, num_heads, head_size = query.shape
    if num_heads % num_kv:
        raise ValueError(f"{num_heads} query heads do not share {num_kv} key heads evenly")
    return query.reshape(batch, length, num_kv, num_heads // num_kv, head_size)


def per_head(values: Mapping[str, Array], num_kv: int, num_heads: int) -> dict[str, Array]:
    """Reshape values ``[N]`` to ``[1, K, G, 1, 1]``; single numbers stay as they are."""
    shape = (1, num_kv, num_heads // num_kv, 1, 1)
    return {
        name: jnp.reshape(value, shape) if value.ndim else value for name, value in values.items()
    }


def _feature_weights(
    query_BTKGH: Array,
    key: Array,
    row: Normalizer,
    values: dict[str, Array],
    positions: tuple[Array, Array] | None,
    where: Array | None,
    precision: str | None,
) -> Float[Array, "B K G T S"]:
    """``phi(q)·phi(k)`` times the position weight, over its sum over the keys seen."""
    assert row.feature_map is not None  # the caller looked
    dtype = jnp.promote_types(key.dtype, jnp.float32)
    products = jnp.einsum(
        "BTKGH,BSKH->BKGTS",
        row.feature_map(query_BTKGH.astype(dtype), values),
        row.feature_map(key.astype(dtype), values),
        precision=precision,
    )
    if row.position_weight is not None:
        places = [jnp.arange(n)[None] for n in (query_BTKGH.shape[1], key.shape[1])]
        of_queries, of_keys = places if positions is None else positions
        distance = (of_queries[:, :, None] - of_keys[:, None, :]).astype(dtype)
        products *= row.position_weight(distance, values)[:, None, None]
    if where is not None:
        products = jnp.where(where, products, 0)
    total = jnp.sum(products, axis=-1, keepdims=True)
    return products / jnp.where(total > 0, total, 1)


def weighted_values(
    weights: Float[Array, "B N T S"],
    value: Float[Array, "B S K H"],
    *,
    precision: str | None = None,
) -> Float[Array, "B T N H"]:
    """Compute ``out_t = Σ_s weights_ts value_s`` per head, in the dtype of ``value``.

    Args:
        weights: weights over the keys.
        value: values; query head ``n`` reads value head ``n // (N / K)``.
        precision: of the product.
    """
    batch, num_heads, length, keys = weights.shape
    num_kv = value.shape[2]
    weights_BKGTS = weights.reshape(batch, num_kv, num_heads // num_kv, length, keys)
    out_BTKGH = jnp.einsum(
        "BKGTS,BSKH->BTKGH", weights_BKGTS.astype(value.dtype), value, precision=precision
    )
    return out_BTKGH.reshape(batch, length, num_heads, value.shape[3])
