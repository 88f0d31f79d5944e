"""Dot-product attention with any normalizer and grouped key/value heads."""

from __future__ import annotations

from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from attention.dot_product.blocks import attention_in_blocks
from attention.dot_product.chunked import Form, chunked_attention
from attention.dot_product.flash import flash_attention
from attention.dot_product.masks import Visibility
from attention.errors import InputError
from attention.normalizers import NORMALIZERS, Normalizer, Params, effective, formulas, normalize
from attention.normalizers import normalizer as row_of

Implementation = Literal["xla", "blocks", "chunked", "pallas"]
FUSED = {"blocks": attention_in_blocks, "chunked": chunked_attention, "pallas": flash_attention}
CHUNK = 512  # queries and keys in one step of the implementation `chunked`


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
    """Weights ``normalize(scale · q·k)`` over keys, in float32; zero wherever ``mask`` is false.

    Query head ``n`` reads key head ``n // (N / K)``.  For a normalizer of form ``features``,
    weights are ``phi(q)·phi(k)`` over their sum, and ``scale`` does not enter.

    Args:
        query: queries.
        key: keys.
        normalizer: a name or specification of ``attention.normalizers.table``.
        params: its effective values, each of shape ``[]`` or ``[N]``.
        mask: keys that may be seen.
        positions: of queries and keys; None counts both from 0.  Only cosformer looks.
        scale: ``1/sqrt(H)`` if None.
        precision: of the products.

    Raises:
        InputError: unknown normalizer or parameter.
    """
    batch, length, num_heads, _ = query.shape
    num_kv = key.shape[2]
    query_BTKGH = grouped(query, num_kv)
    row, shaped = row_of(normalizer), per_head(params, num_kv, num_heads)
    where = None if mask is None else mask[:, None, None]
    if row.form == "features":
        values = effective(normalizer, row, shaped)
        weights_BKGTS = _feature_weights(query_BTKGH, key, row, values, positions, where, precision)
    else:
        scores_BKGTS = _scores(query_BTKGH, key, scale, precision)
        weights_BKGTS = normalize(normalizer, scores_BKGTS, where, shaped)
    return weights_BKGTS.reshape(batch, num_heads, length, -1)


def attention_scores(
    query: Float[Array, "B T N H"],
    key: Float[Array, "B S K H"],
    *,
    scale: float | None = None,
    precision: str | None = None,
) -> Float[Array, "B N T S"]:
    """``scale · q·k``, what a normalizer gets, in float32 at least; ``1/sqrt(H)`` if None."""
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


