"""The arithmetic of a config: precision of products, types, and what the backward pass recomputes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from attention.choices import Choices
from attention.errors import InputError

if TYPE_CHECKING:
    from attention.transformer.config import TransformerConfig

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
