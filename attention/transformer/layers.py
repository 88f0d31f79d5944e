"""One transformer layer: normalisation, attention, MLP, and the positions they see."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from attention.dot_product import attention_weights, dot_product_attention, weighted_values
from attention.normalizers import normalizer
from attention.transformer.config import RopeScaling, TransformerConfig

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "silu": jax.nn.silu,
    "gelu": lambda x: jax.nn.gelu(x, approximate=False),
    "gelu_new": lambda x: jax.nn.gelu(x, approximate=True),
    "gelu_pytorch_tanh": lambda x: jax.nn.gelu(x, approximate=True),
    "relu": jax.nn.relu,
    "relu2": lambda x: jnp.square(jax.nn.relu(x)),
    "tanh": jnp.tanh,
}

# tap(layer, weights_BNTS, values_BKSH, mask_BTS) -> weights_BNTS
Tap = Callable[[int, Array, Array, Array], Array]


class Context(NamedTuple):
    """What all layers of one call share; slots are places in the sequence or cache."""

    mask_BTS: Bool[Array, "#B T S"]  # real keys, none later than the query if causal
    positions_BT: Int[Array, "B T"]  # of the queries, counting real tokens
    positions_BS: Int[Array, "B S"]  # of the keys
    rotation: tuple[Float[Array, "B T 1 h"], Float[Array, "B T 1 h"]] | None  # cos, sin
    slot: Int[Array, ""] | None = None  # where this call's keys go in the cache
    normalizer: Mapping[str, Array] | None = None  # learned parameters that all layers share
    where_BS: Bool[Array, "B S"] | None = None  # real keys, if some are not


Places = Int[Array, "B P"] | slice  # of T, in each sequence or in all


def at(x: Array, places: Places | None) -> Array:
    """``x[B, T, …]`` at some places of T alone; None means all."""
    if places is None:
        return x
    if isinstance(places, slice):
        return x[:, places]
    x = jnp.broadcast_to(x, (places.shape[0], *x.shape[1:]))  # what all rows share has one
    return jnp.take_along_axis(x, places.reshape(*places.shape, *(1,) * (x.ndim - 2)), axis=1)


class KeyValues(NamedTuple):
    """Keys (rotated) and values of one layer, or stacked ``[layer, …]``."""

    key_BSKH: Float[Array, "*L B S K H"]
    value_BSKH: Float[Array, "*L B S K H"]


class Captured(NamedTuple):
    """What an unrolled layer can show of its attention."""

    attention_weights: Float[Array, "B N T S"] | None  # only the reference has them
    values: Float[Array, "B K S H"]
    queries: Float[Array, "B T N H"]  # rotated, as are keys
    keys: Float[Array, "B S K H"]


def rope_frequencies(
    head_dim: int, theta: float, scaling: RopeScaling | None
) -> Float[Array, " h"]:
    """Angular frequencies ``theta^(-2i/H)`` of the ``H/2`` rotated pairs, scaled if asked."""
    frequencies = theta ** (-np.arange(0, head_dim, 2, dtype=np.float64) / head_dim)
    if scaling is None:
        pass
    elif scaling.rope_type == "linear":
        frequencies /= scaling.factor
    else:  # llama3: what share of the original context one wavelength covers decides
        turns = scaling.original_max_position_embeddings * frequencies / (2 * np.pi)
        span = scaling.high_freq_factor - scaling.low_freq_factor
        smooth = np.clip((turns - scaling.low_freq_factor) / span, 0, 1)
        frequencies *= (1 - smooth) / scaling.factor + smooth
    return jnp.asarray(frequencies, jnp.float32)


def rotation(config: TransformerConfig, positions_BT: Int[Array, "B T"]) -> tuple[Array, Array]:
    """Cosine and sine of ``position · frequency``, float32, one head axis of size 1."""
    frequencies = rope_frequencies(config.head_size, config.rope_theta, config.rope_scaling)
    angles_BT1h = positions_BT[..., None, None].astype(jnp.float32) * frequencies[None, None, None]
    return jnp.cos(angles_BT1h), jnp.sin(angles_BT1h)


def rotate(x: Float[Array, "B T N H"], cos_sin: tuple[Array, Array]) -> Float[Array, "B T N H"]:
    """Rotary positions: pairs ``(i, i + H/2)`` turned by their angle, in float32."""
    cos, sin = cos_sin
    first, second = jnp.split(x.astype(cos.dtype), 2, axis=-1)
    turned = jnp.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)
    return turned.astype(x.dtype)


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
        if self.kind == "layernorm":
            wide -= jnp.mean(wide, axis=-1, keepdims=True)
        wide *= jax.lax.rsqrt(
            jnp.mean(jnp.square(wide), axis=-1, keepdims=True) + self.config.norm_eps
        )
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


class Attention(nn.Module):
    """Grouped-query attention with the config's positions, window and normalizer."""

    config: TransformerConfig

    def setup(self) -> None:
        c = self.config
        into = "BTD,DNH->BTNH"
        for name, heads in (
            ("query", c.num_attention_heads),
            ("key", c.key_value_heads),
            ("value", c.key_value_heads),
        ):
            bias = (heads, c.head_size) if c.attention_bias else None
            shape = (c.hidden_size, heads, c.head_size)
            setattr(self, name, Projection(c, into, shape, bias))
        self.out = Projection(
            c,
            "BTNH,NHD->BTD",
            (c.num_attention_heads, c.head_size, c.hidden_size),
            (c.hidden_size,) if c.attention_out_bias else None,
            role="residual",
        )
        if c.qk_norm:
            self.query_norm = Norm(c, "rmsnorm")
            self.key_norm = Norm(c, "rmsnorm")
        row = normalizer(c.normalizer)
        self.learned = {}
        if row.learns and row.per != "model":
            self.learned = self.param("normalizer", lambda _: row.init(c.num_attention_heads))

    def __call__(
        self,
        x_BTD: Array,
        context: Context,
        *,
        window: int | Array | None = None,
        cache: KeyValues | None = None,
        prefix: KeyValues | None = None,
        tap: Callable[[Array, Array, Array], Array] | None = None,
        read_at: Places | None = None,
    ) -> tuple[Array, KeyValues | None, Captured]:
        """Attention of all places, or of the queries ``read_at`` alone.

        ``prefix`` holds keys and values ``[1, P, K, H]`` that stand before those of every row.
        """
        c = self.config
        query, key, value = self.query(at(x_BTD, read_at)), self.key(x_BTD), self.value(x_BTD)
        if c.qk_norm:
            query, key = self.query_norm(query), self.key_norm(key)
        if context.rotation is not None:
            turns = (at(context.rotation[0], read_at), at(context.rotation[1], read_at))
            query, key = rotate(query, turns), rotate(key, context.rotation)
        if prefix is not None:
            batch = x_BTD.shape[0]
            key, value = (
                jnp.concatenate([jnp.broadcast_to(shared, (batch, *shared.shape[1:])), own], 1)
                for shared, own in zip(prefix, (key, value), strict=True)
            )
        if cache is not None:
            assert context.slot is not None  # a cache comes with its context
            key = jax.lax.dynamic_update_slice_in_dim(cache.key_BSKH, key, context.slot, 1)
            value = jax.lax.dynamic_update_slice_in_dim(cache.value_BSKH, value, context.slot, 1)
            cache = KeyValues(key, value)
        mask_BTS, positions_BT = at(context.mask_BTS, read_at), at(context.positions_BT, read_at)
        if window is not None:
            distance = positions_BT[:, :, None] - context.positions_BS[:, None, :]
            mask_BTS &= jnp.abs(distance) < window
        how: Any = {
            "normalizer": c.normalizer,
            "params": normalizer(c.normalizer).constrain(context.normalizer or self.learned),
            "positions": (positions_BT, context.positions_BS),
            "precision": c.precision,
        }
        if c.attention_implementation != "xla":
            how |= {"implementation": c.attention_implementation}
            seen: dict[str, Any] = {"mask": mask_BTS}
            if read_at is None and prefix is None:
                seen = _visible(c, context, mask_BTS, window)
            out = dot_product_attention(query, key, value, **how, **seen)
            return self.out(out), cache, Captured(None, value.swapaxes(1, 2), query, key)
        weights_BNTS = attention_weights(query, key, mask=mask_BTS, **how)
        if tap is not None:
            weights_BNTS = tap(weights_BNTS, value.swapaxes(1, 2), mask_BTS)
        out = self.out(weighted_values(weights_BNTS, value, precision=c.precision))
        return out, cache, Captured(weights_BNTS, value.swapaxes(1, 2), query, key)


