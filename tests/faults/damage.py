"""Damage to files: of their bytes, and of each field of JSON, of tables and of lines."""

from __future__ import annotations

import csv
import io
import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

VALUES: dict[str, Any] = {
    "text": "abc",
    "negative": -1,
    "huge": 10**30,
    "large": 99,
    "NaN": float("nan"),
    "infinite": float("inf"),
    "half": 0.5,
    "null": None,
    "list": [],
    "object": {},
    "true": True,
    "markup": "<script>alert(1)</script>\u202e\x00",
}
GONE = "gone"


def _cut(share: float) -> Callable[[Path], None]:
    def damage(file: Path) -> None:
        data = file.read_bytes()
        file.write_bytes(data[: int(len(data) * share)])

    return damage


def _flip(seed: int) -> Callable[[Path], None]:
    def damage(file: Path) -> None:
        data, number = bytearray(file.read_bytes()), random.Random(f"{seed} {file.name}")
        if data:
            data[number.randrange(len(data))] ^= 1 << number.randrange(8)
        file.write_bytes(data)

    return damage


def _replaced(by: Callable[[Path], object]) -> Callable[[Path], None]:
    def damage(file: Path) -> None:
        shutil.rmtree(file) if file.is_dir() else file.unlink()
        by(file)

    return damage


BYTES: dict[str, Callable[[Path], None]] = {
    "empty": lambda file: file.write_bytes(b"") and None,
    "gone": lambda file: file.unlink(),
    "one byte less": lambda file: file.write_bytes(file.read_bytes()[:-1]) and None,
    **{f"cut at {share}": _cut(share) for share in (0.1, 0.5, 0.9)},
    **{f"flip {seed}": _flip(seed) for seed in range(5)},
    "zeros": lambda file: file.write_bytes(b"\0" * 4000) and None,
    "noise": lambda file: file.write_bytes(random.Random(1).randbytes(4000)) and None,
    "deep": lambda file: file.write_bytes(b"[" * 200_000) and None,
    "number": lambda file: file.write_bytes(b"9" * 5000) and None,
    "folder": _replaced(Path.mkdir),
    "pipe": _replaced(os.mkfifo),
    "zero": _replaced(lambda file: file.symlink_to("/dev/zero")),
    "loop": _replaced(lambda file: file.symlink_to(file.name)),
}
"""Damage by name; each changes a file in place."""


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of each field of a JSON value; of a long list the first two items."""
    if path:
        yield path
    if isinstance(value, dict):
        for key, item in value.items():
            yield from places(item, (*path, key))
    elif isinstance(value, list):
        for number, item in enumerate(value[:2]):
            yield from places(item, (*path, number))


def _set(value: Any, path: tuple[Any, ...], new: Any) -> None:
    for key in path[:-1]:
        value = value[key]
    if new is GONE:
        del value[path[-1]]
    else:
        value[path[-1]] = new


def fields(file: Path) -> Iterator[tuple[str, Callable[[Path], None]]]:
    """Damage to each field of a JSON file, of the kinds of lines, or of the cells of a table."""
    if file.suffix == ".csv":
        yield from _cells(file)
        return
    text = file.read_text(encoding="utf-8")
    lines = text.splitlines() if file.suffix == ".jsonl" else [text]
    seen = set()
    for number, line in enumerate(lines):
        value = json.loads(line)
        for path in places(value):
            kind = (
                value.get("kind"),
                *(key for key in path if not isinstance(key, int)),
                len(path),
            )
            if file.suffix == ".jsonl" and kind in seen:
                continue
            seen.add(kind)
            for name, new in [*VALUES.items(), (GONE, GONE)]:
                yield f"{number}:{'.'.join(map(str, path))}={name}", _field(number, path, new)


def _field(number: int, path: tuple[Any, ...], new: Any) -> Callable[[Path], None]:
    def damage(file: Path) -> None:
        text = file.read_text(encoding="utf-8")
        lines = text.splitlines() if file.suffix == ".jsonl" else [text]
        value = json.loads(lines[number])
        _set(value, path, new)
        lines[number] = json.dumps(value)
        file.write_text("\n".join(lines) + "\n")

    return damage


def _cells(file: Path) -> Iterator[tuple[str, Callable[[Path], None]]]:
    rows = list(csv.reader(io.StringIO(file.read_text(encoding="utf-8"))))
    texts = {name: str(value) for name, value in VALUES.items()} | {"nothing": ""}
    for row in (0, 1):
        for column in range(len(rows[0])):
            for name, text in texts.items():
                yield f"{row}:{rows[0][column]}={name}", _cell(row, column, text)


def _cell(row: int, column: int, text: str) -> Callable[[Path], None]:
    def damage(file: Path) -> None:
        rows = list(csv.reader(io.StringIO(file.read_text(encoding="utf-8"))))
        rows[row][column] = text
        out = io.StringIO()
        csv.writer(out).writerows(rows)
        file.write_text(out.getvalue())

    return damage
