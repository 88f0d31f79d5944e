"""Kernels for CUDA: registers, spills and instructions, from what the compiler dumps."""

from __future__ import annotations

import dataclasses
import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

_ENTRY = re.compile(r"\.entry (\w+)\(")
_TARGET = re.compile(r"^\.target (\w+)", re.MULTILINE)
_USED = re.compile(r"Used (\d+) registers")
_SPILLED = re.compile(r"(\d+) bytes spill stores, (\d+) bytes spill loads")
_INSTRUCTION = re.compile(r"^\s+(?:@!?%p\d+ )?([a-z][\w.]*)\b.*;$")
_SERIAL = re.compile("wait is injected|performance loss", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Kernel:
    """A kernel of a program.

    Attributes:
        name: of its entry.
        instructions: of PTX.
        registers: of a thread; None where ptxas is not installed.
        spilled: bytes of a thread that are written to memory and read again.
        serial: whether ptxas puts waits between products on the tensor cores.
    """

    name: str
    instructions: int
    registers: int | None = None
    spilled: int = 0
    serial: bool = False


def find_kernels(folder: Path, named: str = "attention") -> tuple[Kernel, ...]:
    """Find the kernels whose names begin so.

    Args:
        folder: that XLA dumped to (``xla_dump_to``).
        named: the beginning of their names.
    """
    found = {}
    ptxas = _ptxas()
    for file in sorted(folder.glob("*.ptx")):
        text = file.read_text()
        entry = _ENTRY.search(text)
        if entry and entry[1].startswith(named):
            found[entry[1]] = _kernel(entry[1], file, text, ptxas)
    return tuple(found[name] for name in sorted(found))


def _kernel(name: str, file: Path, text: str, ptxas: str | None) -> Kernel:
    count = sum(map(bool, map(_INSTRUCTION.match, text.splitlines())))
    target = _TARGET.search(text)
    if ptxas is None or target is None:
        return Kernel(name, count)
    command = [ptxas, "-v", f"-arch={target[1]}", str(file), "-o", "/dev/null"]
    said = subprocess.run(command, capture_output=True, text=True).stderr
    used, spilled = _USED.search(said), _SPILLED.search(said)
    return Kernel(
        name,
        count,
        None if used is None else int(used[1]),
        0 if spilled is None else sum(map(int, spilled.groups())),
        bool(_SERIAL.search(said)),
    )


def _ptxas() -> str | None:
    """The assembler: on the path, or of NVIDIA's packages."""
    if found := shutil.which("ptxas"):
        return found
    for package in ("nvidia.cu13", "nvidia.cuda_nvcc"):
        try:
            spec = importlib.util.find_spec(package)
        except ModuleNotFoundError:
            continue
        for folder in (spec and spec.submodule_search_locations) or ():
            if (file := Path(folder) / "bin" / "ptxas").exists():
                return str(file)
    return None
