"""What acts on each position alone: norms, projections, and the MLP made of them."""

from __future__ import annotations

import math
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from attention.dot_product import projected, standardized, standardized_by_rule
from attention.transformer.activations import ACTIVATIONS
from attention.transformer.config import TransformerConfig


class Norm(nn.Module):
    """``rmsnorm``: ``x / sqrt(mean(x²) + eps) · scale``; ``layernorm``: centred, with a bias.

    The mean is over the last axis, in float32 at least.  With ``norm_less_one`` the stored scale is
    less one, and is multiplied by before the result is rounded to the dtype of x; otherwise after.

    Attributes:
        config: of the model.
        kind: ``rmsnorm``, ``layernorm`` or ``none``, which gives x itself.
        bias: whether a layernorm has a bias; None: as the config says.
        axes: last axes that the scale has.

    Sources: RMSNorm, Zhang and Sennrich 2019, arXiv 1910.07467; LayerNorm, Ba, Kiros and Hinton
    2016, arXiv 1607.06450.
    """

    config: TransformerConfig
    kind: str
    bias: bool | None = None
    axes: int = 1

    @nn.compact
    def __call__(self, x: Float[Array, "*B D"]) -> Float[Array, "*B D"]:
        if self.kind == "none":
            return x
        c, shape = self.config, x.shape[-self.axes :]
        lead, dtype = (1,) * (x.ndim - self.axes), jnp.dtype(c.dtype)
        start = nn.initializers.zeros if c.norm_less_one else nn.initializers.ones
        scale = self.param("scale", start, shape, dtype).reshape(*lead, *shape)
        wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        rule = standardized_by_rule if c.derivatives == "cpu" else standardized
        wide: Any = rule(self.kind == "layernorm", c.norm_eps, wide)
        if c.norm_less_one:
            out = (wide * (1 + scale.astype(wide.dtype))).astype(x.dtype)
        else:
            out = wide.astype(x.dtype) * scale
        if self.kind == "layernorm" and (c.norm_bias if self.bias is None else self.bias):
            bias = self.param("bias", nn.initializers.zeros, shape, dtype)
            out += bias.reshape(*lead, *shape)
        return out


class Projection(nn.Module):
    """``einsum(equation, x, kernel) + bias`` with the config's dtype and precision.

    Parameters in 8 bits have a ``scale`` beside the kernel: ``einsum(equation, x, kernel) · scale``
    (see ``quantization``).
    """

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
        if self.has_variable("params", "scale"):
            out = self._dequantized(x, kernel)
        elif self.config.derivatives == "cpu":
            out = projected(self.equation, self.config.precision, x, kernel)
        else:
            out = jnp.einsum(self.equation, x, kernel, precision=self.config.precision)
        if self.bias_shape is not None:
            bias = self.param("bias", bias_init, self.bias_shape, dtype)
            out += bias.reshape((1,) * (out.ndim - bias.ndim) + bias.shape)
        return out

    def _dequantized(self, x: Array, kernel: Array) -> Array:
        """The product with a kernel of whole numbers, in the type of ``x``."""
        out = jnp.einsum(
            self.equation,
            x,
            kernel.astype(x.dtype),
            precision=self.config.precision,
            preferred_element_type=jnp.promote_types(x.dtype, jnp.float32),
        )
        scale = self.get_variable("params", "scale")
        return (out * scale.reshape((1,) * (out.ndim - scale.ndim) + scale.shape)).astype(x.dtype)

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
