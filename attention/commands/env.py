"""``tale env``, ``icl env`` and ``attn env``."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from pathlib import Path

import jax

from attention import files
from attention.command_line import Result, command
from attention.limits import LIMITS, limit

PACKAGES = (
    "tale-jax jax jaxlib flax optax orbax-checkpoint transformers tokenizers safetensors numpy "
    "scipy"
).split()
VARIABLES = ("JAX_", "XLA_", "TALE_JAX_", "HF_HUB_OFFLINE", "CUDA_VISIBLE_DEVICES")
SECRETS = ("KEY", "TOKEN", "SECRET", "PASSWORD")


@command
def env() -> Result:
    """Show versions, devices, processor and memory: what a report of a bug needs.

    Returns:
        ``versions, python, system, processor, cores, memory_gib, devices, variables, limits`` and
        ``cache``, the folder for what can be made again.
    """
    values = {
        "versions": {name: _version(name) for name in PACKAGES},
        "python": sys.version.split()[0],
        "system": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": _memory(),
        "devices": [f"{device.platform} {device.device_kind}" for device in jax.devices()],
        "variables": {
            name: value
            for name, value in sorted(os.environ.items())
            if name.startswith(VARIABLES) and not any(word in name for word in SECRETS)
        },
        "limits": {name: limit(name) for name in LIMITS},
        "cache": files.cache_folder(),
    }
    return Result(values, *(f"{name:12} {_shown(value)}" for name, value in values.items()))


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    """The model of the processor, as Linux tells it, or its kind."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _memory() -> float | None:
    """GiB of memory of the machine, where it can be told."""
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (ValueError, OSError, AttributeError):
        return None


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return (
            ", ".join(f"{name} {'absent' if x is None else x}" for name, x in value.items())
            or "none"
        )
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
