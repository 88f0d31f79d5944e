"""The loss that pretraining minimizes, over the parts of a batch."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from attention.likelihood import summed_loss
from attention.transformer import Dropout, Transformer, TransformerConfig

Sums = tuple[Float[Array, ""], Float[Array, ""], Float[Array, ""]]


def batch_loss(
    config: TransformerConfig,
    params: Mapping[str, PyTree],
    batch: PyTree,
    z_loss: float,
    dropout: Dropout | None = None,
) -> Sums:
    """Add up the loss of all places that are asked.

    Parameters may be float32 where the config computes in bfloat16: they are rounded here, and
    their gradient is float32.

    Args:
        config: of the model.
        params: of the model.
        batch: its parts, as ``OBJECTIVES`` make them.
        z_loss: see ``summed_loss``.
        dropout: in training.

    Returns:
        What is minimized, the weight of all places, and the sum of ``−w log p``.
    """
    zero = jnp.zeros((), jnp.float32)
    objective, weight, loss = zero, zero, zero
    params = rounded(params, config.dtype)
    for number, (kind, part) in enumerate(batch.items()):
        own = dataclasses.replace(config, causal=kind == "causal")
        places = part.get("places")
        states: Any = Transformer(own).apply(
            {"params": params},
            part["tokens"],
            segment_ids=part.get("segments"),
            read_at=places,
            logits=False,
            dropout=None if dropout is None else dropout.part(number),
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
    config: TransformerConfig, z_loss: float, seeds: range, dropout: float = 0.0
) -> Callable[[PyTree, PyTree, Any], tuple[Array, Array, dict[str, Array]]]:
    """The loss ``(params, batch, key) → (total, weight, sums)`` that ``fit`` minimizes.

    The loss that is logged has no z-loss in it.  Several seeds are trained side by side: their
    losses are added up, so that each gets its own gradient.

    Args:
        config: of the model.
        z_loss: see ``summed_loss``.
        seeds: of the models that are trained side by side.
        dropout: share of the numbers that become 0 in training; all else random is in the batch.
    """

    def shown(objective: Array, loss: Array) -> Array:
        return objective + jax.lax.stop_gradient(loss - objective)

    def loss(params: PyTree, batch: PyTree, key: Any) -> tuple[Array, Array, dict[str, Array]]:
        drops = Dropout(key, dropout) if dropout else None
        if len(seeds) == 1:
            objective, weight, total = batch_loss(config, params, batch, z_loss, drops)
            return shown(objective, total), weight, {}

        def of_seed(params: PyTree, batch: PyTree, seed: Array) -> Sums:
            own = None if drops is None else drops._replace(key=jax.random.fold_in(key, seed))
            return batch_loss(config, params, batch, z_loss, own)

        each = jax.vmap(of_seed, (0, 1, 0))
        objectives_K, weights_K, totals_K = each(params, batch, jnp.arange(len(seeds)))
        weight = jnp.mean(weights_K)
        scale_K = weight / jnp.maximum(weights_K, 1)
        objective = jnp.sum(scale_K * objectives_K)
        found = {f"loss_{seed}": scale_K[i] * totals_K[i] for i, seed in enumerate(seeds)}
        return shown(objective, jnp.mean(scale_K * totals_K)), weight, found

    return loss
