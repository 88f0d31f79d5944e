"""Steps to compile: a training step, a step of decoding, and attention alone."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import PyTree

from attention.compilation.compiling import Report, Step, compile_step
from attention.compilation.flops import matrix_parameters, model_flops, row_flops
from attention.compilation.known_configs import with_attention
from attention.compilation.targets import Target
from attention.dot_product import dot_product_attention
from attention.errors import InputError
from attention.likelihood import summed_loss
from attention.meshes import SHARDINGS, Placement, make_mesh, mesh_parts, sharding_of, using
from attention.options import parse_mesh
from attention.training import batch_sharding as rows_of
from attention.training import make_step, param_shardings, state_shardings, transformer_axes
from attention.transformer import Transformer, TransformerConfig, abstract_params, init_cache

ROWS = 128  # of a kernel, on each device at least, for sums of gradients to be scattered
REMATS = ("none", "dots", "full")  # from the lightest: what the backward pass computes again
FULL = 0.4  # share of the memory that parameters, moments and gradients may take


def step_for(
    target: Target,
    devices: Sequence[Any],
    config: TransformerConfig,
    *,
    step: Literal["train", "decode", "kernel"] = "train",
    mesh: str = "",
    sharding: str | None = None,
    batch: int | None = None,
    length: int | None = None,
    remat: str | None = None,
    attention: str | None = None,
    dtype: Literal["float32", "bfloat16", "float16"] = "bfloat16",
) -> Step:
    """The step that ``attn compile`` is asked for; what is left out is chosen for the target.

    Args:
        target: the chips.
        devices: those of the target, or as many that are here.
        config: of the model.
        step: train, decode or kernel.
        mesh: devices along each axis, as ``--mesh`` has them.
        sharding: a row of ``SHARDINGS``.
        batch: rows.
        length: tokens of a row, or of the cache.
        remat: what a layer keeps for the backward pass; None: as much as the memory should hold.
        attention: implementation.
        dtype: of the arithmetic; parameters and moments of a training are float32.

    Raises:
        InputError: the target has no such kernels, or the step is not one of such a model.
    """
    if step == "train" and config.head != "causal_lm":
        raise InputError(f"training is compiled for causal language models, not for {config.head}")
    if dtype == "float16" and target.chip.platform == "tpu":
        raise InputError("TPUs have no float16 kernels: take --dtype bfloat16")
    usual_mesh = training_mesh(config, target) if step == "train" else "model=-1"
    axes = parse_mesh(mesh or usual_mesh)
    usual = "fsdp" if step == "train" and axes["model"] == 1 else "fsdp+tp"
    rules = SHARDINGS.pick(sharding or usual).rules
    placement = Placement(make_mesh(**axes, devices=devices), rules)
    rows = batch or mesh_parts(placement, "batch")
    tokens = length or (2048 if target.kind == "v5e" else 4096)
    if attention is not None or step == "train":
        config = with_attention(config, attention)
    if step == "train":
        bytes_of = functools.partial(estimated_bytes, config, placement, rows, tokens)
        light = [name for name in REMATS if bytes_of(name) <= target.chip.memory]
        chosen = remat or (light or ["full"])[0]
        made = training_step(config, placement, rows, tokens, remat=chosen, dtype=dtype)
    elif step == "decode":
        made = decoding_step(config, placement, rows, tokens, dtype=dtype)
    else:
        made = kernel_step(config, placement, rows, tokens, dtype=dtype)
    laid = ",".join(f"{name}={n}" for name, n in placement.mesh.shape.items() if n > 1)
    return made.laid_out(mesh=laid or "data=1", sharding=sharding or usual)


def compile_fitting(
    target: Target, devices: Sequence[Any], config: TransformerConfig, **how: Any
) -> Report:
    """Compile the step of :func:`step_for`; one that chose what to keep keeps less until it fits.

    Args:
        target: the chips.
        devices: those of the target.
        config: of the model.
        how: see :func:`step_for`.
    """
    made = step_for(target, devices, config, **how)
    report = compile_step(made, target)
    if how.get("remat") is None and not report.fits and made.name == "train":
        for remat in REMATS[REMATS.index(made.layout["remat"]) + 1 :]:
            report = compile_step(
                step_for(target, devices, config, **{**how, "remat": remat}), target
            )
            if report.fits:
                break
    return report


def estimated_bytes(
    config: TransformerConfig, placement: Placement, batch: int, length: int, remat: str
) -> float:
    """What a training step takes of a chip, by a rough count.

    Parameters, moments and gradients in float32; the tables of the vocabulary whole, in bfloat16
    and in float32; and of each token in each layer, in bfloat16, the state (``full``), the results
    of projections too (``dots``), or three times those (``none``).

    Args:
        config: of a causal language model.
        placement: the devices of a target, and the rules.
        batch: rows of a step.
        length: tokens of a row.
        remat: what is kept for the backward pass.
    """
    shapes = jax.tree.leaves(abstract_params(config))
    parts = placement.mesh.shape["fsdp"] * placement.mesh.shape["model"]
    state = 16 * sum(math.prod(leaf.shape) for leaf in shapes) / parts
    tables = 12 * (config.vocab_size or 0) * config.hidden_size
    heads = (config.num_attention_heads + 2 * config.key_value_heads) * config.head_size
    wide = (2 if config.gated_mlp else 1) * config.intermediate_size
    projections = heads + 2 * config.hidden_size + wide
    kept = {"none": 3 * projections, "dots": projections}.get(remat, 0) + config.hidden_size
    tokens = batch * length / placement.mesh.size
    return state + tables + 2 * kept * tokens * config.num_hidden_layers


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
    config: TransformerConfig,
    placement: Placement,
    batch: int,
    length: int,
    *,
    remat: str = "full",
    dtype: str = "bfloat16",
) -> Step:
    """A step of AdamW on rows of tokens, with float32 parameters and moments.

    Args:
        config: of a causal language model.
        placement: the devices of a target, and the rules.
        batch: rows of a step.
        length: tokens of a row.
        remat: what is kept for the backward pass.
        dtype: of the products.
    """
    config = dataclasses.replace(config, dtype=dtype, param_dtype="float32", remat=remat)
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
    useful = row_flops(config, params, batch, length, backward=True)
    return Step("train", step, (abstract, tokens, _key(placement)), layout, useful)


def decoding_step(
    config: TransformerConfig,
    placement: Placement,
    batch: int,
    length: int,
    *,
    dtype: str = "bfloat16",
) -> Step:
    """One new token for each row, behind a cache of ``length`` tokens.

    Args:
        config: of a causal language model.
        placement: the devices of a target, and the rules.
        batch: rows.
        length: slots of the cache.
        dtype: of the weights and the arithmetic.
    """
    config = dataclasses.replace(config, dtype=dtype, param_dtype=None, remat="none")
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
    parameters = matrix_parameters(config, params)
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
