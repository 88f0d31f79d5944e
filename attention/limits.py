"""How much is read, and how long a program of someone else may run; ``TALE_JAX_LIMITS`` raises it.

::

    TALE_JAX_LIMITS=file=4000,seconds=120 tale search …
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from attention.choices import Choices
from attention.errors import InputError

if sys.platform != "win32":  # which lacks it
    import resource

VARIABLE = "TALE_JAX_LIMITS"
SLOWEST = 10.0  # times the limit, on the clock, where a machine is busy with something else
GRACE = 5.0  # seconds until a program that cannot be interrupted is ended


@dataclasses.dataclass(frozen=True)
class Limit:
    """A limit.

    Attributes:
        usual: its value.
        unit: MiB or s.
        what: it limits.
    """

    usual: float
    unit: str
    what: str


LIMITS = Choices(
    "limit",
    {
        "json": Limit(64, "MiB", "a file that is one JSON object, such as config.json"),
        "line": Limit(16, "MiB", "a line of a file of JSON lines"),
        "file": Limit(512, "MiB", "any other file that is read as a whole, after unpacking"),
        "memory": Limit(1024, "MiB", "what one use of a chat template takes"),
        "seconds": Limit(20, "s", "one use of a chat template or a tokenizer"),
    },
)


def limit(name: str) -> float:
    """The value of a limit: that of the environment, or the usual one.

    Raises:
        InputError: the environment variable cannot be read.
    """
    found = LIMITS.pick(name).usual
    for part in filter(None, os.environ.get(VARIABLE, "").split(",")):
        key, _, text = part.partition("=")
        LIMITS.pick(key.strip())
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if not 0 < value < float("inf"):
            raise InputError(f"{VARIABLE} is written file=4000,seconds=120, not {part!r}")
        if key.strip() == name:
            found = value
    return found


def refused(name: str) -> str:
    """Say which limit something is beyond, and how it is raised."""
    row, value = LIMITS.pick(name), limit(name)
    return f"more than {value:g} {row.unit}: {VARIABLE}={name}={4 * value:g} allows more"


def most_bytes(name: str) -> int:
    """The value of a limit in MiB, as bytes."""
    return int(limit(name) * 2**20)


@contextlib.contextmanager
def in_time(doing: str, compiled: bool = False) -> Iterator[None]:
    """End a block that takes longer than the limit ``seconds``.

    They are seconds of a processor, as long as the clock has not gone on by ten times as many: a
    machine that does much else is slower.

    Python code is interrupted by an alarm.  Compiled code, such as a tokenizer's, cannot be: a few
    seconds later the process ends with one line and code 2.  Outside of the main thread, and on
    Windows, there is no limit.

    Args:
        doing: what takes long, for the error message.
        compiled: whether the block runs compiled code.

    Raises:
        InputError: the time is over.
    """
    if sys.platform == "win32" or threading.current_thread() is not threading.main_thread():
        yield
        return
    seconds, line = limit("seconds"), f"{doing} takes {refused('seconds')}"
    left, done = _left(seconds), threading.Event()

    def ring(*_: object) -> None:
        if (more := left()) <= 0:
            raise InputError(line)
        signal.setitimer(signal.ITIMER_REAL, more)

    before, others = signal.signal(signal.SIGALRM, ring), signal.setitimer(signal.ITIMER_REAL, 0)[0]
    if compiled:
        last = _left(seconds + GRACE)
        threading.Thread(target=_end, args=(line, last, done), daemon=True).start()
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, others)
        signal.signal(signal.SIGALRM, before)
        done.set()


def _left(seconds: float) -> Callable[[], float]:
    """A function that tells how many seconds there are left from now on; 0: none."""
    start, busy = time.monotonic(), time.process_time()

    def left() -> float:
        clock, work = time.monotonic() - start, time.process_time() - busy
        if clock < seconds:
            return seconds - clock
        return max(0.0, seconds - work) if clock < SLOWEST * seconds else 0.0

    return left


def _end(line: str, left: Callable[[], float], done: threading.Event) -> None:
    """End the process when no time is left, unless the work is done."""
    while (more := left()) > 0:
        if done.wait(more):
            return
    if done.is_set():
        return
    os.write(_standard_error[-1], f"{' '.join(line.split())}\n".encode())
    os._exit(2)


@contextlib.contextmanager
def confined(doing: str) -> Iterator[None]:
    """Run Python code that is not trusted, such as a template, bounded in time and in memory.

    Args:
        doing: what it does, for the error message.

    Raises:
        InputError: the time is over.
        MemoryError: it takes more than the limit ``memory``.
    """
    with in_time(doing), contextlib.ExitStack() as stack:
        pages = Path("/proc/self/statm")  # only Linux tells how much is taken now
        if sys.platform != "win32" and pages.is_file():
            most = int(pages.read_text().split()[0]) * resource.getpagesize() + most_bytes("memory")
            soft, hard = resource.getrlimit(resource.RLIMIT_AS)
            if soft == resource.RLIM_INFINITY or most < soft:
                resource.setrlimit(resource.RLIMIT_AS, (most, hard))
                stack.callback(resource.setrlimit, resource.RLIMIT_AS, (soft, hard))
        yield


@contextlib.contextmanager
def native(doing: str) -> Iterator[None]:
    """Run compiled code on data that is not trusted, in time; its panics become one line.

    Such code prints pages on the standard error before its error arrives; they are dropped.

    Args:
        doing: what it does, for the error message.

    Raises:
        InputError: the code fails in a way of its own, or takes too long.
    """
    with in_time(doing, compiled=True), no_pages():
        try:
            yield
        except (InputError, KeyboardInterrupt, SystemExit, MemoryError):
            raise
        except BaseException as error:  # a panic is no Exception
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise InputError(f"{doing} fails: {reason}") from None


_standard_error = [2]
"""The last one is the descriptor that people see, also while ``no_pages`` holds 2."""


@contextlib.contextmanager
def no_pages() -> Iterator[None]:
    """Drop what is written to the file of the standard error."""
    try:
        sys.stderr.flush()
        kept = os.dup(2)
    except (OSError, ValueError, AttributeError):  # there is none
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    _standard_error.append(kept)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        _standard_error.pop()
        os.close(kept)
        os.close(nowhere)
