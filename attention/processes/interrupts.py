"""SIGTERM and Ctrl-C in one process; nothing here imports JAX."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import NoReturn

from attention.errors import Preempted

NONE, PREEMPTED, INTERRUPTED = 0, 1, 2
AGAIN = 75  # the exit code that says: saved, run it again
KINDS = {signal.SIGTERM: PREEMPTED, signal.SIGINT: INTERRUPTED}


@contextlib.contextmanager
def preemption() -> Iterator[None]:
    """Turn SIGTERM into ``Preempted`` inside the block, as Ctrl-C is a KeyboardInterrupt."""
    with handled({signal.SIGTERM: _raise_preempted}):
        yield


def raise_stop(kind: int) -> NoReturn:
    """Raise what goes with a request to stop: all is saved by now.

    Raises:
        Preempted: the machine asked for it.
        KeyboardInterrupt: a person did.
    """
    if kind == PREEMPTED:
        _raise_preempted()
    raise KeyboardInterrupt


def _raise_preempted(*_: object) -> NoReturn:
    raise Preempted("preempted; all work is saved")


@contextlib.contextmanager
def handled(handlers: dict[signal.Signals, Callable[..., object]]) -> Iterator[None]:
    """Have signals handled inside the block; they reach the main thread alone."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)
