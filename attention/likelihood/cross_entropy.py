"""The summed loss of given tokens, whose gradient is computed beside it in one pass.

The sum is a single number.  Its gradient is therefore known as soon as the logits are, up to the
factor that comes back later, so that logits are computed once and never kept.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

from attention.dot_product import transposed_apart
from attention.meshes import constrain, current, mesh_parts, platform
from attention.transformer import Transformer, TransformerConfig

BLOCK_LOGITS = {"cpu": 2**22}
"""Numbers in the logits of a block, by platform: on a CPU they should stay in the cache."""
MOST_LOGITS = 2**27


class SummedLoss(NamedTuple):
    """What ``summed_loss`` returns.

    Attributes:
        objective: ``Σ w (−log p(y) + z (log Σ exp l)²)``, which is minimized.
        loss: ``Σ w (−log p(y))`` in nats, of which there is no gradient.
    """

    objective: Float[Array, ""]
    loss: Float[Array, ""]


class _Form(NamedTuple):
    precision: str
    scaling: float | None
    cap: float | None
    z_loss: float
    places: int  # in a block
    parts: int  # that the rows are divided into


def summed_loss(
    config: TransformerConfig,
    params: Mapping[str, PyTree],
    states_BPD: Float[Array, "B P D"],
    targets_BP: Int[Array, "B P"],
    weights_BP: Float[Array, "B P"],
    *,
    z_loss: float = 0.0,
    block_logits: int | None = None,
) -> SummedLoss:
    """Compute the weighted sum of ``−log p(target)`` over places, in blocks of places.

    Call it inside a jitted function.  Rows may be divided over devices, and so may the vocabulary:
    the sums then go over all of them, and the numbers of a block are those on one device.

    Args:
        config: of a language model.
        params: of the model; the final norm and the head are used.
        states_BPD: after the last layer (``Transformer`` with ``logits=False``), of the places that
            predict.
        targets_BP: tokens.
        weights_BP: of the losses.
        z_loss: factor z of the squared log-sum-exp.
        block_logits: numbers in the logits of a block; None: as fits the platform.

    Source of the z-loss: PaLM, Chowdhery et al. 2022, arXiv 2204.02311, section 5.
    """
    model = Transformer(config)
    read: Any = model.apply({"params": params}, states_BPD, method="vocabulary_inputs")
    states_BPD, kernel_VD, bias_V = read
    batch, places, _ = states_BPD.shape
    most = block_logits or BLOCK_LOGITS.get(platform(), MOST_LOGITS)
    parts, columns = 1, len(kernel_VD)
    if (placement := current()) is not None:  # each device has its part of them
        parts = mesh_parts(placement, "batch")
        columns = -(-columns // mesh_parts(placement, "vocab"))
    rows = -(-batch // parts)
    count = -(-places // max(1, most // (rows * columns)))
    form = _Form(
        config.precision,
        config.logits_scaling,
        config.final_logit_softcapping,
        z_loss,
        -(-places // count),
        1 if batch % parts else parts,
    )
    padding = count * form.places - places
    wide = jnp.pad(states_BPD, ((0, 0), (0, padding), (0, 0)))
    targets, weights = (jnp.pad(each, ((0, 0), (0, padding))) for each in (targets_BP, weights_BP))
    found: Any = _summed(form, wide, kernel_VD, bias_V, targets, weights)
    return SummedLoss(*found)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _summed(
    form: _Form, states: Array, kernel: Array, bias: Array | None, targets: Array, weights: Array
) -> tuple[Array, Array]:
    sums, _ = _run(form, False, states, kernel, bias, targets, weights)
    return sums


def _run(
    form: _Form,
    gradient: bool,
    states_BPD: Array,
    kernel_VD: Array,
    bias_V: Array | None,
    targets_BP: Array,
    weights_BP: Array,
) -> tuple[tuple[Array, Array], PyTree]:
    """The sums and, if asked for, the gradients of the objective."""
    batch = len(states_BPD)
    wide = jnp.promote_types(states_BPD.dtype, jnp.float32)
    dot = functools.partial(jnp.matmul, precision=form.precision, preferred_element_type=wide)
    # Gathered once, not for each block; and each device adds up a gradient of its own (axis R).
    kernel_VD = constrain(kernel_VD, "vocab", None)
    kernel_DV = transposed_apart(kernel_VD)

    def blocks(x: Array) -> Array:
        return x.reshape(batch, -1, form.places, *x.shape[2:]).swapaxes(0, 1)

    def block(carry: PyTree, item: tuple[Array, Array, Array]) -> tuple[PyTree, Array | None]:
        x_RND, y_RN, w_RN = (x.reshape(form.parts, -1, *x.shape[2:]) for x in item)
        objective, loss, d_kernel, d_bias = carry
        logits_RNV = constrain(dot(x_RND, kernel_DV), "batch", None, "vocab")
        if bias_V is not None:
            logits_RNV += bias_V.astype(wide)[None, None]
        if form.scaling is not None:
            logits_RNV /= form.scaling
        if form.cap is not None:
            logits_RNV = form.cap * jnp.tanh(logits_RNV / form.cap)
        most_RN1 = jnp.max(logits_RNV, axis=-1, keepdims=True)
        exps_RNV = jnp.exp(logits_RNV - most_RN1)
        sum_RN = jnp.sum(exps_RNV, axis=-1)
        total_RN = jnp.log(sum_RN) + most_RN1[..., 0]
        own_RNV = jnp.arange(logits_RNV.shape[-1])[None, None] == y_RN[..., None]
        # a sum, where an index would bring the logits of all devices together
        own_RN = jnp.sum(jnp.where(own_RNV, logits_RNV, 0), axis=-1)
        new = jnp.sum(w_RN * (total_RN - own_RN))
        penalty = form.z_loss * jnp.sum(w_RN * jnp.square(total_RN))
        objective, loss = objective + new + penalty, loss + new
        if not gradient:
            return (objective, loss, d_kernel, d_bias), None
        factor_RN = w_RN * (1 + 2 * form.z_loss * total_RN) / sum_RN
        d_logits = exps_RNV * factor_RN[..., None] - jnp.where(own_RNV, w_RN[..., None], 0)
        if form.cap is not None:
            d_logits *= 1 - jnp.square(logits_RNV / form.cap)
        if form.scaling is not None:
            d_logits /= form.scaling
        if d_bias is not None:
            d_bias += jnp.sum(d_logits, axis=(0, 1))
        d_logits = d_logits.astype(x_RND.dtype)
        own = dot(transposed_apart(x_RND), d_logits)
        d_kernel = constrain(d_kernel + own, "batch", None, "vocab")
        d_x = dot(d_logits, kernel_VD).astype(x_RND.dtype)
        return (objective, loss, d_kernel, d_bias), d_x.reshape(item[0].shape)

    zero, d_kernel, d_bias = jnp.zeros((), wide), None, None
    if gradient:
        d_kernel = jnp.zeros((form.parts, *kernel_DV.shape), wide)
        d_kernel = constrain(d_kernel, "batch", None, "vocab")
        d_bias = None if bias_V is None else jnp.zeros(bias_V.shape, wide)
    items = (blocks(states_BPD), blocks(targets_BP), blocks(weights_BP.astype(wide)))
    carried: Any = jax.lax.scan(block, (zero, zero, d_kernel, d_bias), items)
    (objective, loss, d_kernel, d_bias), d_states = carried
    if not gradient:
        return (objective, loss), None
    d_kernel = constrain(d_kernel.sum(0), "embed", "vocab")  # as the kernel lies, not whole
    d_states = d_states.swapaxes(0, 1).reshape(states_BPD.shape)
    d_bias = None if bias_V is None else d_bias.astype(bias_V.dtype)
    return (objective, loss), (d_states, transposed_apart(d_kernel).astype(kernel_VD.dtype), d_bias)


def _forward(
    form: _Form, states: Array, kernel: Array, bias: Array | None, targets: Array, weights: Array
) -> tuple[tuple[Array, Array], PyTree]:
    return _run(form, True, states, kernel, bias, targets, weights)


def _backward(form: _Form, gradients: PyTree, cotangents: tuple[Array, Array]) -> PyTree:
    del form
    scaled = jax.tree.map(lambda g: g * cotangents[0].astype(g.dtype), gradients)
    return (*scaled, None, None)


_summed.defvjp(_forward, _backward)
