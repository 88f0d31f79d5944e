"""How large a model is, by its config alone."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

from attention.transformer.config import TransformerConfig
from attention.transformer.model import abstract_params
from attention.transformer.stacking import belongs


def parameter_counts(config: TransformerConfig) -> dict[str, int]:
    """Number of parameters of each part: ``embed``, …, ``layers/attention``, ``layers/mlp``, ….

    Parts of layers are summed over the layers that have them.
    """
    params = abstract_params(config)
    parts = {name: tree for name, tree in params.items() if name != "layers"}
    parts |= {f"layers/{name}": tree for name, tree in params["layers"].items()}
    counts = {
        name: sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))
        for name, tree in parts.items()
    }
    for name in params["layers"]:  # stacked, even where a layer lacks it
        having = sum(belongs(name, has) for has in config.halves)
        counts[f"layers/{name}"] = counts[f"layers/{name}"] * having // config.num_hidden_layers
    return counts


def parameter_bytes(config: TransformerConfig) -> int:
    """Bytes of all parameters, in the config's dtype."""
    return sum(parameter_counts(config).values()) * jnp.dtype(config.dtype).itemsize
