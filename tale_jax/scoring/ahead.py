"""The step of a search, to be compiled for machines that are not here."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from attention.compilation import Step
from attention.likelihood import score_targets
from attention.meshes import Placement, using
from attention.training import batch_sharding, param_shardings, transformer_axes
from attention.transformer import Transformer, TransformerConfig, abstract_params


def search_step(
    config: TransformerConfig,
    placement: Placement,
    rows: int,
    length: int,
    *,
    targets: int = 1,
    dtype: Literal["float32", "bfloat16"] = "bfloat16",
) -> Step:
    """Score one batch by the whole model: the most expensive candidate of a search.

    Args:
        config: of a causal language model.
        placement: the devices of a target, and the rules.
        rows: of the batch.
        length: tokens of a row.
        targets: tokens of a row whose probability is asked.
        dtype: of parameters and products.
    """
    config = dataclasses.replace(config, dtype=dtype, param_dtype=None, remat="none")
    params = abstract_params(config)
    homes = param_shardings(params, transformer_axes(params), *placement)
    home = batch_sharding(*placement)

    def score(params: PyTree, tokens_BT: jax.Array, targets_BP: jax.Array) -> Any:
        with using(placement):
            last = length - targets
            places_BP = jnp.broadcast_to(last + jnp.arange(targets)[None], targets_BP.shape)
            how: Any = {"logits": False, "read_at": places_BP}
            states: Any = Transformer(config).apply({"params": params}, tokens_BT, **how)
            reads_BP = jnp.broadcast_to(jnp.arange(targets)[None], targets_BP.shape)
            return score_targets(config, params, states, targets_BP, reads_BP)

    place = lambda a, s: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=s)  # noqa: E731
    arrays = [jax.ShapeDtypeStruct((rows, n), jnp.int32, sharding=home) for n in (length, targets)]
    counted = sum(leaf.size for leaf in jax.tree.leaves(params["layers"]))
    heads = config.num_attention_heads * config.head_size
    attention = 2.0 * config.num_hidden_layers * rows * length**2 * heads
    useful = 2.0 * counted * rows * length + attention
    layout = {"batch": rows, "length": length, "dtype": dtype}
    return Step(
        "search", jax.jit(score), (jax.tree.map(place, params, homes), *arrays), layout, useful
    )
