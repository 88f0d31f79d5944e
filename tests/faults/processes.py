"""Runs a command in a process with limits, and says how it ended."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

# A machine that does much else needs more seconds.
MOST_SECONDS = float(os.environ.get("FAULTS_SECONDS", "30"))
MOST_MEMORY = 2 * 2**30
CODES = {0: "done", 2: "refused", 75: "preempted", 130: "interrupted"}
ROOT = Path(__file__).parents[2]


@dataclasses.dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        code: of its exit; negative for a signal, None if it hung.
        out: what it printed.
        err: what it printed on the standard error.
        memory: the most that it took, in bytes.
        seconds: that it took.
        work: seconds of a processor that it took.
    """

    code: int | None
    out: str
    err: str
    memory: int
    seconds: float
    work: float = 0.0

    @property
    def fault(self) -> str:
        """What is wrong with the way in which it ended; empty if nothing is."""
        if self.code is None:
            return f"a hang of more than {MOST_SECONDS:g} s"
        if self.memory > MOST_MEMORY:
            return f"{self.memory / 2**30:.1f} GiB"
        if "Traceback" in self.err or "panicked" in self.err:
            return f"a traceback: {self.err.strip().splitlines()[-1][:300]}"
        if self.code not in CODES:
            return f"code {self.code}: {self.err.strip()[-300:]}"
        if self.code and not self.err.strip():
            return f"code {self.code} without a word"
        return ""


def run(
    work: Callable[[], object] | Sequence[str],
    scratch: Path,
    *,
    kill_after: float | None = None,
    file_size: int | None = None,
    seconds: float = MOST_SECONDS,
) -> Ended:
    """Run a function in a fork of this process, or words in a process of their own.

    Args:
        work: the function, or the words of a command line.
        scratch: folder in which it works.
        kill_after: seconds after which it is killed.
        file_size: bytes that a file may have, as if the disk were full.
        seconds: after which it hangs.
    """
    pipes = [os.pipe(), os.pipe()]  # a file would be as full as the disk
    start, process = time.monotonic(), os.fork()
    if process == 0:
        _child(work, [there for _, there in pipes], scratch, file_size)
    said: list[bytes] = [b"", b""]
    readers = [
        threading.Thread(target=_read, args=(here, said, i)) for i, (here, _) in enumerate(pipes)
    ]
    for (_, there), reader in zip(pipes, readers, strict=True):
        os.close(there)
        reader.start()
    patience = seconds if kill_after is None else kill_after
    while True:
        found, status, used = os.wait4(process, os.WNOHANG)
        late = time.monotonic() - start > patience
        if found:
            code: int | None = os.waitstatus_to_exitcode(status)
            break
        if late:
            os.killpg(process, signal.SIGKILL)
            _, _, used = os.wait4(process, 0)
            code = None if kill_after is None else -signal.SIGKILL
            break
        time.sleep(0.002)
    for reader in readers:
        reader.join(5)  # what the process started may live on
    out, err = (text.decode(errors="replace") for text in said)
    took, busy = time.monotonic() - start, used.ru_utime + used.ru_stime
    return Ended(code, out, err, used.ru_maxrss * 1024, took, busy)


def _read(pipe: int, said: list[bytes], place: int) -> None:
    with os.fdopen(pipe, "rb") as stream:
        while part := stream.read1(2**16):
            said[place] += part


def _child(
    work: Callable[[], object] | Sequence[str],
    pipes: Sequence[int],
    scratch: Path,
    file_size: int | None,
) -> None:
    code = 70
    try:
        os.setsid()
        for number, pipe in enumerate(pipes, start=1):
            os.dup2(pipe, number)
        os.chdir(scratch)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        if file_size is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))
        if not callable(work):
            os.execve(sys.executable, [sys.executable, *work], _environment())
        sys.stdout = open(1, "w", buffering=1, encoding="utf-8")  # noqa: SIM115
        sys.stderr = open(2, "w", buffering=1, errors="backslashreplace")  # noqa: SIM115
        sys.__stdout__, sys.__stderr__ = sys.stdout, sys.stderr
        try:
            work()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _environment() -> dict[str, str]:
    paths = [str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def prints(folder: Path) -> dict[str, str]:
    """A hash of each file below a folder, by its name; pipes and devices by their kind."""
    found = {}
    for file in sorted(folder.rglob("*")):
        name = str(file.relative_to(folder))
        if file.is_file() and not file.is_symlink():
            found[name] = hashlib.blake2b(file.read_bytes(), digest_size=8).hexdigest()
        else:
            found[name] = f"mode {file.lstat().st_mode:o}"
    return found
