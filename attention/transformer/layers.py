"""One transformer layer: attention and what it sees, and an MLP."""

from __future__ import annotations

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
from attention.normalizers import normalizer
from attention.transformer.config import TransformerConfig
from attention.transformer.positionwise import MLP, Norm, Projection
from attention.transformer.rotary import rotate

# tap(layer, weights_BNTS, values_BKSH, mask_BTS) -> weights_BNTS
Tap = Callable[[int, Array, Array, Array], Array]


class Context(NamedTuple):
    """What all layers of one call share; slots are places in the sequence or cache."""

    mask_BTS: Bool[Array, "#B T S"]  # real keys, none later than the query if causal
    positions_BT: Int[Array, "B T"]  # of the queries, counting real tokens
    positions_BS: Int[Array, "B S"]  # of the keys
    rotation: tuple[Float[Array, "B T 1 h"], Float[Array, "B T 1 h"]] | None  # cos, sin
    slot: Int[Array, ""] | None = None  # where this call's keys go in the cache
    normalizer: Mapping[str, Array] | None = None  # learned parameters that all layers share
    where_BS: Bool[Array, "B S"] | None = None  # real keys, if some are not
    branches_BT: Int[Array, "B T"] | None = None  # of texts side by side, which the mask parts


Places = Int[Array, "B P"] | slice  # of T, in each sequence or in all


def at(x: Array, places: Places | None) -> Array:
    """``x[B, T, …]`` at some places of T alone; None means all."""
    if places is None:
        return x
    if isinstance(places, slice):
        return x[:, places]
    x = jnp.broadcast_to(x, (places.shape[0], *x.shape[1:]))  # what all rows share has one
    return jnp.take_along_axis(x, places.reshape(*places.shape, *(1,) * (x.ndim - 2)), axis=1)


class KeyValues(NamedTuple):
    """Keys (rotated) and values of one layer, or stacked ``[layer, …]``."""

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


class Captured(NamedTuple):
    """What an unrolled layer can show of its attention."""

    attention_weights: Float[Array, "B N T S"] | None  # only the reference has them
    values: Float[Array, "B K S H"]
    queries: Float[Array, "B T N H"]  # rotated, as are keys
    keys: Float[Array, "B S K H"]
    mask: Bool[Array, "B T S"]  # the keys that each query sees, within the layer's window


class Attention(nn.Module):
    """Grouped-query attention with the config's positions, window and normalizer."""

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
        if c.qk_norm:
            self.query_norm = Norm(c, "rmsnorm")
            self.key_norm = Norm(c, "rmsnorm")
        row = normalizer(c.normalizer)
        self.learned = {}
        if row.learns and row.per != "model":
            self.learned = self.param("normalizer", lambda _: row.init(c.num_attention_heads))

    def __call__(
        self,
        x_BTD: Array,
        context: Context,
        *,
        window: int | Array | None = None,
        cache: KeyValues | None = None,
        prefix: KeyValues | None = None,
        tap: Callable[[Array, Array, Array], Array] | None = None,
        read_at: Places | None = None,
    ) -> tuple[Array, KeyValues, Captured]:
        """Attention of all places, or of the queries ``read_at`` alone, and its keys and values.

        ``cache`` holds those of the tokens before, and has room for these; ``prefix`` those
        ``[1, P, K, H]`` that stand before every row.
        """
        c = self.config
        query, key, value = self.query(at(x_BTD, read_at)), self.key(x_BTD), self.value(x_BTD)
        if c.qk_norm:
            query, key = self.query_norm(query), self.key_norm(key)
        if context.rotation is not None:
            turns = (at(context.rotation[0], read_at), at(context.rotation[1], read_at))
            query, key = rotate(query, turns), rotate(key, context.rotation)
        own = KeyValues(key, value)

        def result(out: Array, weights: Array | None = None) -> tuple[Array, KeyValues, Captured]:
            mask = jnp.broadcast_to(mask_BTS, (len(x_BTD), *mask_BTS.shape[1:]))
            seen = Captured(weights, value.swapaxes(1, 2), query, key, mask)
            return self.out(out), own, seen

        mask_BTS, positions_BT = at(context.mask_BTS, read_at), at(context.positions_BT, read_at)
        if prefix is not None and window is None and splits(c.normalizer):
            own_BTS = mask_BTS[:, :, prefix.key_BSKH.shape[1] :]
            out = attention_behind_prefix(
                query,
                key,
                value,
                *prefix,
                mask=own_BTS,
                normalizer=c.normalizer,
                params=normalizer(c.normalizer).constrain(context.normalizer or self.learned),
                precision=c.precision,
            )
            return result(out)
        if prefix is not None:
            batch = x_BTD.shape[0]
            key, value = (
                jnp.concatenate([jnp.broadcast_to(shared, (batch, *shared.shape[1:])), own], 1)
                for shared, own in zip(prefix, (key, value), strict=True)
            )
        if cache is not None:
            assert context.slot is not None  # a cache comes with its context
            key, value = cache.written(own, context.slot)
        if window is not None:
            distance = positions_BT[:, :, None] - context.positions_BS[:, None, :]
            mask_BTS &= jnp.abs(distance) < window
        how: Any = {
            "normalizer": c.normalizer,
            "params": normalizer(c.normalizer).constrain(context.normalizer or self.learned),
            "positions": (positions_BT, context.positions_BS),
            "precision": c.precision,
        }
        if c.attention_implementation != "xla":
            how |= {"implementation": c.attention_implementation}
            seen: dict[str, Any] = {"mask": mask_BTS}
            if read_at is None and prefix is None:
                seen = _visible(c, context, mask_BTS, window)
            elif isinstance(read_at, slice) and c.causal and cache is None and prefix is None:
                places = range(x_BTD.shape[1])[read_at]
                seen |= {"reach": tuple(place + 1 for place in places)}
            out = dot_product_attention(query, key, value, **how, **seen)
            return result(out)
        weights_BNTS = attention_weights(query, key, mask=mask_BTS, **how)
        if tap is not None:
            weights_BNTS = tap(weights_BNTS, value.swapaxes(1, 2), mask_BTS)
        return result(weighted_values(weights_BNTS, value, precision=c.precision), weights_BNTS)


