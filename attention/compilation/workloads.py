"""Steps to compile: a training step, a step of decoding, and attention alone."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import PyTree

from attention.compilation.compiling import Step
from attention.compilation.flops import model_flops
from attention.compilation.targets import Target
from attention.dot_product import dot_product_attention
from attention.likelihood import summed_loss
from attention.meshes import Placement, sharding_of, using
from attention.training import batch_sharding as rows_of
from attention.training import make_step, param_shardings, state_shardings, transformer_axes
from attention.transformer import Transformer, TransformerConfig, abstract_params, init_cache

ROWS = 128  # of a kernel, on each device at least, for sums of gradients to be scattered
FULL = 0.4  # share of the memory that parameters, moments and gradients may take


def training_mesh(config: TransformerConfig, target: Target) -> str:
    """The devices along each axis for training on a target, as ``--mesh`` has them.

    Parameters are divided over as many chips as leave each ``ROWS`` rows of a kernel, or over as
    many more as their memory asks for; examples over the others too.
    """
    sizes = [2**n for n in range(target.count.bit_length()) if target.count % 2**n == 0]
    whole = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(abstract_params(config)))
    aligned = [n for n in sizes if config.hidden_size % (ROWS * n) == 0]
    fits = [n for n in sizes if 16 * whole / n <= FULL * target.chip.memory]
    fsdp = max(max(aligned, default=1), min(fits, default=target.count))
    return f"data={target.count // fsdp},fsdp={fsdp}"


def training_step(
    config: TransformerConfig, placement: Placement, batch: int, length: int, *, remat: str = "full"
) -> Step:
    """A step of AdamW on rows of tokens, with float32 parameters and moments and bfloat16 products.

    Args:
        config: of a causal language model.
        placement: the devices of a target, and the rules.
        batch: rows of a step.
        length: tokens of a row.
        remat: what is kept for the backward pass.
    """
    config = dataclasses.replace(config, dtype="bfloat16", param_dtype="float32", remat=remat)
    mesh, rules = placement

    def loss(params: PyTree, tokens_BT: jax.Array, key: Any) -> tuple[jax.Array, int]:
        del key
        how: Any = {"logits": False}
        states: Any = Transformer(config).apply({"params": params}, tokens_BT, **how)
        targets, weights = jnp.roll(tokens_BT, -1, axis=1), jnp.ones(tokens_BT.shape)
        return summed_loss(config, params, states, targets, weights).objective, tokens_BT.size

    params = abstract_params(config)
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(3e-4))
    axes = transformer_axes(params)
    abstract, shardings = state_shardings(params, optimizer, mesh, rules, axes)
    step = make_step(loss, optimizer, shardings=shardings, placement=placement)
    tokens = jax.ShapeDtypeStruct((batch, length), jnp.int32, sharding=rows_of(mesh, rules))
    layout = {"batch": batch, "length": length, "remat": remat}
    useful = _useful(config, params, batch, length, backward=True)
    return Step("train", step, (abstract, tokens, _key(placement)), layout, useful)


def decoding_step(config: TransformerConfig, placement: Placement, batch: int, length: int) -> Step:
    """One new token for each row, behind a cache of ``length`` tokens, in bfloat16.

    Args:
        config: of a causal language model.
        placement: the devices of a target, and the rules.
        batch: rows.
        length: slots of the cache.
    """
    config = dataclasses.replace(config, dtype="bfloat16", param_dtype=None, remat="none")
    params = abstract_params(config)
    homes = param_shardings(params, transformer_axes(params), *placement)
    cache = jax.eval_shape(functools.partial(init_cache, config, batch, length, stacked=True))

    def lie(leaf: Any) -> Any:
        own = ("layer", "batch", None, "kv_heads", "head_dim") if leaf.ndim == 5 else (
            ("batch", None) if leaf.ndim == 2 else ()
        )  # fmt: skip
        home = sharding_of(placement, leaf.shape, own)
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=home)

    def step(params: PyTree, tokens_B1: jax.Array, cache: Any) -> Any:
        with using(placement):
            variables: Any = {"params": params}
            model: Any = Transformer(config)
            logits, cache = model.apply(variables, tokens_B1, cache, method="decode")
            return jnp.argmax(logits[:, -1], axis=-1), cache

    place = lambda a, s: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=s)  # noqa: E731
    tokens = jax.ShapeDtypeStruct((batch, 1), jnp.int32, sharding=rows_of(*placement))
    arguments = (jax.tree.map(place, params, homes), tokens, jax.tree.map(lie, cache))
    layout = {"batch": batch, "cache": length}
    parameters = _matrix_parameters(config, params)
    heads = config.num_attention_heads * config.head_size
    attention = 4.0 * config.num_hidden_layers * batch * length * heads
    useful = model_flops(parameters, batch, attention, backward=False)
    return Step("decode", jax.jit(step, donate_argnums=2), arguments, layout, useful)


def kernel_step(
    config: TransformerConfig,
    placement: Placement,
    batch: int,
    length: int,
    *,
    dtype: Literal["float32", "bfloat16", "float16"] = "bfloat16",
    segments: bool = False,
) -> Step:
    """Causal attention with the fused kernel, forward and backward, on all devices of a target.

    Args:
        config: its heads, their size, the normalizer, and the window of the first layer.
        placement: the devices of a target, and the rules.
        batch: rows.
        length: tokens of a row.
        dtype: of the arrays.
        segments: whether rows hold several texts, which do not see each other.
    """

    def loss(query: jax.Array, key: jax.Array, value: jax.Array, *ids: jax.Array) -> jax.Array:
        with using(placement):
            out = dot_product_attention(
                query, key, value, causal=True, implementation="pallas", window=config.windows[0],
                normalizer=config.scoring, scale=config.attention_multiplier,
                segment_ids=ids[0] if ids else None,
            )  # fmt: skip
        return out.astype(jnp.float32).sum()

    def array(name: str, heads: int) -> Any:
        shape = (batch, length, heads, config.head_size)
        home = sharding_of(placement, shape, ("batch", None, name, None))
        return jax.ShapeDtypeStruct(shape, jnp.dtype(dtype), sharding=home)

    keys = array("kv_heads", config.key_value_heads)
    arguments = (array("heads", config.num_attention_heads), keys, keys)
    if segments:
        home = rows_of(*placement)
        arguments += (jax.ShapeDtypeStruct((batch, length), jnp.int32, sharding=home),)
    forward = 2.0 * batch * length**2 * config.num_attention_heads * config.head_size
    layout = {"batch": batch, "length": length, "dtype": dtype}
    function = jax.jit(jax.grad(loss, argnums=(0, 1, 2)))
    return Step("kernel", function, arguments, layout, 3.5 * forward)


def _key(placement: Placement) -> Any:
    key = jax.eval_shape(lambda: jax.random.key(0))
    home = NamedSharding(placement.mesh, PartitionSpec())
    return jax.ShapeDtypeStruct(key.shape, key.dtype, sharding=home)


def _matrix_parameters(config: TransformerConfig, params: PyTree) -> int:
    """Parameters of layers and of the head; a table that is only looked up costs nothing."""
    layers = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params["layers"]))
    return layers + (config.vocab_size or 0) * config.hidden_size


def _useful(
    config: TransformerConfig, params: PyTree, batch: int, length: int, *, backward: bool
) -> float:
    """Operations that a step on whole rows needs at least; a causal query sees half of the keys."""
    heads = config.num_attention_heads * config.head_size
    share = 0.5 if config.causal else 1.0
    attention = 4.0 * share * config.num_hidden_layers * batch * length**2 * heads
    tokens = batch * length
    return model_flops(_matrix_parameters(config, params), tokens, attention, backward=backward)
