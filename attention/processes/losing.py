"""The end of another process of the run: one line here, and not what compiled libraries write."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from pathlib import Path
from typing import Any

from attention.processes.interrupts import AGAIN

_held: list[Any] = []  # the handler, which must live as long as the process


def end_in_one_line(line: str, log: Path) -> None:
    """Make the loss of another process end this one with a line and exit code 75.

    JAX's runtime notices within ``SILENCE`` seconds that a process is gone.  It then aborts this
    one from a thread of its own, whatever Python does.  The handler of that abort writes the line.

    Args:
        line: what is written to the standard error.
        log: where what compiled libraries write to the standard error goes instead.
    """
    if _held:
        return
    with contextlib.suppress(OSError):
        shown = os.dup(2)
        with log.open("ab") as noise:
            os.dup2(noise.fileno(), 2)
        sys.stderr = os.fdopen(shown, "w", buffering=1, errors="backslashreplace")

        def aborted(_: int) -> None:
            os.write(shown, f"{line}\n".encode(errors="backslashreplace"))
            os._exit(AGAIN)

        _held.append(ctypes.CFUNCTYPE(None, ctypes.c_int)(aborted))
        ctypes.CDLL(None).signal(int(signal.SIGABRT), _held[0])
