"""Machines that a step can be compiled for, without being there."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import re
from collections.abc import Mapping
from typing import Any

import jax
from jax.experimental import topologies

from attention.choices import Choices
from attention.errors import InputError

GIB = 2**30
# What the compilers ask of their environment.  No device is looked for.
ENVIRONMENT = {
    "TPU_SKIP_MDS_QUERY": "1",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_ACCELERATOR_TYPE": "v5litepod-1",
    "JAX_PLATFORMS": "cpu",
    "JAX_SKIP_CUDA_CONSTRAINTS_CHECK": "1",
    "CUDA_VISIBLE_DEVICES": "-1",
}


@dataclasses.dataclass(frozen=True)
class Chip:
    """A kind of chip, by the numbers of its maker.

    Attributes:
        platform: that JAX compiles for.
        memory: bytes that a program can use.
        flops: products and sums a second in bfloat16.
        bandwidth: bytes a second from its memory.
        link: bytes a second that a chip sends and receives along one axis of the network.
        shapes: the arrangement of each number of chips.
        options: of the compiler, and why stands where they are set.
    """

    platform: str
    memory: float
    flops: float
    bandwidth: float
    link: float
    shapes: dict[int, str]
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)


_FLAT = {1: "1x1", 4: "2x2", 8: "2x4", 16: "4x4", 32: "4x8", 64: "8x8", 128: "8x16", 256: "16x16"}
_CUBES = {
    1: "1x1x1", 4: "2x2x1", 8: "2x2x2", 16: "2x2x4", 32: "2x4x4", 64: "4x4x4", 128: "4x4x8",
    256: "4x8x8", 512: "8x8x8",
}  # fmt: skip
# Tiles of Triton's products are tuned by running them.  Without a GPU, a default may not divide a
# small product, which is then refused: cuBLAS has them all.
_UNTUNED = {"xla_gpu_enable_triton_gemm": False}
CHIPS = Choices(
    "kind of chip",
    {
        "v5e": Chip("tpu", 15.75 * GIB, 197e12, 0.82e12, 90e9, _FLAT),
        "v5p": Chip("tpu", 95 * GIB, 459e12, 2.76e12, 180e9, _CUBES),
        "v6e": Chip("tpu", 31.25 * GIB, 918e12, 1.64e12, 180e9, _FLAT),
        "h200": Chip(
            "cuda", 131 * GIB, 989e12, 4.8e12, 450e9, {n: str(n) for n in (1, 2, 4, 8)}, _UNTUNED
        ),
    },
)
"""Kinds of chips by name; a link counts both directions of one axis, as a ring uses them."""
# What XLA asks of a GPU that is not here (GpuTargetConfigProto), by the maker's data sheets.
_H200 = """
gpu_device_info {
  threads_per_block_limit: 1024
  threads_per_warp: 32
  shared_memory_per_block: 49152
  shared_memory_per_block_optin: 232448
  shared_memory_per_core: 233472
  threads_per_core_limit: 2048
  core_count: 132
  fpus_per_core: 128
  block_dim_limit_x: 2147483647
  block_dim_limit_y: 65535
  block_dim_limit_z: 65535
  memory_bandwidth: 4800000000000
  l2_cache_size: 62914560
  clock_rate_ghz: 1.98
  device_memory_size: 150754820096
  cuda_compute_capability { major: 9 }
  registers_per_core_limit: 65536
  registers_per_block_limit: 65536
}
platform_name: "CUDA"
dnn_version_info { major: 9 minor: 10 patch: 0 }
device_description_str: "NVIDIA H200"
"""


@dataclasses.dataclass(frozen=True)
class Target:
    """Some chips of a kind.

    Attributes:
        name: such as ``v5e-16``.
        kind: a key of ``CHIPS``.
        count: how many chips.
    """

    name: str
    kind: str
    count: int

    @property
    def chip(self) -> Chip:
        """The kind of its chips."""
        return CHIPS.pick(self.kind)

    def devices(self) -> list[Any]:
        """The devices of its topology: they compile, and compute nothing.

        Raises:
            InputError: the compiler of the platform is not installed.
        """
        if self.chip.platform == "cuda":
            return self._cuda()
        shape = self.chip.shapes[self.count]
        if importlib.util.find_spec("libtpu") is None:
            raise InputError(f"{self.name} needs libtpu: pip install 'tale-jax[tpu]'")
        alone = {"chips_per_host_bounds": (1, 1, 1)} if self.count == 1 else {}
        try:
            name = f"{self.kind}:{shape}"
            return list(topologies.get_topology_desc(name, "tpu", **alone).devices)
        except (RuntimeError, ValueError, jax.errors.JaxRuntimeError) as error:
            reason = " ".join(str(error).split())[:160]
            raise InputError(
                f"{self.name}: the compiler for TPUs does not start: {reason}"
            ) from error

    def _cuda(self) -> list[Any]:
        installed = map(importlib.util.find_spec, ("jax_cuda12_plugin", "jax_cuda13_plugin"))
        if not any(installed):
            raise InputError(f"{self.name} needs the compiler: pip install 'tale-jax[cuda]'")
        how = {"target_config": _H200, "topology": f"1x1x{self.count}"}
        try:
            return list(topologies.get_topology_desc("", "cuda", **how).devices)
        except (RuntimeError, ValueError, jax.errors.JaxRuntimeError) as error:
            reason = " ".join(str(error).split())[:160]
            raise InputError(
                f"{self.name}: the compiler for CUDA does not start: {reason}"
            ) from error


def prepare() -> None:
    """Set what compilers ask of the environment, where it is not set; before JAX is used."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def find_target(text: str) -> Target:
    """Read a target: a kind of chip and their number, such as ``v5e-256``; ``h200`` is one.

    Raises:
        InputError: there is no such kind, or no such number of it.
    """
    kind, _, count = text.partition("-")
    chip = CHIPS.pick(kind)
    if not re.fullmatch(r"\d*", count) or int(count or 1) not in chip.shapes:
        counts = ", ".join(f"{kind}-{n}" for n in chip.shapes)
        raise InputError(f"unknown target {text!r}; there are {counts}")
    return Target(text, kind, int(count or 1))
