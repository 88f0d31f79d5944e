"""Writes the rows of an analysis as a table and as a figure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from attention.files import save_figure, write_table


def write_rows(
    directory: Path,
    name: str,
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[str],
    draw: Callable[[], Figure],
) -> list[Path]:
    """Write ``NAME.csv``, ``NAME.svg`` and ``NAME.png``.

    Args:
        directory: is made if need be.
        name: of the files.
        rows: of the table.
        columns: of the table, in order.
        draw: draws the figure.

    Returns:
        The three files.

    Raises:
        InputError: a file cannot be written.
    """
    files = [directory / f"{name}.{kind}" for kind in ("csv", "svg", "png")]
    write_table(files[0], rows, columns)
    save_figure(draw, *files[1:])
    return files
