"""Meshes of devices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax
from jax.experimental import mesh_utils
from jax.sharding import AxisType, Mesh

from attention.errors import InputError
from attention.options import AXES


def make_mesh(
    data: int | None = None,
    model: int = 1,
    devices: Sequence[Any] | None = None,
    *,
    fsdp: int = 1,
    dcn: int = 1,
) -> Mesh:
    """Make a mesh ``(dcn, data, fsdp, model)`` of the first devices.

    Args:
        data: how many devices examples are divided over; None or -1: all that are left.
        model: how many devices heads, MLPs and vocabulary are divided over.
        devices: to choose from; None: all.
        fsdp: how many devices both examples and parameters are divided over.
        dcn: how many slices there are, which only a slow network joins; examples are divided.

    One of the numbers may be -1, which takes all devices that are left.

    Raises:
        InputError: there are too few devices, a number does not divide their count, or a process of
            the run would have none.
    """
    whole = devices is None
    devices = jax.devices() if devices is None else devices
    sizes = dict(zip(AXES, (dcn, -1 if data is None else data, fsdp, model), strict=True))
    given = math.prod(size for size in sizes.values() if size != -1)
    if -1 in sizes.values():
        if len(devices) % given:
            names = ",".join(f"{k}={v}" for k, v in sizes.items() if v not in (1, -1))
            raise InputError(f"{names} does not divide the {len(devices)} devices")
        sizes = {k: len(devices) // given if v == -1 else v for k, v in sizes.items()}
    shape = tuple(sizes.values())
    if (count := math.prod(shape)) > len(devices):
        text = " x ".join(map(str, shape[1:] if dcn == 1 else shape))
        raise InputError(f"a mesh of {text} needs more than {len(devices)} device(s)")
    chosen = devices[:count]
    if whole and len({device.process_index for device in chosen}) < jax.process_count():
        raise InputError(
            f"a mesh of {count} device(s) leaves some of {jax.process_count()} processes without "
            f"one: take all {len(devices)}, such as --mesh data=-1"
        )
    types = (AxisType.Auto,) * len(AXES)
    split = {"allow_split_physical_axes": True}  # 32 of 4 x 4 x 4 chips too
    if sizes["dcn"] > 1 and len({getattr(d, "slice_index", 0) for d in chosen}) == sizes["dcn"]:
        within = (1, *shape[1:])
        across = (sizes["dcn"], 1, 1, 1)
        arranged = mesh_utils.create_hybrid_device_mesh(within, across, chosen, **split)
    else:
        arranged = mesh_utils.create_device_mesh(shape, chosen, **split)
    return Mesh(arranged, AXES, types)
