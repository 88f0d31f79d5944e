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
from attention.meshes import constrain, current, mesh_parts
from attention.transformer import Transformer, TransformerConfig

BLOCK_LOGITS = {"cpu": 2**22}
"""Numbers in the logits of a block, by backend: on a CPU they should stay in the cache."""
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
    places: int


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
        block_logits: numbers in the logits of a block; None: as fits the backend.

    Source of the z-loss: PaLM, Chowdhery et al. 2022, arXiv 2204.02311, section 5.
    """
    model = Transformer(config)
    read: Any = model.apply({"params": params}, states_BPD, method="vocabulary_inputs")
    states_BPD, kernel_VD, bias_V = read
    batch, places, _ = states_BPD.shape
    most = block_logits or BLOCK_LOGITS.get(jax.default_backend(), MOST_LOGITS)
    rows, columns = batch, len(kernel_VD)
    if (placement := current()) is not None:  # each device has its part of them
        rows = -(-rows // mesh_parts(placement, "batch"))
        columns = -(-columns // mesh_parts(placement, "vocab"))
    count = -(-places // max(1, most // (rows * columns)))
    form = _Form(
        config.precision,
        config.logits_scaling,
        config.final_logit_softcapping,
        z_loss,
        -(-places // count),
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
    batch, _, size = states_BPD.shape
    wide = jnp.promote_types(states_BPD.dtype, jnp.float32)
    dot = functools.partial(jnp.matmul, precision=form.precision, preferred_element_type=wide)
    kernel_DV = transposed_apart(kernel_VD)

    def blocks(x: Array) -> Array:
        return x.reshape(batch, -1, form.places, *x.shape[2:]).swapaxes(0, 1)

    def block(carry: PyTree, item: tuple[Array, Array, Array]) -> tuple[PyTree, Array | None]:
        x_ND, y_N, w_N = item[0].reshape(-1, size), item[1].reshape(-1), item[2].reshape(-1)
        objective, loss, d_kernel, d_bias = carry
        logits_NV = constrain(dot(x_ND, kernel_DV), "batch", "vocab")
        if bias_V is not None:
            logits_NV += bias_V.astype(wide)[None]
        if form.scaling is not None:
            logits_NV /= form.scaling
        if form.cap is not None:
            logits_NV = form.cap * jnp.tanh(logits_NV / form.cap)
        most_N1 = jnp.max(logits_NV, axis=-1, keepdims=True)
        exps_NV = jnp.exp(logits_NV - most_N1)
        sum_N = jnp.sum(exps_NV, axis=-1)
        total_N = jnp.log(sum_N) + most_N1[:, 0]
        own_NV = jnp.arange(logits_NV.shape[1])[None] == y_N[:, None]
        # a sum, where an index would bring the logits of all devices together
        own_N = jnp.sum(jnp.where(own_NV, logits_NV, 0), axis=-1)
        new = jnp.sum(w_N * (total_N - own_N))
        penalty = form.z_loss * jnp.sum(w_N * jnp.square(total_N))
        objective, loss = objective + new + penalty, loss + new
        if not gradient:
            return (objective, loss, d_kernel, d_bias), None
        factor_N = w_N * (1 + 2 * form.z_loss * total_N) / sum_N
        d_logits = exps_NV * factor_N[:, None] - jnp.where(own_NV, w_N[:, None], 0)
        if form.cap is not None:
            d_logits *= 1 - jnp.square(logits_NV / form.cap)
        if form.scaling is not None:
            d_logits /= form.scaling
        if d_bias is not None:
            d_bias += jnp.sum(d_logits, axis=0)
        d_logits = d_logits.astype(x_ND.dtype)
        d_kernel += dot(transposed_apart(x_ND), d_logits)
        d_kernel = constrain(d_kernel, "embed", "vocab")  # as the kernel lies, not whole
        d_x = dot(d_logits, kernel_VD).astype(x_ND.dtype)
        return (objective, loss, d_kernel, d_bias), d_x.reshape(item[0].shape)

    zero = jnp.zeros((), wide)
    start = (
        zero,
        zero,
        constrain(jnp.zeros(kernel_DV.shape, wide), "embed", "vocab") if gradient else None,
        None if bias_V is None or not gradient else jnp.zeros(bias_V.shape, wide),
    )
    items = (blocks(states_BPD), blocks(targets_BP), blocks(weights_BP.astype(wide)))
    carried: Any = jax.lax.scan(block, start, items)
    (objective, loss, d_kernel, d_bias), d_states = carried
    if not gradient:
        return (objective, loss), None
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
