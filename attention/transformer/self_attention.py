"""Attention as a part of a layer: projections, positions, what is seen, and what it can show."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from attention.dot_product import (
    attention_behind_prefix,
    attention_weights,
    dot_product_attention,
    splits,
    weighted_values,
)
from attention.meshes import constrain
from attention.normalizers import NORMALIZERS
from attention.transformer.config import TransformerConfig
from attention.transformer.positionwise import Dropout, Norm, Projection
from attention.transformer.rotary import Rotation, rotate

# tap(layer, weights_BNTS, values_BKSH, mask_BTS) -> weights_BNTS
Tap = Callable[[int, Array, Array, Array], Array]


class Context(NamedTuple):
    """What all layers of one call share; slots are places in the sequence or cache."""

    mask_BTS: Bool[Array, "#B T S"]  # real keys, none later than the query if causal
    positions_BT: Int[Array, "B T"]  # of the queries, counting real tokens
    positions_BS: Int[Array, "B S"]  # of the keys
    rotation: Rotation | None = None  # of these tokens, for each of the config's `rope_kinds`
    slot: Int[Array, ""] | None = None  # where this call's keys go in the cache
    normalizer: Mapping[str, Array] | None = None  # learned parameters that all layers share
    where_BS: Bool[Array, "B S"] | None = None  # real keys, if some are not
    branches_BT: Int[Array, "B T"] | None = None  # of texts side by side, which the mask parts
    segments_BT: Int[Array, "B T"] | None = None  # of texts one behind another, likewise
    # of all keys, if frequencies depend on the length: keys are then kept before they turn
    key_rotation: Rotation | None = None
    dropout: Dropout | None = None  # of the call, or of one layer

    def in_layer(self, layer: int) -> Context:
        """The context of one layer, which draws its own dropout."""
        if self.dropout is None:
            return self
        return self._replace(dropout=self.dropout.part(layer))


Places = Int[Array, "B P"] | slice  # of T, in each sequence or in all


def at(x: Array, places: Places | None) -> Array:
    """``x[B, T, …]`` at some places of T alone; None means all."""
    if places is None:
        return x
    if isinstance(places, slice):
        if places.step in (None, 1):
            return x[:, places]
        # The compiler for CUDA (jax 0.10.2) aborts at a product with rows of a slice with steps.
        apart = functools.partial(places_apart, places=places)
        return jax.lax.platform_dependent(x, cuda=apart, default=lambda x: x[:, places])
    x = jnp.broadcast_to(x, (places.shape[0], *x.shape[1:]))  # what all rows share has one
    return jnp.take_along_axis(x, places.reshape(*places.shape, *(1,) * (x.ndim - 2)), axis=1)


def places_apart(x: Array, places: slice) -> Array:
    """``x[:, places]`` for a positive step, without a slice that has one."""
    start, stop, step = places.indices(x.shape[1])
    count = len(range(start, stop, step))
    taken = x[:, start : start + count * step]
    after = ((0, 0), (0, count * step - taken.shape[1]), *((0, 0),) * (x.ndim - 2))
    return jnp.pad(taken, after).reshape(x.shape[0], count, step, *x.shape[2:])[:, :, 0]


class KeyValues(NamedTuple):
    """Keys and values of one layer, or stacked ``[layer, …]``.

    Keys have turned by their positions, except where frequencies depend on the length of the text
    (``Context.key_rotation``): as a text grows, all of its keys turn anew (YaRN, Peng et al. 2023,
    arXiv:2309.00071, section 3.3).
    """

    key_BSKH: Float[Array, "*L B S K H"]
    value_BSKH: Float[Array, "*L B S K H"]

    def written(
        self, new: KeyValues, slot: Int[Array, ""], layer: Array | None = None
    ) -> KeyValues:
        """With those of further tokens from ``slot`` on, in one layer or in that of a stack."""

        def write(all_: Array, new: Array) -> Array:
            lead = () if layer is None else (layer,)
            new = new if layer is None else new[None]
            return jax.lax.dynamic_update_slice(all_, new, (*lead, 0, slot, 0, 0))

        return jax.tree.map(write, self, new)

    def behind(self, prefix: KeyValues) -> KeyValues:
        """With those of a prefix, ``[1, P, K, H]``, before each row."""

        def join(first: Array, own: Array) -> Array:
            first = jnp.broadcast_to(first, (len(own), *first.shape[1:]))
            return jnp.concatenate([first, own], axis=1)

        return jax.tree.map(join, prefix, self)


class Captured(NamedTuple):
    """What an unrolled layer can show of its attention."""

    attention_weights: Float[Array, "B N T S"] | None  # only the reference has them
    values: Float[Array, "B K S H"]
    queries: Float[Array, "B T N H"]  # rotated, as are keys
    keys: Float[Array, "B S K H"]
    mask: Bool[Array, "B T S"]  # the keys that each query sees, within the layer's window


class Attention(nn.Module):
    """Grouped-query attention with the config's positions, window and normalizer.

    ``out(normalize(cap(scale · q kᵀ)) v)``: q and k are projections of the states, normed if the
    config says so and turned by their positions; query head n reads key head ``n // (N / K)``.

    Sources: Vaswani et al. 2017, arXiv 1706.03762; grouped queries, Ainslie et al. 2023, arXiv
    2305.13245; norms of queries and keys, Dehghani et al. 2023, arXiv 2302.05442.
    """

    config: TransformerConfig

    def setup(self) -> None:
        c = self.config
        into = "BTD,DNH->BTNH"
        for name, heads in (
            ("query", c.num_attention_heads),
            ("key", c.key_value_heads),
            ("value", c.key_value_heads),
        ):
            bias = (heads, c.head_size) if c.attention_bias else None
            shape = (c.hidden_size, heads, c.head_size)
            setattr(self, name, Projection(c, into, shape, bias))
        self.out = Projection(
            c,
            "BTNH,NHD->BTD",
            (c.num_attention_heads, c.head_size, c.hidden_size),
            (c.hidden_size,) if c.attention_out_bias else None,
            role="residual",
        )
        if c.qk_norm is not None:
            kind = "layernorm" if c.norm == "layernorm" else "rmsnorm"
            axes = 2 if c.qk_norm == "each_head" else 1
            self.query_norm = Norm(c, kind, bias=False, axes=axes)
            self.key_norm = Norm(c, kind, bias=False, axes=axes)
        row = NORMALIZERS.pick(c.normalizer)
        self.learned = {}
        if row.learns and row.per != "model":
            self.learned = self.param("normalizer", lambda _: row.init(c.num_attention_heads))

    def __call__(
        self,
        x_BTD: Float[Array, "B T D"],
        context: Context,
        *,
        window: int | Array | None = None,
        rope: int | Array = 0,
        cache: KeyValues | None = None,
        prefix: KeyValues | None = None,
        tap: Callable[[Array, Array, Array], Array] | None = None,
        read_at: Places | None = None,
    ) -> tuple[Array, KeyValues, Captured]:
        """Attention of all places, or of the queries ``read_at`` alone.

        Args:
            x_BTD: states.
            context: what all layers share.
            window: a query sees keys less than so many positions away.
            rope: which of the config's ``rope_kinds`` the layer has.
            cache: keys and values of the tokens before, with room for these.
            prefix: keys and values ``[1, P, K, H]`` that stand before every row.
            tap: ``tap(weights_BNTS, values_BKSH, mask_BTS) -> weights_BNTS`` replaces the weights.
            read_at: places whose queries are wanted.

        Returns:
            Its output ``[B, T or P, D]``, the keys and values of these tokens, and what it can
            show.
        """
        c = self.config
        query, own = self._heads(x_BTD, context, rope, read_at)
        mask_BTS, positions_BT = at(context.mask_BTS, read_at), at(context.positions_BT, read_at)
        params = NORMALIZERS.pick(c.normalizer).constrain(context.normalizer or self.learned)
        how: dict[str, Any] = {
            "normalizer": c.scoring,
            "params": params,
            "scale": c.attention_multiplier,
            "precision": c.precision,
        }
        late = _rotation_of(c, context.key_rotation, rope)
        if prefix is not None and window is None and late is None and splits(c.scoring):
            own_BTS = mask_BTS[:, :, prefix.key_BSKH.shape[1] :]
            out = attention_behind_prefix(query, *own, *prefix, mask=own_BTS, **how)
            return self.out(out), own, _captured(None, query, own, own_BTS)
        seen = own
        if prefix is not None:
            seen = own.behind(prefix)
        if cache is not None:
            assert context.slot is not None  # a cache comes with its context
            seen = cache.written(own, context.slot)
        if window is not None:
            distance = positions_BT[:, :, None] - context.positions_BS[:, None, :]
            mask_BTS &= jnp.abs(distance) < window
        if late is not None:
            seen = seen._replace(key_BSKH=rotate(seen.key_BSKH, late))
        key, value = seen
        how["positions"] = (positions_BT, context.positions_BS)
        weights_BNTS = None
        if c.attention_implementation == "xla":
            weights_BNTS = attention_weights(query, key, mask=mask_BTS, **how)
            if tap is not None:
                weights_BNTS = tap(weights_BNTS, value.swapaxes(1, 2), mask_BTS)
            out = weighted_values(weights_BNTS, value, precision=c.precision)
        else:
            visible: dict[str, Any] = {"mask": mask_BTS}
            if read_at is None and prefix is None:
                visible = _visible(c, context, mask_BTS, window)
            elif isinstance(read_at, slice) and c.causal and cache is None and prefix is None:
                places = range(x_BTD.shape[1])[read_at]
                visible |= {"reach": tuple(place + 1 for place in places)}
            how["implementation"] = c.attention_implementation
            out = dot_product_attention(query, key, value, **how, **visible)
        out = constrain(out, "batch", "places", "heads", "head_dim")
        return self.out(out), own, _captured(weights_BNTS, query, seen, mask_BTS)

    def _heads(
        self, x_BTD: Array, context: Context, rope: int | Array, read_at: Places | None
    ) -> tuple[Array, KeyValues]:
        """Queries of the places to read, keys and values of all; positions turned in."""
        x_BTD = constrain(x_BTD, "batch", "places", "state")
        query, key, value = self.query(at(x_BTD, read_at)), self.key(x_BTD), self.value(x_BTD)
        query = constrain(query, "batch", "places", "heads", "head_dim")
        key, value = (constrain(x, "batch", "places", "kv_heads", "head_dim") for x in (key, value))
        if self.config.qk_norm is not None:
            query, key = self._normed(self.query_norm, query), self._normed(self.key_norm, key)
        turns = _rotation_of(self.config, context.rotation, rope)
        if turns is not None:
            read = jax.tree.map(lambda each: at(each, read_at), turns)
            query = rotate(query, read)
            if read.query_scale is not None:
                query *= read.query_scale.astype(query.dtype)
            if context.key_rotation is None:
                key = rotate(key, turns)
        return query, KeyValues(key, value)

    def _normed(self, norm: Norm, x: Array) -> Array:
        if self.config.qk_norm == "projection":
            return norm(x.reshape(*x.shape[:2], -1)).reshape(x.shape)
        return norm(x)


def _rotation_of(
    config: TransformerConfig, rotations: Rotation | None, rope: int | Array
) -> Rotation | None:
    """The rotation of a layer's kind; None if it is known to have no positions."""
    if rotations is None or (isinstance(rope, int) and config.rope_kinds[rope] is None):
        return None
    return rotations.of(rope)


def _captured(weights: Array | None, query: Array, seen: KeyValues, mask_BTS: Array) -> Captured:
    mask_BTS = jnp.broadcast_to(mask_BTS, (len(query), *mask_BTS.shape[1:]))
    return Captured(weights, seen.value_BSKH.swapaxes(1, 2), query, seen.key_BSKH, mask_BTS)


def _visible(
    config: TransformerConfig, context: Context, mask_BTS: Array, window: int | Array | None
) -> dict[str, Any]:
    """What queries see, without a stored mask where places alone tell."""
    real = context.where_BS
    places = window is None or (isinstance(window, int) and real is None)
    if context.slot is not None or context.branches_BT is not None or not places:
        return {"mask": mask_BTS}
    segments = None if real is None else (jnp.ones_like(real, int), real.astype(int))
    if context.segments_BT is not None:
        segments = context.segments_BT, context.segments_BT
    return {"causal": config.causal, "window": window, "segment_ids": segments}
