"""Attention of rows that all begin with the same text, which is neither copied nor masked."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from attention.dot_product import grouped, per_head
from attention.normalizers import Params, effective
from attention.normalizers import normalizer as row_of


def splits(normalizer: str) -> bool:
    """Whether the weights of a normalizer can be had from two parts of the keys."""
    return row_of(normalizer).logit_transform is not None


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
    """``dot_product_attention`` with the prefix's keys before those of every row, all seen.

    A softmax over both parts needs of each its largest logit, its sum of exponentials and its
    weighted values.  The scores of the prefix are one product for all rows, ``[B·T, H] × [H, P]``
    a head.

    Args:
        query: queries, at least one key of their own or of the prefix before each.
        key: keys of the rows themselves.
        value: values of the rows themselves.
        prefix_key: keys of the shared text.
        prefix_value: values of the shared text.
        mask: own keys that may be seen.
        normalizer: one that ``splits``.
        params: its effective values, each of shape ``[]`` or ``[N]``.
        scale: ``1/sqrt(H)`` if None.
        precision: of the products.
    """
    batch, length, heads, size = query.shape
    num_kv, row = key.shape[2], row_of(normalizer)
    assert row.logit_transform is not None  # it splits
    dtype = jnp.promote_types(query.dtype, jnp.float32)
    wide = {"precision": precision, "preferred_element_type": dtype}
    query = grouped(
        query * jnp.asarray(size**-0.5 if scale is None else scale, query.dtype), num_kv
    )
    values = effective(normalizer, row, per_head(params, num_kv, heads), dtype)
    values_front = {n: jnp.moveaxis(v, 0, 2) if jnp.ndim(v) else v for n, v in values.items()}

    where_BT = mask[:, None, None]
    count = jnp.sum(where_BT, -1, keepdims=True) + prefix_key.shape[1]
    own_BKGTS = jnp.einsum("BTKGH,BSKH->BKGTS", query, key, **wide)
    own_BKGTS = row.logit_transform(own_BKGTS, values, count.astype(dtype))
    front_KGBTP = jnp.einsum("BTKGH,PKH->KGBTP", query, prefix_key[0], **wide)
    count_front = jnp.moveaxis(count, 0, 2).astype(dtype)
    front_KGBTP = row.logit_transform(front_KGBTP, values_front, count_front)

    lowest = jnp.finfo(dtype).min
    own_BKGTS = jnp.where(where_BT, own_BKGTS, lowest)
    largest = jnp.maximum(own_BKGTS.max(-1), jnp.moveaxis(front_KGBTP.max(-1), 2, 0))
    largest = jax.lax.stop_gradient(jnp.maximum(largest, 0) if row.sink else largest)  # BKGT
    own_BKGTS = jnp.exp(own_BKGTS - largest[..., None])
    front_KGBTP = jnp.exp(front_KGBTP - jnp.moveaxis(largest, 0, 2)[..., None])
    total = own_BKGTS.sum(-1) + jnp.moveaxis(front_KGBTP.sum(-1), 2, 0)
    total = total + jnp.exp(-largest) if row.sink else total

    out = jnp.einsum("BKGTS,BSKH->BTKGH", own_BKGTS.astype(value.dtype), value, **wide)
    weights = front_KGBTP.astype(value.dtype)
    out += jnp.einsum("KGBTP,PKH->BTKGH", weights, prefix_value[0], **wide)
    out /= jnp.moveaxis(total, 3, 1)[..., None]
    return out.reshape(batch, length, heads, size).astype(value.dtype)
