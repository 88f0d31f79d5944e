"""The folder for files that can be made again, and how one of them is made."""

from __future__ import annotations

import datetime
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from attention.errors import InputError

LEAST_SECONDS = "0.2"  # programs that compile faster are not kept


def cache_folder() -> Path:
    """The project's folder for caches: ``$XDG_CACHE_HOME/tale-jax``, or ``~/.cache/tale-jax``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tale-jax"


def use_compilation_cache() -> None:
    """Let JAX keep compiled programs on disk, so that a second run starts fast.

    A folder that ``JAX_COMPILATION_CACHE_DIR`` or ``jax.config`` already names is used instead.
    """
    folder = str(cache_folder() / "programs")
    folder = os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", folder)
    seconds = os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", LEAST_SECONDS)
    jax = sys.modules.get("jax")  # it reads these variables when it is imported
    if jax is not None and jax.config.jax_compilation_cache_dir is None:
        jax.config.update("jax_compilation_cache_dir", folder)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", float(seconds))


def make_once(target: Path, is_made: Callable[[], bool], make: Callable[[], object]) -> None:
    """Make a file or folder of a cache unless it is there.

    Another process that makes the same is waited for, and then nothing is made.

    Args:
        target: the file or folder.
        is_made: whether it is there, whole.
        make: makes it.

    Raises:
        InputError: the folder of the target cannot be written.
    """
    if is_made():
        return
    import filelock  # benchmarks keep no caches, and work without it

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(target.parent / f".{target.name}.lock"):
            if not is_made():
                make()
    except OSError as error:
        raise InputError(f"{target}: cannot be written: {error.strerror or error}") from error


def write_log(program: str, text: str) -> Path:
    """Write a log into the user's cache folder, or where temporary files lie.

    Args:
        program: begins the name of the file.
        text: of the log, such as a traceback.
    """
    folder = cache_folder() / "logs"
    name = f"{program}-{datetime.datetime.now():%Y%m%d-%H%M%S}-{os.getpid()}.log"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    except OSError:
        folder = Path(tempfile.gettempdir())
    (folder / name).write_text(text)
    return folder / name
