"""Attention of rows that all begin with the same text, without a copy of it for each row."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from attention.dot_product.reference import grouped, per_head
from attention.normalizers import NORMALIZERS, Params, effective


def splits(normalizer: str) -> bool:
    """Whether the weights of a normalizer can be computed from two parts of the keys."""
    return NORMALIZERS.pick(normalizer).logit_transform is not None


def attention_behind_prefix(
    query: Float[Array, "B T N H"],
    key: Float[Array, "B S K H"],
    value: Float[Array, "B S K H"],
    prefix_key: Float[Array, "1 P K H"],
    prefix_value: Float[Array, "1 P K H"],
    *,
    mask: Bool[Array, "#B T S"],
    normalizer: str = "softmax",
    params: Params | None = None,
    scale: float | None = None,
    precision: str | None = None,
) -> Float[Array, "B T N H"]:
    """Compute ``dot_product_attention`` with the prefix's keys, all seen, before those of each row.

    A softmax over both parts is put together from three numbers of each part: its largest logit
    ``m``, its sum of exponentials and its weighted values.  The factor ``exp(m − max m)`` joins
    them.  The scores of the prefix are one product for all rows, ``[B·T·G, H] × [H, P]`` for each
    head, and stay in that layout.

    Args:
        query: queries; each sees at least one key, of the prefix or its own.
        key: keys of the rows themselves.
        value: values of the rows themselves.
        prefix_key: keys of the shared text.
        prefix_value: values of the shared text.
        mask: true at the rows' own keys that may be seen.
        normalizer: one that ``splits``.
        params: its effective values, each of shape ``[]`` or ``[N]``.
        scale: factor of the scores; ``1/sqrt(H)`` if None.
        precision: of the products.

    Raises:
        InputError: the normalizer or a parameter is unknown.
        ValueError: the heads of keys do not divide those of queries.
    """
    batch, length, heads, size = query.shape
    num_kv, row = key.shape[2], NORMALIZERS.pick(normalizer)
    assert row.logit_transform is not None  # it splits
    dtype = jnp.promote_types(query.dtype, jnp.float32)
    query = query * jnp.asarray(size**-0.5 if scale is None else scale, query.dtype)
    query_BKMH = grouped(query, num_kv).swapaxes(1, 2).reshape(batch, num_kv, -1, size)  # M: T·G

    def spread(x: Array) -> Array:  # a number, or [#B, #K, #G, #T, 1] → [B, K, M, 1]
        if not jnp.ndim(x):
            return x
        shape = (batch, num_kv, length, heads // num_kv, 1)
        return jnp.broadcast_to(x.swapaxes(2, 3), shape).reshape(batch, num_kv, -1, 1)

    def together(x: Array) -> Array:  # BKM… → K(BM)…
        return x.swapaxes(0, 1).reshape(num_kv, -1, x.shape[-1]) if jnp.ndim(x) else x

    values = per_head(effective(row, params, dtype), num_kv, heads)
    values = {name: spread(value) for name, value in values.items()}
    count = jnp.sum(mask, -1, dtype=dtype)[:, None, None, :, None] + prefix_key.shape[1]
    count_BKM1 = spread(count)
    mask_BKMS = jnp.repeat(mask[:, None], heads // num_kv, 2)
    wide: Any = {"precision": precision, "preferred_element_type": dtype}

    own_BKMS = jnp.einsum("BKMH,BSKH->BKMS", query_BKMH, key, **wide)
    own_BKMS = row.logit_transform(own_BKMS, values, count_BKM1)
    own_BKMS = jnp.where(mask_BKMS, own_BKMS, jnp.finfo(dtype).min)
    own, own_max = _sums(own_BKMS, value.swapaxes(1, 2), wide)

    front_KMP = jnp.einsum("KMH,PKH->KMP", together(query_BKMH), prefix_key[0], **wide)
    values = {name: together(value) for name, value in values.items()}
    front_KMP = row.logit_transform(front_KMP, values, together(count_BKM1))
    front, front_max = (
        x.reshape(num_kv, batch, -1, x.shape[-1]).swapaxes(0, 1)
        for x in _sums(front_KMP, prefix_value[0].swapaxes(0, 1), wide)
    )

    largest = jnp.maximum(own_max, front_max)
    largest = jnp.maximum(largest, 0) if row.sink else largest
    sums = jnp.exp(own_max - largest) * own + jnp.exp(front_max - largest) * front
    total = sums[..., size:] + (jnp.exp(-largest) if row.sink else 0)
    out = (sums[..., :size] / total).reshape(batch, num_kv, length, -1, size)
    return out.swapaxes(1, 2).reshape(batch, length, heads, size).astype(value.dtype)


def _sums(
    logits: Float[Array, "*B M S"], value: Float[Array, "*B S H"], wide: Any
) -> tuple[Float[Array, "*B M H+1"], Float[Array, "*B M 1"]]:
    """``Σ_s exp(l_s − m) [v_s, 1]``, and the largest logit ``m``; the sum is one more column."""
    largest = jax.lax.stop_gradient(logits.max(-1, keepdims=True))
    weights = jnp.exp(logits - largest).astype(value.dtype)
    with_one = jnp.concatenate([value, jnp.ones_like(value[..., :1])], -1)
    return jnp.matmul(weights, with_one, **wide), largest
