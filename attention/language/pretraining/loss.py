"""The loss that pretraining minimizes, over the parts of a batch."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from attention.likelihood import summed_loss
from attention.transformer import Transformer, TransformerConfig

Sums = tuple[Float[Array, ""], Float[Array, ""], Float[Array, ""]]


def batch_loss(
    config: TransformerConfig, params: Mapping[str, PyTree], batch: PyTree, z_loss: float
) -> Sums:
    """Add up the loss of all places that are asked.

    Parameters may be float32 where the config computes in bfloat16: they are rounded here, and
    their gradient is float32.

    Args:
        config: of the model.
        params: of the model.
        batch: its parts, as ``OBJECTIVES`` make them.
        z_loss: see ``summed_loss``.

    Returns:
        What is minimized, the weight of all places, and the sum of ``−w log p``.
    """
    zero = jnp.zeros((), jnp.float32)
    objective, weight, loss = zero, zero, zero
    params = rounded(params, config.dtype)
    for kind, part in batch.items():
        own = dataclasses.replace(config, causal=kind == "causal")
        places = part.get("places")
        states: Any = Transformer(own).apply(
            {"params": params},
            part["tokens"],
            segment_ids=part.get("segments"),
            read_at=places,
            logits=False,
        )
        found = summed_loss(own, params, states, part["targets"], part["weights"], z_loss=z_loss)
        objective, loss = objective + found.objective, loss + found.loss
        weight += jnp.sum(part["weights"])
    return objective, weight, loss


def rounded(params: PyTree, dtype: str) -> PyTree:
    """Parameters in the type that products are computed in; those of normalizers stay float32."""

    def one(path: Any, leaf: Array) -> Array:
        names = [str(getattr(entry, "key", "")) for entry in path]
        return leaf if "normalizer" in names else leaf.astype(dtype)

    return params if dtype == "float32" else jax.tree.map_with_path(one, params)


def loss_of(
    config: TransformerConfig, z_loss: float, seeds: range
) -> Callable[[PyTree, PyTree, Any], tuple[Array, Array, dict[str, Array]]]:
    """The loss ``(params, batch, key) → (total, weight, sums)`` that ``fit`` minimizes.

    The loss that is logged has no z-loss in it.  Several seeds are trained side by side: their
    losses are added up, so that each gets its own gradient.
    """

    def shown(objective: Array, loss: Array) -> Array:
        return objective + jax.lax.stop_gradient(loss - objective)

    def loss(params: PyTree, batch: PyTree, key: Any) -> tuple[Array, Array, dict[str, Array]]:
        del key  # all that is random is in the batch
        if len(seeds) == 1:
            objective, weight, total = batch_loss(config, params, batch, z_loss)
            return shown(objective, total), weight, {}
        each = jax.vmap(lambda p, b: batch_loss(config, p, b, z_loss), (0, 1))
        objectives_K, weights_K, totals_K = each(params, batch)
        weight = jnp.mean(weights_K)
        scale_K = weight / jnp.maximum(weights_K, 1)
        objective = jnp.sum(scale_K * objectives_K)
        found = {f"loss_{seed}": scale_K[i] * totals_K[i] for i, seed in enumerate(seeds)}
        return shown(objective, jnp.mean(scale_K * totals_K)), weight, found

    return loss
