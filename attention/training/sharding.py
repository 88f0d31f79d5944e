"""Where arrays live: a mesh of data × model devices, and rules from logical axes to mesh axes.

A parameter has *logical* axes, such as ``embed`` and ``heads``.  :class:`LogicalRules` says which
mesh axis, if any, each of them is split over.  One device is a mesh of 1 × 1.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from typing import Any

import jax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jax.tree_util import KeyEntry, keystr, tree_leaves_with_path, tree_map_with_path
from jaxtyping import PyTree

from attention.errors import InputError

Axes = tuple[str | None, ...]  # logical axes of one array
Leaf = jax.Array | jax.ShapeDtypeStruct
KeyPath = tuple[KeyEntry, ...]


@dataclasses.dataclass(frozen=True)
class LogicalRules:
    """The mesh axis that each logical axis is split over; None keeps it whole on every device."""

    batch: str | None = "data"
    layer: str | None = None
    vocab: str | None = "model"
    embed: str | None = None
    embed_out: str | None = None
    heads: str | None = "model"
    kv_heads: str | None = "model"
    head_dim: str | None = None
    mlp: str | None = "model"
    experts: str | None = None
    input: str | None = None
    position: str | None = None
    type: str | None = None
    labels: str | None = None

    def mesh_axis(self, logical: str | None) -> str | None:
        """The mesh axis of a logical axis.

        Raises:
            ValueError: no rule knows the name.
        """
        if logical is None:
            return None
        if logical not in {field.name for field in dataclasses.fields(self)}:
            raise ValueError(f"no rule for the logical axis {logical!r}")
        return getattr(self, logical)


NORMALIZER = r"(layers/attention/)?normalizer/\w+"
# The logical axes of each parameter, by its path.  Stacked layers have one more axis, `layer`, in
# front.  A parameter of a normalizer has any rank: one number, or one for each head.
TRANSFORMER_AXES: tuple[tuple[str, Axes], ...] = (
    (r"embed/embedding", ("vocab", "embed")),
    (r"embed/kernel", ("input", "embed")),
    (r"embed/bias", ("embed",)),
    (r"position_embedding/embedding", ("position", "embed")),
    (r"token_type_embedding/embedding", ("type", "embed")),
    (r"embed_projection/kernel", ("embed", "embed_out")),
    (r"embed_projection/bias", ("embed_out",)),
    (r"(embedding|final)_norm/(scale|bias)", ("embed",)),
    (r"layers/((attention|mlp)(_output)?_)?norm/(scale|bias)", ("embed",)),
    (r"layers/attention/query/kernel", ("embed", "heads", "head_dim")),
    (r"layers/attention/query/(scale|bias)", ("heads", "head_dim")),
    (r"layers/attention/(key|value)/kernel", ("embed", "kv_heads", "head_dim")),
    (r"layers/attention/(key|value)/(scale|bias)", ("kv_heads", "head_dim")),
    (r"layers/attention/(query|key)_norm/scale", ("head_dim",)),
    (r"layers/attention/query_norm/scale", ("heads", "head_dim")),
    (r"layers/attention/key_norm/scale", ("kv_heads", "head_dim")),
    (r"layers/attention/out/kernel", ("heads", "head_dim", "embed")),
    (r"layers/attention/out/(scale|bias)", ("embed",)),
    (NORMALIZER, ("heads",)),
    (r"layers/mlp/router/kernel", ("embed", "experts")),
    (r"layers/mlp/expert_(gate|up)/kernel", ("experts", "embed", "mlp")),
    (r"layers/mlp/expert_down/kernel", ("experts", "mlp", "embed")),
    (r"layers/mlp/(gate|up)/kernel", ("embed", "mlp")),
    (r"layers/mlp/(gate|up)/(scale|bias)", ("mlp",)),
    (r"layers/mlp/down/kernel", ("mlp", "embed")),
    (r"layers/mlp/down/(scale|bias)", ("embed",)),
    (r"lm_head/kernel", ("vocab", "embed")),
    (r"lm_head/bias", ("vocab",)),
    (r"head/dense/kernel", ("embed", "embed_out")),
    (r"head/(dense/bias|norm/(scale|bias))", ("embed_out",)),
    (r"head/bias", ("vocab",)),
    (r"head/out/kernel", ("embed", "labels")),
    (r"head/out/bias", ("labels",)),
)


def make_mesh(
    data: int | None = None, model: int = 1, devices: Sequence[Any] | None = None
) -> Mesh:
    """Make a mesh ``(data, model)`` of the first ``data * model`` devices.

    Args:
        data: how many devices examples are divided over; None or -1: all that are left.
        model: how many devices parameters are divided over; -1: all that are left.
        devices: to choose from; None: all.

    Raises:
        InputError: there are too few devices, or a number does not divide their count.
    """
    devices = jax.devices() if devices is None else devices
    data = -1 if data is None else data
    if -1 in (data, model):
        name, given = ("model", model) if data == -1 else ("data", data)
        if len(devices) % given:
            raise InputError(f"{name}={given} does not divide the {len(devices)} devices")
        data, model = (len(devices) // given if n == -1 else n for n in (data, model))
    if data * model > len(devices):
        raise InputError(f"a mesh of {data} x {model} needs more than {len(devices)} device(s)")
    return jax.make_mesh(
        (data, model),
        ("data", "model"),
        axis_types=(AxisType.Auto, AxisType.Auto),
        devices=devices[: data * model],
    )


def transformer_axes(params: PyTree) -> PyTree:
    """Find the logical axes of every parameter of the transformer, layers stacked or unstacked.

    Args:
        params: arrays or ``ShapeDtypeStruct``s, without the outer ``"params"``.

    Returns:
        A tree of the same structure with a tuple of names in place of each array.

    Raises:
        ValueError: no row of :data:`TRANSFORMER_AXES` fits; the message names the parameters.
    """
    unmatched: list[str] = []

    def axes(path: KeyPath, leaf: Leaf) -> Axes:
        name = keystr(path, simple=True, separator="/")
        row = re.sub(r"^layers/\d+/", "layers/", name)
        stacked: Axes = ("layer",) if row == name and name.startswith("layers/") else ()
        for regex, own in TRANSFORMER_AXES:
            if re.fullmatch(regex, row):
                found = stacked + own
                if regex == NORMALIZER:
                    found = (found + (None,) * leaf.ndim)[: leaf.ndim]
                if len(found) == leaf.ndim:
                    return found
        unmatched.append(f"{name} {tuple(leaf.shape)}")
        return ()

    tree = tree_map_with_path(axes, params)
    if unmatched:
        raise ValueError(f"no row of TRANSFORMER_AXES fits {', '.join(unmatched)}")
    return tree


def param_shardings(params: PyTree, axes: PyTree | None, mesh: Mesh, rules: LogicalRules) -> PyTree:
    """Find the sharding of every parameter.

    A dimension stays whole if its mesh axis does not divide it.

    Args:
        params: arrays or ``ShapeDtypeStruct``s.
        axes: the same tree, with a tuple of logical axes for each array; None: every device holds
            all of them.
        mesh: where they live.
        rules: which mesh axis each logical axis is split over.

    Raises:
        ValueError: the rules or the mesh do not know an axis, the number of axes is wrong, or two
            dimensions of a parameter fall on one mesh axis; the message names the parameter.
    """
    if axes is None:
        return jax.tree.map(lambda _: NamedSharding(mesh, PartitionSpec()), params)

    def sharding(path: KeyPath, leaf: Leaf, logical: Axes) -> NamedSharding:
        name = keystr(path, simple=True, separator="/")
        if len(logical) != leaf.ndim:
            raise ValueError(f"{name} has shape {tuple(leaf.shape)} but axes {logical}")
        mapped = [rules.mesh_axis(axis) for axis in logical]
        used = [axis for axis in mapped if axis is not None]
        if len(set(used)) < len(used):
            raise ValueError(f"{name}: axes {logical} collide on mesh axes {tuple(mapped)}")
        if unknown := set(used) - set(mesh.axis_names):
            raise ValueError(f"{name}: the mesh has no axis {sorted(unknown)}")
        spec = [
            axis if axis is not None and size % mesh.shape[axis] == 0 else None
            for axis, size in zip(mapped, leaf.shape, strict=True)
        ]
        return NamedSharding(mesh, PartitionSpec(*spec))

    return tree_map_with_path(sharding, params, axes)


def optimizer_shardings(optimizer_state: PyTree, params: PyTree, shardings: PyTree) -> PyTree:
    """Find the sharding of every array of an optimizer.

    An array that mirrors a parameter lives where the parameter does; every device holds all others.
    It mirrors the parameter if its path ends in the parameter's path and the shapes agree.  That
    holds for moments inside any chain, mask or partition of optax.

    Args:
        optimizer_state: ``optimizer.init(params)``; arrays or ``ShapeDtypeStruct``s.
        params: the parameters, likewise.
        shardings: of the parameters, all on one mesh.
    """
    homes = {
        _names(path): (leaf.shape, sharding)
        for (path, leaf), sharding in zip(
            tree_leaves_with_path(params), jax.tree.leaves(shardings), strict=True
        )
    }
    mesh = next(sharding.mesh for _, sharding in homes.values())

    def sharding(path: KeyPath, leaf: Leaf) -> NamedSharding:
        names = _names(path)
        suffixes = (names[i:] for i in range(len(names) + 1))  # the longest first
        shape, home = next((homes[s] for s in suffixes if s in homes), (None, None))
        if home is None or shape != leaf.shape:
            return NamedSharding(mesh, PartitionSpec())
        return home

    return tree_map_with_path(sharding, optimizer_state)


def _names(path: KeyPath) -> tuple[str, ...]:
    return tuple(keystr((entry,), simple=True) for entry in path)


def batch_sharding(mesh: Mesh, rules: LogicalRules) -> NamedSharding:
    """The sharding of arrays ``[batch, …]``."""
    return NamedSharding(mesh, PartitionSpec(rules.batch))


def shard(tree: PyTree, shardings: PyTree) -> PyTree:
    """Copy a tree to ``shardings``, which is a tree or one sharding for all arrays."""
    # Without the copy, donating the result would delete the caller's arrays.
    return jax.device_put(tree, shardings, may_alias=False)
