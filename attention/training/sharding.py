"""Where arrays live: a mesh of data × model, and rules from logical axes to its axes.

A parameter has *logical* axes (``embed``, ``heads`` …); :class:`LogicalRules` says which mesh axis,
if any, each of them is split over.  One device is the mesh 1 × 1: nothing else changes.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from typing import Any

import jax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from attention.errors import InputError

PyTree = Any


@dataclasses.dataclass(frozen=True)
class LogicalRules:
    """Logical axis → mesh axis; None leaves the axis whole on every device."""

    batch: str | None = "data"
    layer: str | None = None
    vocab: str | None = "model"
    embed: str | None = None
    embed_out: str | None = None
    heads: str | None = "model"
    kv_heads: str | None = "model"
    head_dim: str | None = None
    mlp: str | None = "model"
    input: str | None = None
    position: str | None = None
    type: str | None = None
    labels: str | None = None

    def mesh_axis(self, logical: str | None) -> str | None:
        """The mesh axis of a logical axis; ValueError for a name that no rule knows."""
        if logical is None:
            return None
        if logical not in {field.name for field in dataclasses.fields(self)}:
            raise ValueError(f"no rule for the logical axis {logical!r}")
        return getattr(self, logical)


# Path of a parameter → its logical axes, without the leading `layer` of stacked layers.  A final
# `...` fits any rank: a normalizer's parameter is one number, or one per head.
TRANSFORMER_AXES: tuple[tuple[str, tuple[Any, ...]], ...] = (
    (r"embed/embedding", ("vocab", "embed")),
    (r"embed/kernel", ("input", "embed")),
    (r"embed/bias", ("embed",)),
    (r"position_embedding/embedding", ("position", "embed")),
    (r"token_type_embedding/embedding", ("type", "embed")),
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
    (r"(layers/attention/)?normalizer/\w+", ("heads", ...)),
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
    """Mesh ``(data, model)`` over the first ``data * model`` devices.

    Args:
        data: devices that examples are divided over; None or -1: all that are left.
        model: devices that parameters are divided over; -1: all that are left.
        devices: to choose from; None: all.

    Raises:
        InputError: there are too few devices, or one number does not divide how many there are.
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
    """Logical axes of every parameter of the transformer, layers stacked or unstacked.

    Args:
        params: arrays or ``ShapeDtypeStruct``s, without the outer ``"params"``.

    Returns:
        A tree of the same structure with a tuple of names in place of each array.

    Raises:
        ValueError: naming every parameter that no row of :data:`TRANSFORMER_AXES` fits.
    """
    unmatched: list[str] = []

    def axes(path: Any, leaf: Any) -> tuple[Any, ...]:
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        row = re.sub(r"^layers/\d+/", "layers/", name)
        stacked = ("layer",) if row == name and name.startswith("layers/") else ()
        rank = leaf.ndim - len(stacked)
        for regex, found in TRANSFORMER_AXES:
            if re.fullmatch(regex, row) and (len(found) == rank or found[-1] is ...):
                free = found[-1] is ...
                return stacked + ((found[:-1] + (None,) * rank)[:rank] if free else found)
        unmatched.append(f"{name} {tuple(leaf.shape)}")
        return ()

    tree = jax.tree_util.tree_map_with_path(axes, params)
    if unmatched:
        raise ValueError(f"no row of TRANSFORMER_AXES fits {', '.join(unmatched)}")
    return tree


def param_shardings(params: PyTree, axes: PyTree | None, mesh: Mesh, rules: LogicalRules) -> PyTree:
    """Sharding of every parameter; a dimension that its mesh axis does not divide stays whole.

    Args:
        params: arrays or ``ShapeDtypeStruct``s.
        axes: the same tree with a tuple of logical axes per array; None replicates all of them.
        mesh: where they live.
        rules: logical axis → mesh axis.

    Raises:
        ValueError: an axis unknown to the rules or the mesh, a wrong number of axes, or two
            dimensions of one parameter on one mesh axis; the parameter is named.
    """
    if axes is None:
        return jax.tree.map(lambda _: NamedSharding(mesh, PartitionSpec()), params)

    def sharding(path: Any, leaf: Any, logical: tuple[Any, ...]) -> NamedSharding:
        name = jax.tree_util.keystr(path, simple=True, separator="/")
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

    return jax.tree_util.tree_map_with_path(sharding, params, axes)


def optimizer_shardings(optimizer_state: PyTree, params: PyTree, shardings: PyTree) -> PyTree:
    """Every array of an optimizer that mirrors a parameter lives where that parameter does.

    An array mirrors a parameter if its path ends in the parameter's and the shapes agree, which
    holds for moments inside any chain, mask or partition of optax; all others are replicated.

    Args:
        optimizer_state: abstract or concrete ``optimizer.init(params)``.
        params: abstract or concrete parameters.
        shardings: their shardings, all on one mesh.
    """
    homes = {
        _names(path): (leaf.shape, sharding)
        for (path, leaf), sharding in zip(
            jax.tree_util.tree_leaves_with_path(params), jax.tree.leaves(shardings), strict=True
        )
    }
    mesh = next(sharding.mesh for _, sharding in homes.values())

    def sharding(path: Any, leaf: Any) -> NamedSharding:
        names = _names(path)
        suffixes = (names[i:] for i in range(len(names) + 1))  # the longest first
        shape, home = next((homes[s] for s in suffixes if s in homes), (None, None))
        if home is None or shape != leaf.shape:
            return NamedSharding(mesh, PartitionSpec())
        return home

    return jax.tree_util.tree_map_with_path(sharding, optimizer_state)


def _names(path: Any) -> tuple[str, ...]:
    return tuple(jax.tree_util.keystr((entry,), simple=True) for entry in path)


def batch_sharding(mesh: Mesh, rules: LogicalRules) -> NamedSharding:
    """Sharding of arrays ``[batch, …]``."""
    return NamedSharding(mesh, PartitionSpec(rules.batch))


def shard(tree: PyTree, shardings: PyTree) -> PyTree:
    """A copy of the tree on ``shardings`` (a tree, or one for all): never an alias of the input."""
    # Without the copy, donating the result would delete the caller's own arrays.
    return jax.device_put(tree, shardings, may_alias=False)
