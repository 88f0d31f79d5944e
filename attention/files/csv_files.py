"""Tables as CSV files."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attention.errors import InputError
from attention.files.reading import read_bytes
from attention.files.writing import write_bytes


def write_table(
    path: str | Path, rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None = None
) -> None:
    """Replace a CSV file as a whole.

    Args:
        path: of the file; it is packed if the name ends in ``.gz``.
        rows: cells by column. The items of a list are joined by spaces, as in ``3 5``. A cell that
            is None or missing stays empty.
        columns: in order; None: every key of the rows, in the order of its first appearance.

    Raises:
        InputError: the file cannot be written.
    """
    if columns is None:
        columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(row.get(column)) for column in columns] for row in rows)
    content = text.getvalue().encode()
    packed = Path(path).suffix == ".gz"
    write_bytes(path, gzip.compress(content, mtime=0) if packed else content)


def _cell(value: Any) -> Any:
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else value


def read_table(path: str | Path) -> list[dict[str, str]]:
    """Read the rows of a CSV file, packed or not, every cell as text.

    Raises:
        InputError: the file cannot be read as a table.
    """
    content = read_bytes(path)
    try:
        text = content.decode()
        rows = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as a table: {error}") from error
    for number, row in enumerate(rows, start=1):
        if None in row or None in row.values():
            raise InputError(f"{path}: row {number} has more or fewer cells than the first line")
    return rows
