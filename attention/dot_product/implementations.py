"""Attention with any normalizer, by any of the implementations in the table."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from attention.choices import Choices
from attention.dot_product.blocks import attention_in_blocks
from attention.dot_product.chunked import chunked_attention
from attention.dot_product.divided import divided
from attention.dot_product.flash import flash_attention
from attention.dot_product.masks import Visibility
from attention.dot_product.operands import Form, Operands
from attention.dot_product.reference import (
    attention_weights,
    grouped,
    per_head,
    weighted_values,
)
from attention.errors import InputError
from attention.normalizers import NORMALIZERS, Params, effective

CHUNK = 512  # queries and keys in one step of the implementation `chunked`


@dataclasses.dataclass(frozen=True)
class Call:
    """The arguments of ``dot_product_attention``; ``visible`` holds all that restrict what is seen.

    See there for each of them.
    """

    query: Float[Array, "B T N H"]
    key: Float[Array, "B S K H"]
    value: Float[Array, "B S K H"]
    visible: Visibility
    normalizer: str
    params: Params | None = None
    positions: tuple[Int[Array, "#B T"], Int[Array, "#B S"]] | None = None
    scale: float | None = None
    precision: str | None = None
    reach: tuple[int, ...] | None = None


@dataclasses.dataclass(frozen=True)
class Implementation:
    """A way to compute attention.

    Attributes:
        description: what it is for, in one line.
        attend: computes the output ``[B, T, N, H]`` of a call.
        every_normalizer: whether it has all normalizers, not only those that are a softmax of a
            logit transform.
        compiled_on: the backends it is compiled for; None: all.  On others it is interpreted,
            slowly.
    """

    description: str
    attend: Callable[[Call], Array]
    every_normalizer: bool = False
    compiled_on: tuple[str, ...] | None = None


def _whole(call: Call) -> Array:
    places = jnp.arange(call.query.shape[1]), jnp.arange(call.key.shape[1])
    weights = attention_weights(
        call.query,
        call.key,
        normalizer=call.normalizer,
        params=call.params,
        mask=call.visible.where(*places),
        positions=call.positions,
        scale=call.scale,
        precision=call.precision,
    )
    return weighted_values(weights, call.value, precision=call.precision)


def without_matrix(
    attend: Callable[[Form, Operands], Array], call: Call, *, kernel: bool = False
) -> Array:
    """Run a call by an implementation that never holds the weights of all places.

    Args:
        attend: such as ``chunked_attention``.
        call: its normalizer is a softmax of a logit transform.
        kernel: whether it is a kernel, which the compiler cannot divide over devices.

    Returns:
        The output ``[B, T, N, H]``.
    """
    query, num_kv = call.query, call.key.shape[2]
    scale = float(query.shape[3] ** -0.5 if call.scale is None else call.scale)
    form = Form(call.normalizer, scale, call.precision, CHUNK)
    dtype = jnp.promote_types(query.dtype, jnp.float32)
    values = effective(NORMALIZERS.pick(call.normalizer), call.params, dtype)
    values = per_head(values, num_kv, query.shape[2])
    operands = Operands(grouped(query, num_kv), call.key, call.value, values, call.visible)
    return divided(attend, form, operands, always=kernel).reshape(query.shape)


def _blocks(call: Call) -> Array:
    return without_matrix(functools.partial(attention_in_blocks, reach=call.reach), call)


def _pallas(call: Call) -> Array:
    if _cudnn_fits(call):
        return _cudnn(call)
    return without_matrix(flash_attention, call, kernel=True)


IMPLEMENTATIONS = Choices(
    "implementation",
    {
        "xla": Implementation(
            "the reference, which holds the whole matrix of weights", _whole, every_normalizer=True
        ),
        "blocks": Implementation("training on short sequences on a CPU", _blocks),
        "chunked": Implementation(
            "memory linear in the length, on any backend",
            functools.partial(without_matrix, chunked_attention),
        ),
        "pallas": Implementation(
            "one fused kernel, or cuDNN's where it fits", _pallas, compiled_on=("gpu", "tpu")
        ),
    },
)


def dot_product_attention(
    query: Float[Array, "B T N H"],
    key: Float[Array, "B S K H"],
    value: Float[Array, "B S K H"],
    *,
    normalizer: str = "softmax",
    params: Params | None = None,
    mask: Bool[Array, "#B #T S"] | None = None,
    causal: bool = False,
    segment_ids: Int[Array, "B T"] | tuple[Int[Array, "B T"], Int[Array, "B S"]] | None = None,
    window: int | None = None,
    positions: tuple[Int[Array, "#B T"], Int[Array, "#B S"]] | None = None,
    scale: float | None = None,
    precision: str | None = None,
    implementation: str = "xla",
    reach: tuple[int, ...] | None = None,
) -> Float[Array, "B T N H"]:
    """Compute ``out = normalize(scale · q kᵀ) v`` per head, for any normalizer of the table.

    Query head ``n`` reads key head ``n // (N / K)``.  A query that sees no key gets zeros.

    Args:
        query: queries.
        key: keys.
        value: values.
        normalizer: a name or specification.
        params: its effective values, each of shape ``[]`` or ``[N]``.
        mask: true at the keys that may be seen.  A key is seen where all restrictions allow it.
        causal: a query sees no key at a later place than its own; both count from 0.
        segment_ids: segments of queries and keys, or one array for both.  A query sees the keys of
            its own segment.
        window: a query sees keys less than this many places away.
        positions: of queries and keys, for a normalizer with a position weight; None counts both
            from 0.
        scale: factor of the scores; ``1/sqrt(H)`` if None.
        precision: of the products.
        implementation: a key of ``IMPLEMENTATIONS``.  ``xla``, the reference, holds the whole
            matrix ``[B, N, T, S]`` and has every normalizer.  The others have the normalizers that
            are a softmax of a logit transform.  ``blocks`` is for training on short sequences on a
            CPU.  ``chunked`` and ``pallas`` never hold the matrix: their memory is linear in T and
            S.  ``chunked`` runs on any backend.  ``pallas`` is one fused kernel for CUDA devices
            and TPUs, interpreted elsewhere, or cuDNN's kernel where that computes the same.
        reach: for ``blocks``: how many of the first keys the mask lets each query see at most;
            None: all, or with ``causal`` those up to its own place.

    Raises:
        InputError: the normalizer, a parameter or the implementation is unknown, or the
            implementation does not have the normalizer; the message says which it has.
        ValueError: the mask has other sizes than queries and keys, or their heads do not fit.
    """
    if mask is not None and (
        mask.shape[1] not in (1, query.shape[1]) or mask.shape[2] != key.shape[1]
    ):
        raise ValueError(
            f"a mask {mask.shape} does not fit {query.shape[1]} queries and {key.shape[1]} keys"
        )
    chosen = IMPLEMENTATIONS.pick(implementation)
    if not chosen.every_normalizer and NORMALIZERS.pick(normalizer).logit_transform is None:
        fusible = [name for name, each in NORMALIZERS.items() if each.logit_transform is not None]
        every = [name for name, each in IMPLEMENTATIONS.items() if each.every_normalizer]
        raise InputError(
            f"the implementation {implementation!r} has no {normalizer!r}, but "
            f"{', '.join(fusible)}; {', '.join(map(repr, every))} has all normalizers"
        )
    segments = segment_ids if isinstance(segment_ids, tuple) else (segment_ids, segment_ids)
    visible = Visibility(mask, *segments, causal=causal, window=window)
    return chosen.attend(
        Call(query, key, value, visible, normalizer, params, positions, scale, precision, reach)
    )


def _cudnn_fits(call: Call) -> bool:
    """Whether cuDNN's kernel, the fastest there is, computes the same."""
    row, query, visible = NORMALIZERS.pick(call.normalizer), call.query, call.visible
    return (
        jax.default_backend() == "gpu"
        and row.identity
        and not row.sink
        and query.dtype in (jnp.bfloat16, jnp.float16)
        and query.shape[3] % 8 == 0
        and query.shape[3] <= 128
        and visible.mask is None
        and visible.query_segments is None
        and (visible.window is None or visible.causal)
        and (query.shape[1] == call.key.shape[1] or not visible.causal)
    )


def _cudnn(call: Call) -> Array:
    window = call.visible.window
    return jax.nn.dot_product_attention(
        call.query,
        call.key,
        call.value,
        scale=call.scale,
        is_causal=call.visible.causal,
        local_window_size=None if window is None else (window - 1, 0),
        implementation="cudnn",
    )