def _visible(
    config: TransformerConfig, context: Context, mask_BTS: Array, window: int | Array | None
) -> dict[str, Any]:
    """What queries see, without a stored mask where places alone tell."""
    real = context.where_BS
    places = window is None or (isinstance(window, int) and real is None)
    if context.slot is not None or not places:
        return {"mask": mask_BTS}
    segments = None if real is None else (jnp.ones_like(real, int), real.astype(int))
    return {"causal": config.causal, "window": window, "segment_ids": segments}


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


class Layer(nn.Module):
    """One layer, in two halves that a search can drop apart."""

    config: TransformerConfig

    def setup(self) -> None:
        c = self.config
        if c.attention:
            self.attention_norm = Norm(c, c.norm)
            self.attention = Attention(c)
        if c.mlp:
            self.mlp_norm = Norm(c, c.norm)
            self.mlp = MLP(c)

    def _join(self, x: Array, update: Array) -> Array:
        return x + update if self.config.residual else update

    def attention_half(
        self, x_BTD: Array, context: Context, **arguments
    ) -> tuple[Array, KeyValues | None, Captured | None]:
        """``x + attention(norm(x))``, or post-norm ``norm(x + attention(x))``.

        With ``read_at``, the result is that at these places alone; keys are those of all.
        """
        read_at = arguments.get("read_at")
        if not self.config.attention:
            return at(x_BTD, read_at), arguments.get("cache"), None
        pre = self.config.norm_placement == "pre"
        update, cache, captured = self.attention(
            self.attention_norm(x_BTD) if pre else x_BTD, context, **arguments
        )
        joined = self._join(at(x_BTD, read_at), update)
        return joined if pre else self.attention_norm(joined), cache, captured

    def mlp_half(self, x_BTD: Array) -> Array:
        """``x + mlp(norm(x))``, or post-norm ``norm(x + mlp(x))``."""
        if not self.config.mlp:
            return x_BTD
        if self.config.norm_placement == "pre":
            return self._join(x_BTD, self.mlp(self.mlp_norm(x_BTD)))
        return self.mlp_norm(self._join(x_BTD, self.mlp(x_BTD)))

    def __call__(
        self, x_BTD: Array, context: Context, **arguments
    ) -> tuple[Array, KeyValues | None, Captured | None]:
        """Both halves; ``arguments`` are those of ``Attention``."""
        x_BTD, cache, captured = self.attention_half(x_BTD, context, **arguments)
        return self.mlp_half(x_BTD), cache, captured
