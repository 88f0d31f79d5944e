"""Runs the tests of a module in a fork, in which the module is changed; no file is changed."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.util
import math
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from mutants.changes import ROOT, Mutant
from mutants.modules import MODULES

PACKAGES = ("attention", "icl", "tale_jax")
PRELOADED = (
    "pytest hypothesis jax jax.numpy flax.linen optax numpy scipy.stats scipy.special transformers "
    "tokenizers safetensors.numpy transformers.tokenization_utils_tokenizers msgspec filelock "
    "sklearn.linear_model sklearn.tree"
).split()
CAUGHT, BROKEN = 1, 2  # exit codes of pytest
PATIENCE, SLOWER = 20.0, 5.0  # processor seconds, and times as long as the undisturbed tests
ASLEEP = 20.0  # times as long on the clock, for what waits for ever


class _Changed(importlib.abc.MetaPathFinder, importlib.abc.SourceLoader):
    """Imports one module from a text."""

    def __init__(self, file: str, source: str):
        self._name = file.removesuffix(".py").replace("/", ".")
        self._path, self._source = str(ROOT / file), source

    def find_spec(self, fullname: str, path: object, target: ModuleType | None = None) -> Any:
        if fullname != self._name:
            return None
        return importlib.util.spec_from_file_location(fullname, self._path, loader=self)

    def get_filename(self, fullname: str) -> str:
        return self._path

    def get_data(self, path: str | bytes) -> bytes:
        if str(path) != self._path:
            raise OSError(path)  # no compiled file
        return self._source.encode()


def start_worker() -> None:
    """Prepare a process: what tests import is imported, and nothing is computed before a fork."""
    os.environ |= {"JAX_PLATFORMS": "cpu", "HF_HUB_OFFLINE": "1", "USE_TORCH": "0"}
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # they take longer than most tests
    os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")
    cache = Path(tempfile.gettempdir()) / "tale-jax-tests"  # most programs stay as they are
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(cache))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.05")
    sys.path.insert(0, str(ROOT))
    os.chdir(ROOT)
    for name in PRELOADED:
        importlib.import_module(name)
    settings = importlib.import_module("hypothesis").settings
    settings.register_profile("mutants", deadline=None, derandomize=True)  # the same every time
    settings.load_profile("mutants")


def undisturbed(module: str) -> float:
    """Seconds that the tests of a module take; a first time compiles.

    Raises:
        RuntimeError: they fail.
    """
    for _ in range(2):
        start = time.monotonic()
        if code := _forked(lambda: _tested(module, None), 600.0):
            raise RuntimeError(f"the tests of {module} fail without a change, with code {code}")
    return time.monotonic() - start


def try_one(mutant: Mutant, seconds: float) -> dict[str, str]:
    """Try a mutant, and say how it ended: caught, lived, or broken, if it cannot be imported."""
    changed = _Changed(mutant.file, mutant.source)
    code = _forked(lambda: _tested(mutant.module, changed), PATIENCE + SLOWER * seconds)
    end = {0: "lived", BROKEN: "broken"}.get(code, "caught")
    return {"key": mutant.key, "end": end}


def _tested(module: str, changed: _Changed | None) -> int:
    import pytest

    for name in [name for name in sys.modules if name.split(".")[0] in PACKAGES]:
        del sys.modules[name]
    if changed is not None:
        sys.meta_path.insert(0, changed)
    row = MODULES[module]
    alone = [] if row.fixtures else ["--noconftest"]
    quiet = ["-W", "ignore:Module already imported"]  # what was imported before the fork
    return pytest.main(["-x", "-q", "-p", "no:cacheprovider", *quiet, *alone, *row.tests])


def _forked(work: Callable[[], int], seconds: float) -> int:
    """The code with which work ends in a fork; that of a failure if it takes too long.

    Processor seconds count, so that a busy machine catches nothing.
    """
    start, process = time.monotonic(), os.fork()
    if process == 0:
        code = CAUGHT
        try:
            os.setsid()
            resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(seconds),) * 2)
            for number in (1, 2):
                os.dup2(os.open(os.devnull, os.O_WRONLY), number)
            code = int(work())
        finally:
            os._exit(code)
    while True:
        found, status = os.waitpid(process, os.WNOHANG)
        if found:
            code = os.waitstatus_to_exitcode(status)
            return CAUGHT if code < 0 else code
        if time.monotonic() - start > ASLEEP * seconds:
            os.killpg(process, signal.SIGKILL)
            os.waitpid(process, 0)
            return CAUGHT
        time.sleep(0.005)
