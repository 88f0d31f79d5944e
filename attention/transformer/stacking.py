"""The two forms of a model's layers: stacked ``[layer, …]``, and a tuple of per-layer trees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array


def take_layer(tree: Any, i: int | Array) -> Any:
    """One layer's tree of a stacked one; ``i`` is an integer or a traced ``[]``."""
    return jax.tree.map(lambda leaf: leaf[i], tree)


def unstack_layers(params: Mapping[str, Any]) -> dict[str, Any]:
    """The same parameters with ``layers`` as a tuple of per-layer trees."""
    layers = params["layers"]
    if isinstance(layers, tuple):
        return dict(params)
    depth = len(jax.tree.leaves(layers)[0])
    return {**params, "layers": tuple(take_layer(layers, i) for i in range(depth))}


def stack_layers(params: Mapping[str, Any]) -> dict[str, Any]:
    """The same parameters with ``layers`` stacked ``[layer, …]``."""
    layers = params["layers"]
    if not isinstance(layers, tuple):
        return dict(params)
    return {**params, "layers": jax.tree.map(lambda *leaves: jnp.stack(leaves), *layers)}


def keep_layers(params: Mapping[str, Any], kept: Sequence[int]) -> dict[str, Any]:
    """Parameters of the physically shorter model made of layers ``kept`` (0-based, ascending).

    Goes with ``config.keep_layers(kept)``.

    Raises:
        ValueError: ``kept`` is empty, not ascending, or names a layer that the model does not have.
    """
    layers, index = params["layers"], tuple(kept)
    depth = len(layers) if isinstance(layers, tuple) else len(jax.tree.leaves(layers)[0])
    if not index or list(index) != sorted(set(index)) or not 0 <= index[0] <= index[-1] < depth:
        raise ValueError(f"kept layers {list(index)} are not ascending and within 0..{depth - 1}")
    if isinstance(layers, tuple):
        return {**params, "layers": tuple(layers[i] for i in index)}
    return {**params, "layers": jax.tree.map(lambda leaf: leaf[np.array(index)], layers)}


def keep_halves(params: Mapping[str, Any], kept: Sequence[tuple[bool, bool]]) -> dict[str, Any]:
    """Parameters of the model with the (attention, MLP) ``kept`` of each layer.

    Goes with ``config.keep_halves(kept)``.  A layer of which neither is kept is gone.  Of stacked
    layers, which all have one shape, a missing half stays and is never read; of unstacked ones it
    is gone too.
    """
    shorter = keep_layers(params, [i for i, pair in enumerate(kept) if any(pair)])
    if not isinstance(shorter["layers"], tuple):
        return shorter
    left = [pair for pair in kept if any(pair)]
    pruned = tuple(
        {name: tree for name, tree in layer.items() if belongs(name, pair)}
        for layer, pair in zip(shorter["layers"], left, strict=True)
    )
    return {**shorter, "layers": pruned}


def belongs(part: str, halves: tuple[bool, bool]) -> bool:
    """Whether a layer with these (attention, MLP) has a part, such as ``mlp_norm``.

    ``norm`` is one that both halves read through.
    """
    half = part.partition("_")[0]
    return any(halves) if half == "norm" else halves[("attention", "mlp").index(half)]


def normalizer_params(params: Mapping[str, Any]) -> Mapping[str, Any]:
    """Stored values of the normalizer's learned parameters by name; none if it learns nothing.

    Args:
        params: stacked or unstacked.

    Returns:
        Each ``[layer]``, or ``[layer, head]`` with ``per=head``, or ``[]`` with ``per=model``.  Of
        unstacked layers, those that have attention count.
    """
    if "normalizer" in params:
        return params["normalizer"]
    layers = params["layers"]
    if not isinstance(layers, tuple):
        return layers.get("attention", {}).get("normalizer", {})
    each = [layer["attention"].get("normalizer", {}) for layer in layers if "attention" in layer]
    return jax.tree.map(lambda *values: jnp.stack(values), *each) if each else {}


def with_normalizer_params(params: Mapping[str, Any], raw: Mapping[str, Any]) -> dict[str, Any]:
    """The same (stacked) parameters with other ones of the normalizer; see ``normalizer_params``.

    Those of ``per=model`` are numbers without axes, and stand beside the layers.
    """
    if all(jnp.ndim(value) == 0 for value in raw.values()):
        return {**params, "normalizer": raw}
    layers = params["layers"]
    attention = {**layers["attention"], "normalizer": raw}
    return {**params, "layers": {**layers, "attention": attention}}