def _visible(
    config: TransformerConfig, context: Context, mask_BTS: Array, window: int | Array | None
) -> dict[str, Any]:
    """What queries see, without a stored mask where places alone tell."""
    real = context.where_BS
    places = window is None or (isinstance(window, int) and real is None)
    if context.slot is not None or context.branches_BT is not None or not places:
        return {"mask": mask_BTS}
    segments = None if real is None else (jnp.ones_like(real, int), real.astype(int))
    return {"causal": config.causal, "window": window, "segment_ids": segments}


class Layer(nn.Module):
    """One layer, in two halves that a search can drop apart."""

    config: TransformerConfig

    def setup(self) -> None:
        c = self.config
        if c.attention:
            self.attention_norm = Norm(c, c.norm)
            self.attention = Attention(c)
        if c.mlp:
            self.mlp_norm = Norm(c, c.norm)
            self.mlp = MLP(c)

    def _join(self, x: Array, update: Array) -> Array:
        return x + update if self.config.residual else update

    def attention_half(
        self, x_BTD: Array, context: Context, **arguments
    ) -> tuple[Array, KeyValues | None, Captured | None]:
        """``x + attention(norm(x))``, or post-norm ``norm(x + attention(x))``.

        With ``read_at``, the result is that at these places alone; keys are those of all.
        """
        read_at = arguments.get("read_at")
        if not self.config.attention:
            return at(x_BTD, read_at), None, None
        pre = self.config.norm_placement == "pre"
        update, own, captured = self.attention(
            self.attention_norm(x_BTD) if pre else x_BTD, context, **arguments
        )
        joined = self._join(at(x_BTD, read_at), update)
        return joined if pre else self.attention_norm(joined), own, captured

    def mlp_half(self, x_BTD: Array) -> Array:
        """``x + mlp(norm(x))``, or post-norm ``norm(x + mlp(x))``."""
        if not self.config.mlp:
            return x_BTD
        if self.config.norm_placement == "pre":
            return self._join(x_BTD, self.mlp(self.mlp_norm(x_BTD)))
        return self.mlp_norm(self._join(x_BTD, self.mlp(x_BTD)))

    def __call__(
        self, x_BTD: Array, context: Context, **arguments
    ) -> tuple[Array, KeyValues | None, Captured | None]:
        """Both halves; ``arguments`` are those of ``Attention``."""
        x_BTD, own, captured = self.attention_half(x_BTD, context, **arguments)
        return self.mlp_half(x_BTD), own, captured