def grouped(query: Array, num_kv: int) -> Array:
    """``[B, T, N, H]`` → ``[B, T, K, G, H]``."""
    batch, length, num_heads, head_size = query.shape
    if num_heads % num_kv:
        raise ValueError(f"{num_heads} query heads do not share {num_kv} key heads evenly")
    return query.reshape(batch, length, num_kv, num_heads // num_kv, head_size)


def per_head(params: Params | None, num_kv: int, num_heads: int) -> dict[str, Array]:
    """Values of one head each in the shape ``[1, K, G, 1, 1]``, others as they are."""
    shape = (1, num_kv, num_heads // num_kv, 1, 1)
    return {
        name: jnp.reshape(value, shape) if jnp.ndim(value) else value
        for name, value in (params or {}).items()
    }


def _feature_weights(
    query_BTKGH: Array,
    key: Array,
    row: Normalizer,
    values: Params,
    positions: tuple[Array, Array] | None,
    where: Array | None,
    precision: str | None,
) -> Float[Array, "B K G T S"]:
    """``phi(q)·phi(k) · position weight`` over its sum over the keys seen."""
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
    causal: bool = False,
    segment_ids: Int[Array, "B T"] | tuple[Int[Array, "B T"], Int[Array, "B S"]] | None = None,
    window: int | None = None,
    positions: tuple[Int[Array, "#B T"], Int[Array, "#B S"]] | None = None,
    scale: float | None = None,
    precision: str | None = None,
    implementation: Implementation = "xla",
    reach: tuple[int, ...] | None = None,
) -> Float[Array, "B T N H"]:
    """``out = normalize(scale · q kᵀ) v`` per head, for any normalizer of the table.

    Args:
        query: queries; see ``attention_weights`` for the arguments not named here.
        key: keys.
        value: values.
        normalizer: a name or specification.
        params: its effective values.
        mask: keys that may be seen; all restrictions given hold together.
        causal: a query sees no key at a later place than its own; both count from 0.
        segment_ids: of queries and keys (one array if they are the same places): a query sees keys
            of its own segment.
        window: a query sees keys less than so many places away.
        positions: of queries and keys, for cosformer.
        scale: ``1/sqrt(H)`` if None.
        precision: of the products.
        implementation: ``xla``, the reference, holds the whole ``[B, N, T, S]`` matrix.  The others
            are for every normalizer that is a softmax of a logit transform.  ``blocks``: a short
            sequence, trained on a CPU.  Two never hold the matrix, their memory is linear in T and
            S: ``chunked`` on any backend; ``pallas``, one fused kernel for CUDA
            devices and TPUs (interpreted, slowly, elsewhere), or cuDNN's where it fits softmax.
        reach: for ``blocks``: how many of the first keys the mask lets each query see at most;
            None: all, or with ``causal`` those up to its own place.

    Raises:
        InputError: unknown normalizer, parameter or implementation, or one that does not go with
            the other; the message says which does.
    """
    if mask is not None and (
        mask.shape[1] not in (1, query.shape[1]) or mask.shape[2] != key.shape[1]
    ):
        raise ValueError(
            f"mask {mask.shape} fits no {query.shape[1]} queries and {key.shape[1]} keys"
        )
    segments = segment_ids if isinstance(segment_ids, tuple) else (segment_ids, segment_ids)
    visible = Visibility(mask, *segments, causal=causal, window=window)
    places = jnp.arange(query.shape[1]), jnp.arange(key.shape[1])
    if implementation == "xla":
        weights = attention_weights(
            query,
            key,
            normalizer=normalizer,
            params=params,
            mask=visible.where(*places),
            positions=positions,
            scale=scale,
            precision=precision,
        )
        return weighted_values(weights, value, precision=precision)
    if implementation not in FUSED:
        known = ", ".join(["xla", *FUSED])
        raise InputError(f"unknown implementation {implementation!r}; there are {known}")
    row = row_of(normalizer)
    if implementation == "pallas" and _cudnn_fits(row, query, key, visible):
        return _cudnn(query, key, value, visible, scale)
    if row.logit_transform is None:
        fusible = [name for name, each in NORMALIZERS.items() if each.logit_transform is not None]
        raise InputError(
            f"implementation {implementation!r} has no {normalizer!r}, but {', '.join(fusible)}; "
            "'xla' has all"
        )
    num_kv, dtype = key.shape[2], jnp.promote_types(query.dtype, jnp.float32)
    shaped = per_head(params, num_kv, query.shape[2])
    form = Form(
        normalizer,
        causal,
        window,
        float(query.shape[3] ** -0.5 if scale is None else scale),
        precision,
        CHUNK,
    )
    values = effective(normalizer, row, shaped, dtype)
    more = (reach,) if implementation == "blocks" else ()
    out_BTKGH = FUSED[implementation](
        grouped(query, num_kv), key, value, values, visible, form, *more
    )
    return out_BTKGH.reshape(query.shape)


def _cudnn_fits(row: Normalizer, query: Array, key: Array, visible: Visibility) -> bool:
    """Whether cuDNN's kernel, the fastest there is, computes just this."""
    return (
        jax.default_backend() == "gpu"
        and row.logit_transform is formulas.softmax
        and not row.sink
        and query.dtype in (jnp.bfloat16, jnp.float16)
        and query.shape[3] % 8 == 0
        and query.shape[3] <= 128
        and visible.mask is None
        and visible.query_segments is None
        and (visible.window is None or visible.causal)
        and (query.shape[1] == key.shape[1] or not visible.causal)
    )


def _cudnn(
    query: Array, key: Array, value: Array, visible: Visibility, scale: float | None
) -> Array:
    return jax.nn.dot_product_attention(
        query,
        key,
        value,
        scale=scale,
        is_causal=visible.causal,
        local_window_size=None if visible.window is None else (visible.window - 1, 0),
        implementation="cudnn",
    )
