"""The loop over layers: whole, with layers dropped statically or at run time, cached, captured.

Four programs, one layer:

- *scanned*: stacked parameters, all layers; differentiable, compiles once for any depth, and can
  capture hidden states;
- *unrolled*: a tuple of per-layer trees, or a static ``layer_mask``, or other captures and taps;
- *looped*: ``keep`` and ``start`` are data, so that one program serves every candidate of a search.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from attention.normalizers import NORMALIZERS
from attention.transformer.arithmetic import rematerialized
from attention.transformer.config import TransformerConfig
from attention.transformer.layer import Layer, entered_states
from attention.transformer.self_attention import Captured, Context, KeyValues, Places, Tap, at
from attention.transformer.stacking import take_layer

Tree = Mapping[str, Any]  # parameters of a layer, or of all layers stacked
Layers = Tree | tuple[Tree, ...]
Caches = KeyValues | tuple[KeyValues | None, ...]  # stacked, or of each layer
CAPTURES = ("hidden_states", *Captured._fields)


def init_layers(config: TransformerConfig, key: Array) -> Mapping[str, Any]:
    """Parameters of all layers, stacked ``[layer, …]``; ``key`` ``[]`` is split, one for each."""
    hidden = jnp.zeros((1, 1, config.hidden_size), jnp.dtype(config.dtype))
    zero = jnp.zeros((1, 1), int)
    row = NORMALIZERS.pick(config.normalizer)
    shared = row.init(config.num_attention_heads) if row.per == "model" else None
    context = Context(jnp.ones((1, 1, 1), bool), zero, zero, normalizer=shared)
    layer = Layer(config, parent=None)

    def init(key: Array) -> Mapping[str, Any]:
        return dict(layer.init(key, hidden, context)).get("params", {})

    return jax.vmap(init)(jax.random.split(key, config.num_hidden_layers))


def run_layers(
    config: TransformerConfig,
    layers: Layers,
    hidden_BTD: Float[Array, "B T D"],
    context: Context,
    *,
    layer_mask: tuple[bool, ...] | None = None,
    keep: Bool[Array, "L 2"] | None = None,
    start: Int[Array, ""] | int = 0,
    cache: Caches | None = None,
    capture: tuple[str, ...] = (),
    tap: Tap | None = None,
    read_at: Places | None = None,
) -> tuple[Array, Caches | None, dict[str, Array]]:
    """Apply the layers; see ``Transformer`` for the arguments not described here.

    Args:
        config: of the model.
        layers: stacked, or a tuple of trees.
        hidden_BTD: states that enter the first layer.
        context: what all layers share.
        layer_mask: static; false drops a layer from the program.
        keep: data; a half that is not kept is skipped.
        start: data; the layers below it are skipped.  It goes with ``keep``.
        cache: in the form of the layers.
        capture: names of ``CAPTURES``.
        tap: replaces attention weights.
        read_at: places whose states are wanted.

    Returns:
        States ``[B, T or P, D]``, the new cache, and what was captured.

    Raises:
        ValueError: arguments that do not go together, or parameters of another depth.
    """
    if unknown := set(capture) - set(CAPTURES):
        raise ValueError(f"cannot capture {sorted(unknown)}; there are {', '.join(CAPTURES)}")
    depth = len(layers) if isinstance(layers, tuple) else len(jax.tree.leaves(layers)[0])
    if depth != config.num_hidden_layers:
        raise ValueError(
            f"parameters of {depth} layers for {config.num_hidden_layers} in the config"
        )
    if not config.attention and (tap is not None or set(capture) - {"hidden_states"}):
        raise ValueError("a model with no attention has no attention weights or values")
    if keep is not None:
        if layer_mask is not None or capture or tap is not None:
            raise ValueError("keep is data; layer_mask, capture and tap need the static form")
        hidden, cache = _looped(config, layers, hidden_BTD, context, keep, start, cache)
        return at(hidden, read_at), cache, {}
    plain = layer_mask is None and set(capture) <= {"hidden_states"} and tap is None
    if plain and not isinstance(layers, tuple) and not (capture and cache is not None):
        if cache is None:
            hidden, states_LBTD = _scanned(config, layers, hidden_BTD, context, bool(capture))
            captured = {} if states_LBTD is None else {"hidden_states": states_LBTD}
            return at(hidden, read_at), None, captured
        everything = jnp.ones((config.num_hidden_layers, 2), bool)
        hidden, cache = _looped(config, layers, hidden_BTD, context, everything, 0, cache)
        return at(hidden, read_at), cache, {}
    return _unrolled(config, layers, hidden_BTD, context, layer_mask, cache, capture, tap, read_at)


def _apply(config: TransformerConfig, method: str = "__call__", **static: Any) -> Callable:
    """One layer as a function of its parameters, rematerialised in training if asked."""

    def apply(layer_params: Any, hidden: Array, *arguments: Context | Array, **data: Any) -> Any:
        layer = Layer(config, parent=None)
        variables = {"params": layer_params}
        return layer.apply(variables, hidden, *arguments, **data, **static, method=method)

    return rematerialized(config, apply)


def _differences(config: TransformerConfig) -> dict[str, Int[Array, " L"]]:
    """What layers differ in, as data, for the programs that index layers at run time.

    These are arguments of ``Layer.attention_half``; what all layers have alike is not among them.
    """
    found = {}
    if any(window is not None for window in config.windows):
        unlimited = np.iinfo(np.int32).max
        windows = [unlimited if window is None else window for window in config.windows]
        found["window"] = jnp.array(windows, jnp.int32)
    kinds = config.rope_kinds
    if len(kinds) > 1:
        found["rope"] = jnp.array([kinds.index(rope) for rope in config.ropes], jnp.int32)
    if not config.first_norm:
        found["normed"] = jnp.arange(config.num_hidden_layers) > 0
    return found


def _scanned(
    config: TransformerConfig, layers: Tree, hidden: Array, context: Context, every: bool
) -> tuple[Float[Array, "B T D"], Float[Array, "L B T D"] | None]:
    """The last hidden state and, if ``every``, those of all layers."""

    def attend(hidden, one, own, *_):
        return _apply(config, "attention_half")(one, hidden, context, **own)[0]

    def transform(hidden, one, _, *entered):
        return _apply(config, "mlp_half")(one, hidden, *entered)

    def body(hidden, layer):
        layer_params, own, has = layer
        if has is None:
            hidden = _apply(config)(layer_params, hidden, context, **own)[0]
        else:
            entered = entered_states(config, hidden)
            for there, half in zip(has, (attend, transform), strict=True):
                data = hidden, layer_params, own, *entered
                hidden = jax.lax.cond(there, half, lambda hidden, *_: hidden, *data)
        return hidden, hidden if every else None

    halves = None if config.layer_halves is None else jnp.array(config.halves)
    return jax.lax.scan(body, hidden, (layers, _differences(config), halves))


def _unrolled(
    config: TransformerConfig,
    layers: Layers,
    hidden: Float[Array, "B T D"],
    context: Context,
    layer_mask: tuple[bool, ...] | None,
    cache: Caches | None,
    capture: tuple[str, ...],
    tap: Tap | None,
    read_at: Places | None,
) -> tuple[Float[Array, "B P D"], tuple[KeyValues | None, ...] | None, dict[str, Array]]:
    """Hidden states, the new cache and what was captured; see ``run_layers``."""
    depth = config.num_hidden_layers
    mask = (True,) * depth if layer_mask is None else layer_mask
    if len(mask) != depth:
        raise ValueError(f"layer_mask has {len(mask)} entries for {depth} layers")
    if tap is not None or "attention_weights" in capture:
        config = dataclasses.replace(config, attention_implementation="xla")
    captured: dict[str, list[Array]] = {name: [] for name in capture}
    caches = list(cache) if isinstance(cache, tuple) and not isinstance(cache, KeyValues) else None
    if cache is not None and caches is None:
        raise ValueError("a stacked cache needs stacked layers and no layer_mask")
    kept = [i for i in range(depth) if mask[i]]
    # what is read alone needs no other queries in the last layer
    last = kept[-1] if kept and cache is None and not capture and tap is None else None
    for i in kept:
        layer_params = layers[i] if isinstance(layers, tuple) else take_layer(layers, i)
        layer_tap = None if tap is None else lambda *arrays, i=i: tap(i, *arrays)
        rope = config.rope_kinds.index(config.ropes[i])
        static: dict[str, Any] = {"window": config.windows[i], "rope": rope, "tap": layer_tap}
        if not config.first_norm:
            static["normed"] = i > 0
        data: dict[str, Any] = {"cache": None if caches is None else caches[i]}
        if not config.halves[i][0]:
            hidden = at(hidden, read_at) if i == last else hidden
            hidden = _apply(config, "mlp_half")(layer_params, hidden)
            if "hidden_states" in captured:
                captured["hidden_states"].append(hidden)
            continue
        if i == last:  # a slice is static, places in an array are data
            (static if isinstance(read_at, slice) else data)["read_at"] = read_at
        apply = _apply(config, "__call__" if config.halves[i][1] else "attention_half", **static)
        hidden, own, seen = apply(layer_params, hidden, context.in_layer(i), **data)
        if caches is not None and (before := caches[i]) is not None:
            assert context.slot is not None  # a cache comes with its context
            caches[i] = before.written(own, context.slot)
        for name, arrays in captured.items():
            arrays.append(hidden if name == "hidden_states" else getattr(seen, name))
    stacked = {name: jnp.stack(arrays) for name, arrays in captured.items()}
    hidden = hidden if last is not None else at(hidden, read_at)
    return hidden, None if caches is None else tuple(caches), stacked


def run_layer(
    config: TransformerConfig,
    layers: Mapping[str, Any],
    hidden_BTD: Float[Array, "B T D"],
    context: Context,
    keep: Bool[Array, " 2"],
    layer: Int[Array, ""],
    *,
    prefix: KeyValues | None = None,
    cache: KeyValues | None = None,
    read_at: Int[Array, "B P"] | None = None,
) -> tuple[Float[Array, "B P D"], KeyValues]:
    """One layer of a searched model, or the half of it that is kept.

    All but the shapes is data, so that one program serves every layer of every candidate.

    Args:
        config: of the model.
        layers: stacked.
        hidden_BTD: states that enter the layer.
        context: of the batch.
        keep: whether attention and MLP are kept.
        layer: its number.
        prefix: keys and values ``[1, P, K, H]`` before those of every row.
        cache: keys and values of the tokens before, with room for these.
        read_at: states of these places alone are wanted; of the others, keys and values.

    Returns:
        States, and the layer's own keys and values ``[B, T, …]``: zeros without attention.
    """
    differences = _differences(config)
    if config.layer_halves is not None:  # some layers lack one
        keep = keep & jnp.array(config.halves)[layer]

    # Weights are indexed inside the branches, so that a dropped half costs nothing.
    def attend(hidden: Array) -> tuple[Array, KeyValues]:
        one, own = take_layer((layers, differences), layer)
        how = {**own, "prefix": prefix, "cache": cache, "read_at": read_at}
        hidden, new, _ = _apply(config, "attention_half")(one, hidden, context, **how)
        return hidden, none if new is None else new

    def transform(hidden: Array, *entered: Array) -> Array:
        return _apply(config, "mlp_half")(take_layer(layers, layer), hidden, *entered)

    empty = jnp.zeros(
        (*hidden_BTD.shape[:2], config.key_value_heads, config.head_size), hidden_BTD.dtype
    )
    none = KeyValues(empty, empty)
    hidden, own = jax.lax.cond(
        keep[0], attend, lambda hidden: (at(hidden, read_at), none), hidden_BTD
    )
    entered = entered_states(config, hidden_BTD, read_at)
    return jax.lax.cond(keep[1], transform, lambda hidden, *_: hidden, hidden, *entered), own


def _looped(
    config: TransformerConfig,
    layers: Layers,
    hidden: Array,
    context: Context,
    keep: Bool[Array, "L 2"],
    start: Int[Array, ""] | int,
    cache: Caches | None,
) -> tuple[Float[Array, "B T D"], KeyValues | None]:
    """Hidden states and the new cache, with the kept halves of layers from ``start`` on."""
    if isinstance(layers, tuple):
        raise ValueError("keep needs stacked layers; see stack_layers")
    if keep.shape != (config.num_hidden_layers, 2):
        raise ValueError(f"keep has shape {keep.shape}, not {(config.num_hidden_layers, 2)}")
    depth = config.num_hidden_layers
    keep = jnp.asarray(keep) & (jnp.arange(depth) >= start)[:, None]
    some = keep.any(1)
    order = jnp.argsort(~some, stable=True)  # a layer that is dropped is not even looked at

    def body(j, carry):
        hidden, cache = carry
        i = order[j]
        before = None if cache is None else take_layer(cache, i)
        hidden, own = run_layer(config, layers, hidden, context, keep[i], i, cache=before)
        return hidden, cache if cache is None else cache.written(own, context.slot, i)

    return jax.lax.fori_loop(0, some.sum(), body, (hidden, cache))
