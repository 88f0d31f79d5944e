"""A mixture of experts: many MLPs in a layer, of which each token uses a few."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from attention.transformer.activations import ACTIVATIONS
from attention.transformer.config import TransformerConfig
from attention.transformer.positionwise import Projection


class Experts(nn.Module):
    """``sum_e p_e(x) · down_e(act(gate_e(x)) · up_e(x))`` over the experts that a token uses.

    ``p = softmax(router(x))`` in float32, of which a token keeps the ``num_experts_per_tok``
    largest; with ``norm_topk_prob`` these are divided by their sum.  Every expert is computed for
    every token and weighted by zero where it is not used: one program whatever is chosen, at the
    price of ``num_experts / num_experts_per_tok`` times the products.

    Sources: Shazeer et al. 2017, arXiv 1701.06538; Qwen3, arXiv 2505.09388.
    """

    config: TransformerConfig

    @nn.compact
    def __call__(self, x_BTD: Float[Array, "B T D"]) -> Float[Array, "B T D"]:
        c = self.config
        experts, hidden, inner = c.num_experts or 1, c.hidden_size, c.intermediate_size
        into = "BTD,EDF->BTEF", (experts, hidden, inner)
        scores_BTE = Projection(c, "BTD,DE->BTE", (hidden, experts), name="router")(x_BTD)
        weights_BTE = self._weights(scores_BTE)
        gate_BTEF = Projection(c, *into, name="expert_gate")(x_BTD)
        up_BTEF = Projection(c, *into, name="expert_up")(x_BTD)
        hidden_BTEF = ACTIVATIONS[c.hidden_act](gate_BTEF) * up_BTEF
        hidden_BTEF *= weights_BTE[..., None].astype(x_BTD.dtype)
        back = "BTEF,EFD->BTD", (experts, inner, hidden)
        return Projection(c, *back, role="residual", name="expert_down")(hidden_BTEF)

    def _weights(self, scores_BTE: Float[Array, "B T E"]) -> Float[Array, "B T E"]:
        """How much of each expert a token gets: zero for most."""
        c = self.config
        wide = scores_BTE.astype(jnp.promote_types(scores_BTE.dtype, jnp.float32))
        most, chosen = jax.lax.top_k(jax.nn.softmax(wide, axis=-1), c.num_experts_per_tok)
        if c.norm_topk_prob:
            most /= jnp.sum(most, axis=-1, keepdims=True)
        one_hot = jax.nn.one_hot(chosen, wide.shape[-1], dtype=most.dtype)
        return jnp.sum(most[..., None] * one_hot, axis=-2)
