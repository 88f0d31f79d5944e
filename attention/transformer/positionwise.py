"""What acts on each position alone: norms, tables, projections, and MLPs and experts of them."""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.errors import ScopeParamShapeError
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int, Key

from attention.dot_product import projected, standardized, standardized_by_rule
from attention.meshes import constrain, platform
from attention.transformer.arithmetic import ACTIVATIONS, in_dtype
from attention.transformer.config import TransformerConfig


class Dropout(NamedTuple):
    """Dropout in training: a number becomes 0 with probability p, and otherwise x / (1 − p).

    Attributes:
        key: of the draws.
        rate: p.

    Source: Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks from
    overfitting".
    """

    key: Key[Array, ""]
    rate: float | Float[Array, ""]

    def part(self, number: int) -> Dropout:
        """A part of the model, which draws its own."""
        return self._replace(key=jax.random.fold_in(self.key, number))

    def applied(self, x: Float[Array, "*B D"]) -> Float[Array, "*B D"]:
        """``x`` with some of its numbers set to zero."""
        keep = 1 - self.rate
        return jnp.where(jax.random.bernoulli(self.key, keep, x.shape), x / keep, 0).astype(x.dtype)


def parameter(
    module: nn.Module,
    name: str,
    init: nn.initializers.Initializer,
    shape: tuple[int, ...],
    dtype: DTypeLike,
) -> Array:
    """``module.param``, in a fraction of its time: a parameter that is there is not drawn again.

    Linen traces ``init`` each time, to compare shapes.  Here they are compared as they are.

    Args:
        module: that has the parameter.
        name: of the parameter.
        init: draws it.
        shape: of the parameter.
        dtype: of a parameter that is drawn.

    Raises:
        flax.errors.ScopeParamShapeError: the parameter that is there has another shape.
    """
    if not module.has_variable("params", name):
        return module.param(name, init, shape, dtype)
    value = module.get_variable("params", name)
    if jnp.shape(value) != shape:
        place = "/" + "/".join(module.path)
        raise ScopeParamShapeError(name, place, jnp.shape(value), shape)
    return value


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
        lead, dtype = (1,) * (x.ndim - self.axes), c.parameter_dtype
        start = nn.initializers.zeros if c.norm_less_one else nn.initializers.ones
        scale = in_dtype(c, parameter(self, "scale", start, shape, dtype)).reshape(*lead, *shape)
        wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        rule = standardized_by_rule if c.derivatives == "cpu" else standardized
        wide = jnp.asarray(rule(self.kind == "layernorm", c.norm_eps, wide))
        if c.norm_less_one:
            out = (wide * (1 + scale.astype(wide.dtype))).astype(x.dtype)
        else:
            out = wide.astype(x.dtype) * scale
        if self.kind == "layernorm" and (c.norm_bias if self.bias is None else self.bias):
            bias = in_dtype(c, parameter(self, "bias", nn.initializers.zeros, shape, dtype))
            out += bias.reshape(*lead, *shape)
        return out


class Projection(nn.Module):
    """``einsum(equation, x, kernel) + bias`` with the config's dtype and precision.

    Parameters in 8 bits have a ``scale`` beside the kernel: ``einsum(equation, x, kernel) · scale``
    (see ``quantization``).

    Attributes:
        config: of the model.
        equation: such as ``BTD,DNH->BTNH``; the letters are those of the shapes.
        shape: of the kernel.
        bias_shape: the last axes of the result; None: there is no bias.
        role: what the config's ``initializer`` looks at.
    """

    config: TransformerConfig
    equation: str
    shape: tuple[int, ...]
    bias_shape: tuple[int, ...] | None = None
    role: Literal["inner", "residual", "vectors"] = "inner"

    @nn.compact
    def __call__(self, x: Array) -> Array:
        dtype = self.config.parameter_dtype
        init, bias_init = self._initializers()
        kernel = in_dtype(self.config, parameter(self, "kernel", init, self.shape, dtype))
        if self.has_variable("params", "scale"):
            out = self._dequantized(x, kernel)
        elif self.config.derivatives == "cpu":
            out = projected(self.equation, self.config.precision, x, kernel)
        else:
            out = self._product(x, kernel)
        if self.bias_shape is not None:
            bias = in_dtype(self.config, parameter(self, "bias", bias_init, self.bias_shape, dtype))
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

    def _product(self, x: Array, kernel: Array) -> Array:
        """On a CPU, products of bfloat16 are fast where their sums are float32."""
        dtype = jnp.result_type(x, kernel)
        wide = jnp.float32 if dtype == jnp.bfloat16 and platform() == "cpu" else None
        how: Any = {"precision": self.config.precision, "preferred_element_type": wide}
        return jnp.einsum(self.equation, x, kernel, **how).astype(dtype)

    def _initializers(self) -> tuple[nn.initializers.Initializer, nn.initializers.Initializer]:
        c, deviation = self.config, self.config.initializer_range
        if c.initializer == "gpt2" and self.role == "vectors":
            bound = self.shape[0] ** -0.5

            def uniform(
                key: Array, shape: tuple[int, ...], dtype: DTypeLike = jnp.float32
            ) -> Array:
                return jax.random.uniform(key, shape, dtype, -bound, bound)

            return uniform, uniform
        if c.initializer == "gpt2" and self.role == "residual":
            deviation /= math.sqrt(2 * c.num_hidden_layers)
        return nn.initializers.normal(deviation), nn.initializers.zeros


class Embedding(nn.Module):
    """A table ``[rows, D]``."""

    config: TransformerConfig
    rows: int

    def setup(self) -> None:
        c = self.config
        self.embedding = parameter(
            self,
            "embedding",
            nn.initializers.normal(c.initializer_range),
            (self.rows, c.embedding_width),
            c.parameter_dtype,
        )

    def __call__(self, indices: Int[Array, "B T"]) -> Float[Array, "B T D"]:
        rows_BTD = jnp.take(self.embedding, indices, axis=0)  # out of range: NaN, not a wrong row
        return in_dtype(self.config, rows_BTD)


class MLP(nn.Module):
    """``down(act(up(x)))``, or gated: ``down(act(gate(x)) · up(x))``.

    Source of the gate: GLU variants, Shazeer 2020, arXiv 2002.05202.
    """

    config: TransformerConfig

    @nn.compact
    def __call__(self, x_BTD: Float[Array, "B T D"]) -> Float[Array, "B T D"]:
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
        hidden_BTF = constrain(hidden_BTF, "batch", "places", "mlp")
        outer_bias = (c.hidden_size,) if c.mlp_bias else None
        down = Projection(c, "BTF,FD->BTD", outer, outer_bias, role="residual", name="down")
        return down(hidden_BTF)


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
        hidden_BTEF = constrain(hidden_BTEF, "batch", "places", "experts", "mlp")
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
