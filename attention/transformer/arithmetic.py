"""A config's arithmetic: activations, types and precision, and what a backward pass keeps."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from attention.choices import Choices
from attention.errors import InputError

if TYPE_CHECKING:
    from attention.transformer.config import TransformerConfig

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
"""Between the projections of an MLP: functions by the names that transformers gives them.

Those with parameters of their own (``prelu``, ``xielu``) are not here."""

_POLICIES = jax.checkpoint_policies


@dataclasses.dataclass(frozen=True)
class Remat:
    """What of a layer is kept for the backward pass; the rest is computed again.

    Attributes:
        description: what is kept, in one line.
        policy: of ``jax.checkpoint``; None: nothing is computed again.
    """

    description: str
    policy: Callable[..., Any] | None


REMATS = Choices(
    "remat policy",
    {
        "none": Remat("everything", None),
        "full": Remat("the states between layers", _POLICIES.nothing_saveable),
        "dots": Remat("the results of projections too", _POLICIES.dots_with_no_batch_dims_saveable),
        "offload": Remat(
            "the results of projections, in the memory of the host",
            _POLICIES.offload_dot_with_no_batch_dims("device", "pinned_host"),
        ),
    },
)


def remat_name(remat: bool | str) -> str:
    """The name of a policy; True is ``full``, False is ``none``.

    Raises:
        InputError: there is no such policy.
    """
    name = remat if isinstance(remat, str) else "full" if remat else "none"
    REMATS.pick(name)
    return name


def rematerialized(config: TransformerConfig, apply: Callable[..., Any]) -> Callable[..., Any]:
    """A layer's function whose backward pass keeps what ``config.remat`` says."""
    policy = REMATS.pick(config.remat).policy
    return apply if policy is None else jax.checkpoint(apply, policy=policy)


def in_dtype(config: TransformerConfig, x: Array) -> Array:
    """A parameter in the type of the products, if parameters have a type of their own."""
    return x if config.param_dtype is None else x.astype(jnp.dtype(config.dtype))


def check_precision(name: str | None) -> None:
    """Check the name of a precision of products.

    Raises:
        InputError: JAX has no such precision.
    """
    if name is None or name in jax.lax.DotAlgorithmPreset.__members__:
        return
    try:
        jax.lax.Precision(name)
    except ValueError:
        known = "default, high, highest, tensorfloat32, and algorithms such as TF32_TF32_F32"
        raise InputError(f"unknown matrix precision {name!r}; there are {known}") from None
