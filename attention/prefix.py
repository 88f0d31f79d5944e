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

    A softmax over both parts needs of each its largest logit ``m``, its sum of exponentials and its
    weighted values, joined by ``exp(m - max m)``.  The scores of the prefix are one product for all
    rows, ``[B·T·G, H] × [H, P]`` a head, and stay in that layout.

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
    where_BT = mask[:, None, None]
    count = (jnp.sum(where_BT, -1, keepdims=True) + prefix_key.shape[1]).astype(dtype)

    own_BKGTS = jnp.einsum("BTKGH,BSKH->BKGTS", query, key, **wide)
    own_BKGTS = row.logit_transform(own_BKGTS, values, count)
    own_BKGTS = jnp.where(where_BT, own_BKGTS, jnp.finfo(dtype).min)
    own_BKGTS, own_max, own_sum = _exponentials(own_BKGTS)
    own = jnp.einsum("BKGTS,BSKH->BTKGH", own_BKGTS.astype(value.dtype), value, **wide)
    own_max, own_sum = (jnp.moveaxis(x, 3, 1)[..., None] for x in (own_max, own_sum))

    def front(x: Array) -> Array:  # BKGT… -> KBTG…
        return x.transpose(1, 0, 3, 2, 4) if jnp.ndim(x) else x

    front_KBTGP = jnp.einsum("BTKGH,PKH->KBTGP", query, prefix_key[0], **wide)
    values = {name: front(value) for name, value in values.items()}
    front_KBTGP = row.logit_transform(front_KBTGP, values, front(count))
    front_KBTGP, shared_max, shared_sum = _exponentials(front_KBTGP)
    weights = front_KBTGP.astype(value.dtype)
    shared = jnp.einsum("KBTGP,PKH->KBTGH", weights, prefix_value[0], **wide)
    shared, shared_max, shared_sum = (
        jnp.moveaxis(x, 0, 2) for x in (shared, shared_max[..., None], shared_sum[..., None])
    )

    largest = jnp.maximum(own_max, shared_max)  # BTKG1, as all of the rest
    largest = jnp.maximum(largest, 0) if row.sink else largest
    own_share, shared_share = jnp.exp(own_max - largest), jnp.exp(shared_max - largest)
    total = own_share * own_sum + shared_share * shared_sum
    total = total + jnp.exp(-largest) if row.sink else total
    out = (own_share * own + shared_share * shared) / total
    return out.reshape(batch, length, heads, size).astype(value.dtype)


def _exponentials(logits: Array) -> tuple[Array, Array, Array]:
    """``exp(l - m)`` over the last axis, the largest logit ``m`` and the sum."""
    largest = jax.lax.stop_gradient(logits.max(-1))
    exponentials = jnp.exp(logits - largest[..., None])
    return exponentials, largest, exponentials.sum(-1)
