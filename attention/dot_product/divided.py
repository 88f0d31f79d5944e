"""Attention on a mesh: each device attends for the rows, heads and queries that it has.

The compiler cannot divide a fused kernel by itself.  Where a sequence is divided, keys and values
are gathered and queries stay.  A causal query of a late place sees more keys than an early one.
The sequence therefore has two chunks for each device: of ``n`` devices, device ``d`` attends for
the chunks ``d`` and ``2n − 1 − d``, whose work together is the same for all.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec
from jaxtyping import Array, Float

from attention.dot_product.operands import Form, Operands
from attention.meshes import current, mesh_parts, sharding_of, using

Attend = Callable[[Form, Operands], Array]


def divided(
    attend: Attend, form: Form, operands: Operands, *, always: bool
) -> Float[Array, "B T K G H"]:
    """Run an implementation on each device of the mesh that ``attention.meshes.using`` names.

    Args:
        attend: of one device; its operands may begin at ``visible.first``.
        form: what is static.
        operands: the arrays, as they are without a mesh.
        always: whether rows and heads alone are to be divided here; otherwise the compiler does it.
    """
    if (placement := current()) is None:
        return attend(form, operands)
    batch, length, num_kv, groups = operands.query.shape[:4]

    def part(size: int, logical: str) -> Any:
        return sharding_of(placement, (size,), (logical,)).spec[0]

    places = part(length, "places")
    if places is None and not always:
        return attend(form, operands)
    rows, of_keys, of_groups = part(batch, "batch"), part(num_kv, "kv_heads"), None
    if of_keys is None and mesh_parts(placement, "kv_heads") > 1:
        of_groups = part(groups, "heads")  # devices share a key head
    gathers = places is not None and part(operands.key.shape[1], "places") == places

    def as_scores(x: Array) -> PartitionSpec:  # [] or [#B, #K, #G, #T, #S]
        if x.ndim < 5:
            return PartitionSpec()
        return PartitionSpec(
            None, of_keys if x.shape[1] > 1 else None, of_groups if x.shape[2] > 1 else None
        )

    def of_queries(x: Array | None) -> Any:
        if x is None:
            return None
        own = rows if x.shape[0] == batch else None
        return PartitionSpec(own, places if x.shape[1] == length else None)

    def own(operands: Operands) -> Array:
        with using(None):
            if places is None:
                return attend(form, operands)
            if gathers:
                key, value = (
                    jax.lax.all_gather(x, places, axis=1, tiled=True)
                    for x in (operands.key, operands.value)
                )
                operands = operands._replace(key=key, value=value)
            axes = places if isinstance(places, tuple) else (places,)
            devices = math.prod(placement.mesh.shape[axis] for axis in axes)
            return _of_part(attend, form, operands, axes, devices)

    operands = operands._replace(values=jax.tree.map(jnp.asarray, operands.values))
    keys = PartitionSpec(rows, places if gathers else None, of_keys)
    visible = operands.visible
    fields: Any = {name: of_queries(getattr(visible, name)) for name in ("mask", "query_segments")}
    if visible.key_segments is not None:
        fields["key_segments"] = PartitionSpec(rows)
    parts: dict[str, Any] = {
        "query": PartitionSpec(rows, places, of_keys, of_groups),
        "key": keys,
        "value": keys,
        "values": jax.tree.map(as_scores, operands.values),
        "visible": dataclasses.replace(visible, **fields),
    }
    specs = Operands(**parts)  # of the same tree as the arrays
    on_each = jax.shard_map(
        own, mesh=placement.mesh, in_specs=(specs,), out_specs=specs.query, check_vma=False
    )
    return on_each(operands)


def _of_part(
    attend: Attend, form: Form, operands: Operands, axes: tuple[str, ...], devices: int
) -> Array:
    """Attend for this device's part of the queries, of which all devices have as many."""
    length, device = operands.query.shape[1], jax.lax.axis_index(axes)
    if not operands.visible.causal or length % 2:
        return attend(form, _queries(operands, lambda x: x, device * length))
    homes = [min(chunk, 2 * devices - 1 - chunk) for chunk in range(2 * devices)]
    size = length // 2

    def attended(half: int) -> Array:
        there = [(d, homes[2 * d + half]) for d in range(devices)]
        chunk = jnp.where(device % 2 == half, device, 2 * devices - 1 - device)

        def sent(x: Array) -> Array:
            return jax.lax.ppermute(x[:, half * size : (half + 1) * size], axes, there)

        found = attend(form, _queries(operands, sent, chunk * size))
        return jax.lax.ppermute(found, axes, [(b, a) for a, b in there])

    return jnp.concatenate([attended(0), attended(1)], axis=1)


def _queries(operands: Operands, take: Callable[[Array], Array], first: Array) -> Operands:
    """The operands with some of the queries, and the place of the first of them."""
    visible, length = operands.visible, operands.query.shape[1]
    fields: dict[str, Any] = {"first": first.astype(jnp.int32)}
    if visible.mask is not None and visible.mask.shape[1] == length:
        fields["mask"] = take(visible.mask)
    if visible.query_segments is not None:
        fields["query_segments"] = take(visible.query_segments)
    some = dataclasses.replace(visible, **fields)
    return operands._replace(query=take(operands.query), visible=some)
