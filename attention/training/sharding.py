"""Where parameters, moments and batches live on a mesh.

A parameter has *logical* axes, such as ``embed`` and ``heads``, by a table.  ``LogicalRules`` of
``attention.meshes`` says which mesh axes, if any, each of them is split over.
"""

from __future__ import annotations

import dataclasses
import math
import re

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jax.tree_util import KeyEntry, keystr, tree_leaves_with_path, tree_map_with_path
from jaxtyping import PyTree

from attention.meshes import LogicalRules, Placement, sharding_of

Axes = tuple[str | None, ...]  # logical axes of one array
Leaf = jax.Array | jax.ShapeDtypeStruct
KeyPath = tuple[KeyEntry, ...]


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

    A dimension stays whole if its mesh axes do not divide it.

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
        try:
            own = _scattered(leaf.shape, logical, mesh, rules)
            return sharding_of(Placement(mesh, own), leaf.shape, logical)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None

    return tree_map_with_path(sharding, params, axes)


def _scattered(
    shape: tuple[int, ...], logical: Axes, mesh: Mesh, rules: LogicalRules
) -> LogicalRules:
    """The rules by which a parameter lies whose gradient is to be summed into parts.

    A TPU scatters a sum along an array's rows.  Along its last axis it sums the whole array on
    every device, at twice the cost.  A kernel that ends in ``embed`` therefore gives the devices of
    that axis to its heads or to the MLP's axis, if they divide it.
    """
    devices = rules.mesh_axes("embed")
    if logical[-1:] != ("embed",) or all(mesh.shape.get(each, 1) == 1 for each in devices):
        return rules
    for size, axis in zip(shape, logical, strict=True):
        if axis in ("mlp", "heads"):
            axes = rules.mesh_axes(axis) + devices
            known = {*axes} <= {*mesh.axis_names}
            if known and not size % math.prod(mesh.shape[each] for each in axes):
                return dataclasses.replace(rules, embed=None, **{axis: axes})
    return rules


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


def batch_sharding(
    mesh: Mesh, rules: LogicalRules, axes: tuple[str, ...] = ("batch",)
) -> NamedSharding:
    """The sharding of arrays whose first logical axes are ``axes``; other axes stay whole."""
    return NamedSharding(mesh, PartitionSpec(*(rules.mesh_axes(axis) or None for axis in axes)))


def shard(tree: PyTree, shardings: PyTree) -> PyTree:
    """Copy a tree to ``shardings``, which is a tree or one sharding for all arrays."""
    # Without the copy, donating the result would delete the caller's arrays.
    return jax.device_put(tree, shardings, may_alias=False)
