"""What all processes of a run are asked to do: one answer, the same to each of them."""

from __future__ import annotations

import contextlib
import math
import signal
from collections.abc import Callable, Iterator

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from attention.processes.interrupts import INTERRUPTED, KINDS, NONE, handled


@contextlib.contextmanager
def stop_requests() -> Iterator[Callable[[], int]]:
    """Yield a function that says whether to stop, to be asked between two steps by all processes.

    It gives 0, or what :func:`raise_stop` takes: the same to all processes.  Of several processes
    it tells what was asked one call before, so that nobody waits for an answer.  A second Ctrl-C
    does not wait for the step.
    """
    asked = [NONE]

    def note(number: int, _: object) -> None:
        kind = KINDS[signal.Signals(number)]
        asked[0] = max(asked[0], kind)
        if kind == INTERRUPTED:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    agree = _Agreement() if jax.process_count() > 1 else None
    with handled(dict.fromkeys(KINDS, note)):
        yield lambda: asked[0] if agree is None else agree(asked[0])


def free_memory() -> float:
    """Bytes that are free on the fullest device of all processes; infinity where none says it."""
    kept = (device.memory_stats() or {} for device in jax.local_devices())
    free = [s["bytes_limit"] - s["bytes_in_use"] for s in kept if "bytes_limit" in s]
    least = min(free, default=math.inf)
    if jax.process_count() == 1:
        return least
    return float(np.min(multihost_utils.process_allgather(np.float32(least))))


class _Agreement:
    """The largest of what all processes say, told one call later."""

    def __init__(self) -> None:
        mesh = Mesh(np.array(jax.devices()), ("all",))
        self._home = NamedSharding(mesh, PartitionSpec("all"))
        whole = NamedSharding(self._home.mesh, PartitionSpec())
        self._largest = jax.jit(lambda flags: flags.max(), out_shardings=whole)
        self._pending: jax.Array | None = None

    def __call__(self, flag: int) -> int:
        own = np.full(jax.local_device_count(), flag, np.int32)
        flags = jax.make_array_from_process_local_data(self._home, own)
        before, self._pending = self._pending, self._largest(flags)
        return NONE if before is None else int(before)
