"""Reading the ``metrics.jsonl`` of a training: a line for each logged step."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from attention.files import Natural, Record, read_json_lines, shaped

Number = float | Literal["nan", "inf", "-inf"]


class Metrics(msgspec.Struct):
    """What every line has; it has other numbers too."""

    step: Natural
    loss: Number


def read_metrics(run: str | Path) -> list[Record]:
    """Read the metrics of a run.

    Args:
        run: the directory of the run, or its ``metrics.jsonl``.

    Returns:
        The lines in their order.  Each has the number ``step`` and numbers by name, ``loss`` among
        them; what is not finite is the text ``nan``, ``inf`` or ``-inf``, which ``float`` reads.

    Raises:
        InputError: there is no such file, or a line is not one of metrics.
    """
    path = Path(run)
    path = path / "metrics.jsonl" if path.is_dir() else path
    numbers, required = shaped(dict[str, Number | None]), shaped(Metrics)
    return read_json_lines(path, lambda line: required(numbers(line)))
