"""The functions between the projections of an MLP, by the names that transformers gives them."""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Activation = Callable[[Float[Array, "..."]], Float[Array, "..."]]


def _gelu(x: Float[Array, ...]) -> Float[Array, ...]:
    return jax.nn.gelu(x, approximate=False)


def _gelu_tanh(x: Float[Array, ...]) -> Float[Array, ...]:
    return jax.nn.gelu(x, approximate=True)


def _laplace(x: Float[Array, ...]) -> Float[Array, ...]:
    """The distribution function of a normal variable that approximates squared ReLU (MEGA)."""
    return 0.5 * (1 + jax.lax.erf((x - 0.707107) / (0.282095 * math.sqrt(2))))


ACTIVATIONS: dict[str, Activation] = {
    "silu": jax.nn.silu,
    "swish": jax.nn.silu,
    "gelu": _gelu,
    "gelu_python": _gelu,
    "gelu_10": lambda x: jnp.clip(_gelu(x), -10, 10),
    "gelu_new": _gelu_tanh,
    "gelu_fast": _gelu_tanh,
    "gelu_accurate": _gelu_tanh,
    "gelu_pytorch_tanh": _gelu_tanh,
    "gelu_python_tanh": _gelu_tanh,
    "quick_gelu": lambda x: x * jax.nn.sigmoid(1.702 * x),
    "relu": jax.nn.relu,
    "relu2": lambda x: jnp.square(jax.nn.relu(x)),
    "relu6": jax.nn.relu6,
    "leaky_relu": lambda x: jax.nn.leaky_relu(x, 0.01),
    "hardswish": jax.nn.hard_swish,
    "mish": jax.nn.mish,
    "sigmoid": jax.nn.sigmoid,
    "sqrtsoftplus": lambda x: jnp.sqrt(jax.nn.softplus(x)),
    "tanh": jnp.tanh,
    "laplace": _laplace,
    "linear": lambda x: x,
}
"""Name → function; those with parameters of their own (``prelu``, ``xielu``) are not here."""
