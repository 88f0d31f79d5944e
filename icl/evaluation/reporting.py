"""The report of an evaluation: CSV files, a figure, and tables for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attention import files
from attention.terminal import plain_table
from icl.evaluation.figures import draw
from icl.tasks import Row, Task

ROWS = 60  # of a table that is shown; the file has all of them


def write_report(out: Path, task: Task, rows: Sequence[Row], positions: Sequence[Row]) -> list[Any]:
    """Write ``errors.csv``, ``positions.csv`` and, if a figure can show it, ``errors.png``.

    Args:
        out: directory.
        task: that was tested.
        rows: scores, as `evaluate` returns them.
        positions: errors by position, as `evaluate` returns them.

    Returns:
        Tables and lines for the terminal, in their order.

    Raises:
        InputError: a file cannot be written.
    """
    files.write_table(out / "errors.csv", rows)
    files.write_table(out / "positions.csv", positions)
    figure, reason = draw(task, rows, positions)
    if figure is not None:
        files.save_figure(figure, out / "errors.png")
    return [*([reason] if reason else []), *tables(task, rows, out / "errors.csv")]


def tables(task: Task, rows: Sequence[Row], file: Path) -> list[Any]:
    """The tables of rows for the terminal, and a line that names the file with all rows."""
    shown: list[Any] = []
    left = 0
    for listing in task.listings(rows):
        left += max(0, len(listing.rows) - ROWS)
        shown += ["", listing.title] if listing.title else []
        shown.append(plain_table(listing.columns, listing.rows[:ROWS], words=1))
    return [*shown, f"\n{file}{f', {left} rows more' if left else ''}"]
