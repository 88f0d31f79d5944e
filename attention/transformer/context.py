"""Who sees whom, at which positions, and what was seen before; all layers of a call share it."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from attention.transformer.config import TransformerConfig
from attention.transformer.rotary import Rotation, rotations
from attention.transformer.self_attention import Context, KeyValues

ALONE = 2**16
"""Branches with this number or a larger one see no prompt, only themselves."""


class Cache(NamedTuple):
    """Keys and values of the tokens seen so far, ``S`` slots a sequence."""

    layers: KeyValues | tuple[KeyValues | None, ...]  # stacked, or one a layer (None: no attention)
    where_BS: Bool[Array, "B S"]
    positions_BS: Int[Array, "B S"]
    slot: Int[Array, ""]  # the next free slot


def init_cache(config: TransformerConfig, batch: int, slots: int, *, stacked: bool) -> Cache:
    """An empty cache, in the form that goes with stacked or unstacked layers."""
    shape = (batch, slots, config.key_value_heads, config.head_size)
    dtype = jnp.dtype(config.dtype)

    def empty(*lead: int) -> KeyValues:
        return KeyValues(jnp.zeros((*lead, *shape), dtype), jnp.zeros((*lead, *shape), dtype))

    depth = config.num_hidden_layers
    layers = (
        empty(depth) if stacked else tuple(empty() if has[0] else None for has in config.halves)
    )
    return Cache(
        layers,
        jnp.zeros((batch, slots), bool),
        jnp.zeros((batch, slots), jnp.int32),
        jnp.zeros((), jnp.int32),
    )


class Branches(NamedTuple):
    """Rows that hold a prompt and, side by side, several texts that follow it.

    A token sees the prompt and the tokens of its own branch.

    Attributes:
        branches_BT: 0 in the prompt, b > 0 in branch b, −1 at padding; from ``ALONE`` on a branch
            does not see the prompt.
        positions_BT: of each token in the text that it belongs to.
        before: tokens that stand before every row, whose keys and values the layers are given.
    """

    branches_BT: Int[Array, "B T"]
    positions_BT: Int[Array, "B T"]
    before: int = 0


def make_context(
    config: TransformerConfig, length: int, where: Array | None, cache: Cache | None
) -> Context:
    """What all layers share: masks, positions and rotations.

    Positions count real tokens; a key is seen if it is real and, if causal, not later.

    Args:
        config: of the model.
        length: T, of the rows.
        where: ``[B, T]``, true for real tokens; None: all are.
        cache: the keys and values of earlier tokens, S places in all; None: S = T.
    """
    queries = jnp.arange(length)
    if cache is None:
        positions_BT = queries[None] if where is None else _count(where)
        positions_BS, where_BS, slot = positions_BT, where, None
        keys = queries
    else:
        assert where is not None  # `decode` fills it in
        before_B1 = jnp.sum(cache.where_BS, axis=1, keepdims=True)
        positions_BT = jnp.maximum(jnp.cumsum(where, axis=1) - 1 + before_B1, 0)
        slot = cache.slot
        positions_BS = jax.lax.dynamic_update_slice_in_dim(
            cache.positions_BS, positions_BT.astype(cache.positions_BS.dtype), slot, 1
        )
        where_BS = jax.lax.dynamic_update_slice_in_dim(cache.where_BS, where, slot, 1)
        keys = jnp.arange(where_BS.shape[1])
        queries = queries + slot
    mask_BTS = jnp.ones((1, length, keys.size), bool)
    if config.causal:
        mask_BTS &= (keys[None, :] <= queries[:, None])[None]
    if where_BS is not None:
        mask_BTS &= where_BS[:, None, :]
    turns, key_turns = _rotations(config, positions_BT, positions_BS)
    return Context(
        mask_BTS,
        positions_BT,
        positions_BS,
        turns,
        slot,
        where_BS=where_BS,
        key_rotation=key_turns,
    )


def branched_context(config: TransformerConfig, branches: Branches) -> Context:
    """A branch sees what stands before the row, its prompt and itself, and nothing later."""
    branches_BT, positions_BT, before = branches
    branches_BT, positions_BT = jnp.asarray(branches_BT), jnp.asarray(positions_BT)
    batch, length = branches_BT.shape
    keys_B1S = branches_BT[:, None, :]
    follows_BT1 = branches_BT[:, :, None] < ALONE
    mask_BTS = (keys_B1S == branches_BT[:, :, None]) | ((keys_B1S == 0) & follows_BT1)
    if config.causal:
        places = jnp.arange(length)
        mask_BTS &= (places[None, :] <= places[:, None])[None]
    front_BS = jnp.broadcast_to(jnp.arange(before)[None], (batch, before))
    positions_BS = jnp.concatenate([front_BS, positions_BT], axis=1)
    turns, key_turns = _rotations(config, positions_BT, positions_BS)
    return Context(
        jnp.concatenate([jnp.ones((batch, length, before), bool), mask_BTS], axis=2),
        positions_BT,
        positions_BS,
        turns,
        branches_BT=branches_BT,
        key_rotation=key_turns,
    )


def segmented_context(config: TransformerConfig, segments_BT: Int[Array, "B T"]) -> Context:
    """A token sees the tokens of its own segment; positions count from its first place."""
    segments_BT = jnp.asarray(segments_BT)
    length = segments_BT.shape[1]
    places = jnp.arange(length)
    new_BT = jnp.pad(segments_BT[:, 1:] != segments_BT[:, :-1], ((0, 0), (1, 0)))
    starts_BT = jax.lax.cummax(jnp.where(new_BT, places[None], 0), axis=1)
    positions_BT = places[None] - starts_BT
    mask_BTS = segments_BT[:, :, None] == segments_BT[:, None, :]
    if config.causal:
        mask_BTS &= (places[None, :] <= places[:, None])[None]
    turns, key_turns = _rotations(config, positions_BT, positions_BT)
    return Context(
        mask_BTS,
        positions_BT,
        positions_BT,
        turns,
        segments_BT=segments_BT,
        key_rotation=key_turns,
    )


def _rotations(
    config: TransformerConfig, positions_BT: Array, positions_BS: Array
) -> tuple[Rotation | None, Rotation | None]:
    """How queries turn and, if frequencies depend on lengths, how all keys do.

    A text is as long as its last position says: a row of its own decides, not the batch or the
    padding; of texts side by side in a row, the longest does.
    """
    lengths_B = jnp.max(positions_BT, axis=1) + 1
    kinds, size = config.rope_kinds, config.head_size
    turns = rotations(kinds, size, positions_BT, lengths_B)
    if not config.rope_by_length:
        return turns, None
    return turns, rotations(kinds, size, positions_BS, lengths_B)


def _count(where_BT: Bool[Array, "B T"]) -> Int[Array, "B T"]:
    return jnp.maximum(jnp.cumsum(where_BT, axis=1) - 1, 0)
