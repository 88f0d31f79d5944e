"""Units of long work: a finished one leaves a small file, which a later run reads instead."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attention.errors import InputError
from attention.files.reading import read_json
from attention.files.writing import write_json


def file_name(name: str) -> str:
    """Make the name of a file or folder of the name of an experiment: ``a, b/c`` is ``a-b-c``."""
    return re.sub(r"[^\w+.-]+", "-", name).strip("-")


def finished(file: Path, compute: Callable[[], Any]) -> Any:
    """Return what a unit of work found: read if its file is there, otherwise computed and written.

    Args:
        file: a small JSON file, which is kept with the results.  Beside ``found`` it has the
            minutes that the last call took, of the clock and of processors.
        compute: returns a JSON value; what JSON does not have is written as text.
    """
    if not file.is_file():
        clock, work = time.monotonic(), time.process_time()
        found = json.loads(json.dumps(compute(), default=str))
        minutes = (time.monotonic() - clock) / 60, (time.process_time() - work) / 60
        took = dict(zip(("clock", "processors"), (round(m, 2) for m in minutes), strict=True))
        file.parent.mkdir(parents=True, exist_ok=True)
        write_json(file, {"found": found, "minutes": took})
    return read_json(file)["found"]


def found_in(file: Path) -> Any:
    """What a finished unit found; None if its file is not there."""
    return read_json(file)["found"] if file.is_file() else None


def attempt(file: Path, compute: Callable[[], Any]) -> tuple[Any, str | None]:
    """As `finished`, for one of several units: what it found, or None and why it cannot run."""
    try:
        return finished(file, compute), None
    except InputError as error:
        return None, str(error)
