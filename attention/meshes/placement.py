"""How activations lie on a mesh: said where they are made, and known where a step is traced."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array

from attention.meshes.rules import LogicalRules


class Placement(NamedTuple):
    """A mesh, and the rules by which arrays lie on it."""

    mesh: Mesh
    rules: LogicalRules


# A part of the key of jit's cache: a function that is traced for one mesh is not used for another.
_CURRENT = jax.make_user_context(None)


def using(placement: Placement | None) -> contextlib.AbstractContextManager[None]:
    """Make a placement known to all that is traced inside the block; None: there is none."""
    return _CURRENT(placement)


def current() -> Placement | None:
    """The placement of the innermost block of ``using``; None on one device."""
    placement = _CURRENT.value
    return None if placement is None or placement.mesh.size == 1 else placement


def platform() -> str:
    """What is traced is for this platform, such as ``tpu``: that of ``using``, or the default."""
    placement = _CURRENT.value
    return jax.default_backend() if placement is None else placement.mesh.devices.flat[0].platform


def constrain(x: Array, *logical: str | None) -> Array:
    """Say how an activation lies on the mesh, as the rules have it.

    Outside of ``using`` this gives ``x`` itself.

    Args:
        x: the activation.
        logical: the logical axis of each of its dimensions; None keeps a dimension whole.
    """
    if (placement := current()) is None:
        return x
    return jax.lax.with_sharding_constraint(x, sharding_of(placement, x.shape, logical))


def sharding_of(
    placement: Placement, shape: Sequence[int], logical: Sequence[str | None]
) -> NamedSharding:
    """The sharding of an array with these logical axes.

    A dimension is split over as many of its mesh axes, from the first on, as divide it.

    Raises:
        ValueError: the rules or the mesh do not know an axis, the number of axes is wrong, or two
            dimensions fall on one mesh axis.
    """
    mesh, rules = placement
    if len(logical) != len(shape):
        raise ValueError(f"shape {tuple(shape)} but axes {tuple(logical)}")
    mapped = [rules.mesh_axes(axis) for axis in logical]
    used = [axis for axes in mapped for axis in axes]
    if len(set(used)) < len(used):
        raise ValueError(f"axes {tuple(logical)} collide on mesh axes {tuple(mapped)}")
    if unknown := set(used) - set(mesh.axis_names):
        raise ValueError(f"the mesh has no axis {sorted(unknown)}")
    parts: list[str | tuple[str, ...] | None] = []
    for size, axes in zip(shape, mapped, strict=True):
        while axes and size % math.prod(mesh.shape[axis] for axis in axes):
            axes = axes[:-1]
        parts.append(axes[0] if len(axes) == 1 else axes or None)
    return NamedSharding(mesh, PartitionSpec(*parts))


def put(x: np.ndarray | Array, sharding: jax.sharding.Sharding | None) -> Array:
    """Bring an array that every process has to the devices; each process brings its own part."""
    if sharding is None or jax.process_count() == 1:
        return jax.device_put(x, sharding)
    # device_put would compare the arrays of all processes
    return jax.make_array_from_callback(x.shape, sharding, x.__getitem__)


def mesh_parts(placement: Placement, logical: str) -> int:
    """How many parts the mesh divides a logical axis into."""
    mesh, rules = placement
    return math.prod(mesh.shape[axis] for axis in rules.mesh_axes(logical))
