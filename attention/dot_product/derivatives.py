"""Derivatives written so that a CPU computes them fast; they have no forward mode.

XLA folds a transposition into the product that follows it, and such a product is slow.  It also
fuses the sums of a derivative into every place that uses them, which computes them several times.
The measurements stand in docs/results.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def transposed_apart(x: Float[Array, "*batch M N"]) -> Float[Array, "*batch N M"]:
    """Transpose the last two axes, into an array of its own."""
    return jax.lax.optimization_barrier(jnp.swapaxes(x, -1, -2))


def projected(
    equation: str,
    precision: str | None,
    x: Float[Array, "*batch_and_inputs"],
    kernel: Float[Array, "*inputs_and_outputs"],
) -> Float[Array, "*batch_and_outputs"]:
    """Compute the einsum of a projection as one matrix product, whose gradient is a rule.

    Args:
        equation: of the einsum, such as ``BTD,DNH->BTNH``.
        precision: of the products.
        x: states.
        kernel: parameters.
    """
    left, right = equation.partition("->")[0].split(",")
    shared = sum(axis in right for axis in left)  # the last axes of x, which are summed over
    if not left.endswith(right[:shared]):  # a table [vocabulary, embed]
        return jnp.einsum(equation, x, kernel, precision=precision)
    inner = math.prod(kernel.shape[:shared])
    out: Any = _dense(precision, x.reshape(-1, inner), kernel.reshape(inner, -1))
    return jnp.reshape(out, (*x.shape[: x.ndim - shared], *kernel.shape[shared:]))


def _dot(precision: str | None, left: Array, right: Array) -> Array:
    """A product; one of bfloat16 is summed in float32, the kind that processors have fast."""
    dtype = jnp.result_type(left, right)
    wide = jnp.promote_types(dtype, jnp.float32)
    return jnp.dot(left, right, precision=precision, preferred_element_type=wide).astype(dtype)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _dense(precision: str | None, x: Array, kernel: Array) -> Array:
    return _dot(precision, x, kernel)


def _dense_backward(precision: str | None, residuals: Any, d_out: Array) -> tuple[Array, Array]:
    x, kernel = residuals
    d_x = _dot(precision, d_out, kernel.T)
    if x.shape[1] <= d_out.shape[1]:
        return d_x, _dot(precision, transposed_apart(x), d_out)
    # A loop gets its operands as whole arrays.  Without it, XLA would fuse the transposition of
    # ``d_out`` with the sums over all later layers that ``d_out`` consists of.
    halves = [y.reshape(2, -1, y.shape[1]) for y in (d_out, x)] if len(x) % 2 == 0 else None
    if halves is None:
        return d_x, _dot(precision, x.T, d_out)

    def add(total: Array, half: list[Array]) -> tuple[Array, None]:
        return total + _dot(precision, transposed_apart(half[0]), half[1]), None

    total, _ = jax.lax.scan(add, jnp.zeros_like(kernel.T), halves)
    return d_x, jax.lax.optimization_barrier(total).T


_dense.defvjp(
    lambda precision, x, kernel: (_dense(precision, x, kernel), (x, kernel)), _dense_backward
)


def standardized(centred: bool, eps: float, x: Float[Array, "... D"]) -> Float[Array, "... D"]:
    """Compute ``h = r (x − mean x)`` with ``r = 1 / sqrt(mean (x − mean x)² + eps)``.

    Args:
        centred: whether the mean is subtracted; it is left out of both formulas otherwise.
        eps: added to the mean square.
        x: states.
    """
    return _standardized(centred, eps, x)[0]


def _standardized(centred: bool, eps: float, x: Array) -> tuple[Array, tuple[Array, Array]]:
    if centred:
        x -= jnp.mean(x, axis=-1, keepdims=True)
    r = jax.lax.rsqrt(jnp.mean(jnp.square(x), axis=-1, keepdims=True) + eps)
    h = x * r
    return h, (h, r)


def _standardized_backward(centred: bool, eps: float, residuals: Any, d_h: Array) -> tuple[Array]:
    # dx = r (dh − mean dh − h mean(h dh)).  A rule of its own keeps XLA from fusing the sums.
    del eps
    h, r = residuals
    inner = jnp.einsum("...D,...D->...", h, d_h, precision="highest")[..., None] / h.shape[-1]
    mean = jnp.mean(d_h, axis=-1, keepdims=True) if centred else 0
    return (r * (d_h - mean - h * inner),)


standardized_by_rule = jax.custom_vjp(standardized, nondiff_argnums=(0, 1))
standardized_by_rule.defvjp(_standardized, _standardized_backward)
