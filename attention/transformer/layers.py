"""One transformer layer: normalisation, attention, MLP, and the positions they see."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

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

    def at(self, read_BP: Int[Array, "B P"]) -> Context:
        """The same with the queries at these places alone."""
        turns = self.rotation
        if turns is not None:
            turns = tuple(jnp.take_along_axis(t, read_BP[:, :, None, None], 1) for t in turns)
        batch = read_BP.shape[0]
        mask_BTS = jnp.broadcast_to(self.mask_BTS, (batch, *self.mask_BTS.shape[1:]))
        return self._replace(
            mask_BTS=jnp.take_along_axis(mask_BTS, read_BP[:, :, None], 1),
            positions_BT=jnp.take_along_axis(self.positions_BT, read_BP, 1),
            rotation=turns,
        )


class KeyValues(NamedTuple):
    """Keys (rotated) and values of one layer, or stacked ``[layer, …]``."""

    key_BSKH: Float[Array, "*L B S K H"]
    value_BSKH: Float[Array, "*L B S K H"]


class Captured(NamedTuple):
    """What an unrolled layer can show of its attention."""

    attention_weights: Float[Array, "B N T S"] | None  # only the reference has them
    values: Float[Array, "B K S H"]


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

    @nn.compact
    def __call__(self, x: Array) -> Array:
        dtype = jnp.dtype(self.config.dtype)
        init = nn.initializers.normal(self.config.initializer_range)
        kernel = self.param("kernel", init, self.shape, dtype)
        out = jnp.einsum(self.equation, x, kernel, precision=self.config.precision)
        if self.bias_shape is not None:
            bias = self.param("bias", nn.initializers.zeros, self.bias_shape, dtype)
            out += bias.reshape((1,) * (out.ndim - bias.ndim) + bias.shape)
        return out


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
        read_at: Int[Array, "B P"] | None = None,
        tap: Callable[[Array, Array, Array], Array] | None = None,
    ) -> tuple[Array, KeyValues | None, Captured]:
        """Attention of all places, or of the queries ``read_at`` alone.

        ``prefix`` holds keys and values ``[1, P, K, H]`` that stand before those of every row.
        """
        c = self.config
        turns, asking_BTD = context.rotation, x_BTD
        if read_at is not None:
            asking_BTD = jnp.take_along_axis(x_BTD, read_at[:, :, None], 1)
            context = context.at(read_at)
        query, key, value = self.query(asking_BTD), self.key(x_BTD), self.value(x_BTD)
        if c.qk_norm:
            query, key = self.query_norm(query), self.key_norm(key)
        if turns is not None and context.rotation is not None:
            query, key = rotate(query, context.rotation), rotate(key, turns)
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
        mask_BTS = context.mask_BTS
        if window is not None:
            distance = context.positions_BT[:, :, None] - context.positions_BS[:, None, :]
            mask_BTS &= jnp.abs(distance) < window
        how: Any = {
            "normalizer": c.normalizer,
            "params": normalizer(c.normalizer).constrain(context.normalizer or self.learned),
            "positions": (context.positions_BT, context.positions_BS),
            "precision": c.precision,
        }
        if c.attention_implementation != "xla":
            how |= {"implementation": c.attention_implementation}
            seen = _visible(c, context, mask_BTS, window)
            out = dot_product_attention(query, key, value, **how, **seen)
            return self.out(out), cache, Captured(None, value.swapaxes(1, 2))
        weights_BNTS = attention_weights(query, key, mask=mask_BTS, **how)
        if tap is not None:
            weights_BNTS = tap(weights_BNTS, value.swapaxes(1, 2), mask_BTS)
        out = self.out(weighted_values(weights_BNTS, value, precision=c.precision))
        return out, cache, Captured(weights_BNTS, value.swapaxes(1, 2))


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
        return Projection(c, "BTF,FD->BTD", outer, outer_bias, name="down")(hidden_BTF)


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
        """``x + attention(norm(x))``, or post-norm ``norm(x + attention(x))``."""
        if not self.config.attention:
            if (read_at := arguments.get("read_at")) is not None:
                x_BTD = jnp.take_along_axis(x_BTD, read_at[:, :, None], 1)
            return x_BTD, arguments.get("cache"), None
        pre = self.config.norm_placement == "pre"
        update, cache, captured = self.attention(
            self.attention_norm(x_BTD) if pre else x_BTD, context, **arguments
        )
        if (read_at := arguments.get("read_at")) is not None:
            x_BTD = jnp.take_along_axis(x_BTD, read_at[:, :, None], 1)
        joined = self._join(x_BTD, update)
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
