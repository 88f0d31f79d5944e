"""What acts on each position alone: norms, projections, and the MLP made of them."""

from __future__ import annotations

import math
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array

from attention.dot_product import projected, standardized, standardized_by_rule
from attention.transformer.activations import ACTIVATIONS
from attention.transformer.config import TransformerConfig


class Norm(nn.Module):
    """``rmsnorm``: ``x / sqrt(mean(x²) + eps) · scale``; ``layernorm``: centred, with a bias."""

    config: TransformerConfig
    kind: str

    @nn.compact
    def __call__(self, x: Array) -> Array:
        if self.kind == "none":
            return x
        size = (x.shape[-1],)
        dtype = jnp.dtype(self.config.dtype)
        scale = self.param("scale", nn.initializers.ones, size, dtype)
        wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        rule = standardized_by_rule if self.config.derivatives == "cpu" else standardized
        wide: Any = rule(self.kind == "layernorm", self.config.norm_eps, wide)
        lead = (1,) * (x.ndim - 1)
        out = wide.astype(x.dtype) * scale.reshape(*lead, -1)
        if self.kind == "layernorm":
            out += self.param("bias", nn.initializers.zeros, size, dtype).reshape(*lead, -1)
        return out


class Projection(nn.Module):
    """``einsum(equation, x, kernel) + bias`` with the config's dtype and precision."""

    config: TransformerConfig
    equation: str
    shape: tuple[int, ...]
    bias_shape: tuple[int, ...] | None = None
    role: Literal["inner", "residual", "vectors"] = "inner"  # what `initializer` looks at

    @nn.compact
    def __call__(self, x: Array) -> Array:
        dtype = jnp.dtype(self.config.dtype)
        init, bias_init = self._initializers()
        kernel = self.param("kernel", init, self.shape, dtype)
        if self.config.derivatives == "cpu":
            out = projected(self.equation, self.config.precision, x, kernel)
        else:
            out = jnp.einsum(self.equation, x, kernel, precision=self.config.precision)
        if self.bias_shape is not None:
            bias = self.param("bias", bias_init, self.bias_shape, dtype)
            out += bias.reshape((1,) * (out.ndim - bias.ndim) + bias.shape)
        return out

    def _initializers(self) -> tuple[nn.initializers.Initializer, nn.initializers.Initializer]:
        c, deviation = self.config, self.config.initializer_range
        if c.initializer == "gpt2" and self.role == "vectors":
            bound = self.shape[0] ** -0.5

            def uniform(key: Array, shape: Any, dtype: Any = jnp.float32) -> Array:
                return jax.random.uniform(key, shape, dtype, -bound, bound)

            return uniform, uniform
        if c.initializer == "gpt2" and self.role == "residual":
            deviation /= math.sqrt(2 * c.num_hidden_layers)
        return nn.initializers.normal(deviation), nn.initializers.zeros


class MLP(nn.Module):
    """``down(act(up(x)))``, or gated: ``down(act(gate(x)) · up(x))``."""

    config: TransformerConfig

    @nn.compact
    def __call__(self, x_BTD: Array) -> Array:
        c = self.config
        act = ACTIVATIONS[c.hidden_act]
        inner, outer = (c.hidden_size, c.intermediate_size), (c.intermediate_size, c.hidden_size)
        inner_bias = (c.intermediate_size,) if c.mlp_bias else None
        hidden_BTF = Projection(c, "BTD,DF->BTF", inner, inner_bias, name="up")(x_BTD)
        if c.gated_mlp:
            gate_BTF = Projection(c, "BTD,DF->BTF", inner, inner_bias, name="gate")(x_BTD)
            hidden_BTF *= act(gate_BTF)
        else:
            hidden_BTF = act(hidden_BTF)
        outer_bias = (c.hidden_size,) if c.mlp_bias else None
        down = Projection(c, "BTF,FD->BTD", outer, outer_bias, role="residual", name="down")
        return down(hidden_BTF)
