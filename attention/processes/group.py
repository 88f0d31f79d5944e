"""The processes of a run, joined by ``jax.distributed``; one process alone needs nothing."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

import jax
import numpy as np
from jax.experimental import multihost_utils
from jaxtyping import Array, PyTree

from attention.errors import InputError
from attention.processes.environment import find_group

PATIENCE = 300  # seconds in which all processes must have come
SILENCE = 30  # seconds after which a process that says nothing counts as lost
LOST = ("Gloo", "UNAVAILABLE", "heartbeat", "DEADLINE_EXCEEDED", "coordination service", "NCCL")


def start() -> None:
    """Join the processes that the environment names; call it before JAX is used.

    Raises:
        InputError: the environment is incomplete, or the others do not come.
    """
    group = find_group(os.environ)
    if group is None or jax.distributed.is_initialized():
        return
    # On CPUs, programs that wait for other processes take the threads of those that they wait for:
    # one at a time then.  Other devices do not read this.
    jax.config.update("jax_cpu_enable_async_dispatch", group.count == 1)
    try:
        jax.distributed.initialize(
            group.address,
            group.count,
            group.index,
            initialization_timeout=PATIENCE,
            heartbeat_timeout_seconds=SILENCE,
            shutdown_timeout_seconds=SILENCE,
        )
    except (ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"the processes of this run do not find each other: {reason}") from error
    _print_alone()


def _print_alone() -> None:
    """Libraries that print by themselves (Gloo) do so on standard error from here on.

    Standard output is then what a command answers, and nothing else.
    """
    sys.stdout.flush()
    ours = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = os.fdopen(ours, "w", encoding="utf-8")


def is_main() -> bool:
    """Whether this is the process that claims directories and writes files."""
    return jax.process_index() == 0


def wait_for_all(name: str) -> None:
    """Wait until all processes are here."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(name)


def own_folder(folder: Path) -> Path:
    """The folder that this process writes to: of the first one ``folder``, of others a copy of it.

    All processes then do the same work, and one result is kept.
    """
    if jax.process_count() == 1:
        return folder
    if not is_main():
        scratch = Path(tempfile.mkdtemp(prefix="process-"))
        atexit.register(shutil.rmtree, scratch, ignore_errors=True)
        if folder.is_dir():
            shutil.copytree(folder, scratch / folder.name, ignore=shutil.ignore_patterns(".lock"))
        folder = scratch / folder.name
    wait_for_all("folders")
    return folder


def gathered(tree: PyTree) -> PyTree:
    """The same arrays, whole on this host where they lie on the devices of several."""

    def whole(x: Array) -> Array | np.ndarray:
        if not isinstance(x, jax.Array) or x.is_fully_addressable or x.is_fully_replicated:
            return x
        return np.asarray(multihost_utils.process_allgather(x, tiled=True))

    return tree if jax.process_count() == 1 else jax.tree.map(whole, tree)


def is_lost(error: BaseException) -> bool:
    """Whether an error says that another process of the run is gone."""
    if "jax" not in sys.modules or jax.process_count() == 1:
        return False
    return isinstance(error, jax.errors.JaxRuntimeError) and any(w in str(error) for w in LOST)


def leave(code: int) -> None:
    """End this process at once if there are others, which it would wait for in vain."""
    if jax.distributed.is_initialized() and jax.process_count() > 1:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)
