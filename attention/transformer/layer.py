"""One transformer layer: attention and an MLP, and how they are joined to the states."""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from attention.meshes import constrain
from attention.transformer.config import TransformerConfig
from attention.transformer.positionwise import MLP, Dropout, Experts, Norm
from attention.transformer.self_attention import (
    Attention,
    Captured,
    Context,
    KeyValues,
    Places,
    at,
)


class Layer(nn.Module):
    """One layer, in two halves that a search can drop apart.

    A half f, attention or MLP, turns states x into, by ``norm_placement``,

        pre        x + f(norm(x))
        post       norm(x + f(x))
        output     x + norm(f(x))
        sandwich   x + output_norm(f(norm(x)))

    and the MLP follows attention.  With ``parallel_residual`` both read the x that enters the
    layer, ``x + attention(norm(x)) + mlp(norm'(x))``, through two norms or one.  What is added is
    first multiplied by ``residual_multiplier``.

    Sources: pre and post, Xiong et al. 2020, arXiv 2002.04745; output, OLMo 2, arXiv 2501.00656;
    sandwich, Gemma 2, arXiv 2408.00118; parallel, GPT-J and PaLM, arXiv 2204.02311.
    """

    config: TransformerConfig

    def setup(self) -> None:
        c = self.config
        shared = c.parallel_residual == "shared_norm"
        if shared:
            self.norm = Norm(c, c.norm)
        if c.attention:
            if not shared:
                self.attention_norm = Norm(c, c.norm)
            if c.norm_placement == "sandwich":
                self.attention_output_norm = Norm(c, c.norm)
            self.attention = Attention(c)
        if c.mlp:
            if not shared:
                self.mlp_norm = Norm(c, c.norm)
            if c.norm_placement == "sandwich":
                self.mlp_output_norm = Norm(c, c.norm)
            self.mlp = MLP(c) if c.num_experts is None else Experts(c)

    def _norm(self, half: str) -> Norm:
        shared = self.config.parallel_residual == "shared_norm"
        return self.norm if shared else getattr(self, f"{half}_norm")

    def _read(self, half: str, x: Array) -> Array:
        """What a half computes from."""
        return self._norm(half)(x) if self.config.norm_placement in ("pre", "sandwich") else x

    def _join(self, half: str, x: Array, update: Array, dropout: Dropout | None) -> Array:
        """States with what a half has computed."""
        c = self.config
        if c.norm_placement == "output":
            update = self._norm(half)(update)
        elif c.norm_placement == "sandwich":
            update = getattr(self, f"{half}_output_norm")(update)
        if c.residual_multiplier is not None:
            update *= jnp.asarray(c.residual_multiplier, update.dtype)
        if dropout is not None:
            update = dropout.part(int(half == "mlp")).applied(update)
        joined = x + update if c.residual else update
        joined = self._norm(half)(joined) if c.norm_placement == "post" else joined
        return constrain(joined, "batch", "length", "state")

    def attention_half(
        self,
        x_BTD: Array,
        context: Context,
        *,
        normed: bool | Bool[Array, ""] = True,
        **arguments,
    ) -> tuple[Array, KeyValues | None, Captured | None]:
        """States behind attention, its keys and values, and what it can show.

        With ``read_at``, the states are those at these places alone; keys are those of all.  Unless
        ``normed``, attention reads the states as they are.
        """
        read_at = arguments.get("read_at")
        if not self.config.attention:
            return at(x_BTD, read_at), None, None
        read_BTD = self._read("attention", x_BTD)
        if normed is not True:
            read_BTD = jnp.where(normed, read_BTD, x_BTD)
        update, own, captured = self.attention(read_BTD, context, **arguments)
        joined = self._join("attention", at(x_BTD, read_at), update, context.dropout)
        return joined, own, captured

    def mlp_half(
        self,
        x_BTD: Float[Array, "B T D"],
        entered_BTD: Float[Array, "B T D"] | None = None,
        dropout: Dropout | None = None,
    ) -> Float[Array, "B T D"]:
        """States behind the MLP.

        Args:
            x_BTD: states behind attention.
            entered_BTD: states that entered the layer, which the MLP of a parallel residual reads;
                None: x.
            dropout: of the layer.
        """
        if not self.config.mlp:
            return x_BTD
        read_BTD = x_BTD if entered_BTD is None else entered_BTD
        return self._join("mlp", x_BTD, self.mlp(self._read("mlp", read_BTD)), dropout)

    def __call__(
        self, x_BTD: Array, context: Context, **arguments
    ) -> tuple[Array, KeyValues | None, Captured | None]:
        """Both halves; ``arguments`` are those of ``Attention``."""
        entered = entered_states(self.config, x_BTD, arguments.get("read_at"))
        x_BTD, own, captured = self.attention_half(x_BTD, context, **arguments)
        return self.mlp_half(x_BTD, *entered, dropout=context.dropout), own, captured


def entered_states(
    config: TransformerConfig, x_BTD: Float[Array, "B T D"], read_at: Places | None = None
) -> tuple[Float[Array, "B P D"], ...]:
    """What ``mlp_half`` needs of the states that enter a layer: nothing without parallel halves."""
    return () if config.parallel_residual is None else (at(x_BTD, read_at),)
