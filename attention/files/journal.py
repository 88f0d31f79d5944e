"""An append-only journal, which a kill at any moment does not damage.

Each line is a JSON object without times, and is flushed to the disk at once:

    {"kind": "candidate", "iteration": 0, "dropped": [], "correct": 481, "crc": 3209875310}
    {"kind": "candidate", "iteration": 1, "dropped": [3], "correct": 480, "crc": 1195027741}

The last field is a check sum of the others.

The owner of a journal declares the kinds of its records: their fields, and which of the fields are
the key. A journal has one record of each kind and key. A run that starts again replays itself: it
compares a record that is already there, and does not write it again. The journal then ends with the
same bytes as that of an uninterrupted run.
"""

from __future__ import annotations

import dataclasses
import json
import operator
import os
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from attention.choices import resolve
from attention.errors import InputError
from attention.files.reading import read_bytes
from attention.files.writing import to_line

Record = dict[str, Any]
"""A JSON object."""
Key = tuple[Any, ...]
CHECK = "crc"


def _anything(record: Record) -> None:
    """Accept every record."""


@dataclasses.dataclass(frozen=True)
class RecordKind:
    """A kind of records.

    Attributes:
        key: the fields that tell a record from others of its kind.
        fields: the names of all fields; None allows any.
        check: raises KeyError, TypeError or ValueError if the values of a record are wrong.
        same: whether a replayed record agrees with the one in the journal.
        shape: names the type of a record, as ``module:Name``, which is imported when it is used.
    """

    key: tuple[str, ...] = ()
    fields: tuple[str, ...] | None = None
    check: Callable[[Record], None] = _anything
    same: Callable[[Record, Record], bool] = operator.eq
    shape: str = ""


class Journal:
    """An open journal; a context manager. The `RunDirectory` locks its folder.

    Attributes:
        path: of the file, which the first record makes.
    """

    def __init__(self, path: str | Path, kinds: Mapping[str, RecordKind]):
        """Open a journal, and drop a last line that a kill cut off.

        Args:
            path: of the file.
            kinds: the kinds of records, by name.

        Raises:
            InputError: a line is damaged, or belongs to another kind of run.
        """
        self.path, self._kinds = Path(path), kinds
        self._records: dict[Key, Record] = {}
        if self.path.exists():
            records, end = read_journal(self.path, kinds)
            self._records = {_key(kinds, record): record for record in records}
            if len(self._records) < len(records):
                raise InputError(f"{self.path}: has a record twice: choose a new --out")
            if (lost := self.path.stat().st_size - end) > 0:
                line = f"{self.path}: its last line was cut off; goes on from the last whole one"
                print(line, file=sys.stderr)
                os.truncate(self.path, self.path.stat().st_size - lost)
        self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
        self._file = None

    def append(self, kind: str, **fields: Any) -> Record:
        """Write a record for good, unless the journal has it already.

        Args:
            kind: one of the declared kinds.
            fields: JSON values; tuples become lists.

        Returns:
            The record in the journal, as JSON values.

        Raises:
            InputError: the journal has another record under the same key.
            ValueError: a value is not JSON, or the fields are not the declared ones.
        """
        record = json.loads(to_line({"kind": kind, **fields}))
        line = to_line({**record, CHECK: _sum(record)})
        _check(self._kinds, record)
        key = _key(self._kinds, record)
        known = self._records.get(key)
        if known is not None:
            if known != record and not self._kinds[kind].same(known, record):
                raise InputError(
                    f"{self.path}: this run finds {line.strip()[:120]} where the journal says "
                    f"otherwise: start again in a new --out directory"
                )
            return known
        if self._file is None:
            self._file = self.path.open("ab")
        self._file.write(line.encode())
        self._file.flush()
        os.fsync(self._file.fileno())
        self._records[key] = record
        return record

    def get(self, kind: str, *key: Any) -> Record | None:
        """Find the record of a kind with these values of its key fields, or None."""
        return self._records.get((kind, *map(_hashable, key)))

    def of_kind(self, kind: str) -> Iterator[Record]:
        """Iterate over the records of a kind, in the order in which they were written."""
        return (record for record in self._records.values() if record["kind"] == kind)

    def __len__(self) -> int:
        """Number of records."""
        return len(self._records)


def read_journal(path: str | Path, kinds: Mapping[str, RecordKind]) -> tuple[list[Record], int]:
    """Read a journal without changing it.

    Returns:
        The records, and the number of bytes before a last line that a kill cut off.

    Raises:
        InputError: a complete line is not a declared record; the message names file and line.
    """
    data = read_bytes(path)
    end = data.rfind(b"\n") + 1
    records = []
    for number, line in enumerate(data[:end].split(b"\n")[:-1], start=1):
        try:
            record = json.loads(line)
            if record.pop(CHECK, None) not in (None, _sum(record)):
                raise ValueError("the line was changed")
            _check(kinds, record)
            hash(_key(kinds, record))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise InputError(
                f"{path}:{number}: not a line of this journal: remove the directory or choose a "
                f"new --out"
            ) from error
        records.append(record)
    return records, end


def _sum(record: Record) -> int:
    """A check sum of a record, which tells a line that was changed from one that was written."""
    return zlib.crc32(json.dumps(record, sort_keys=True).encode())


def _check(kinds: Mapping[str, RecordKind], record: Record) -> None:
    """Raise ValueError, KeyError or TypeError unless a record is of a declared kind."""
    kind = kinds[record["kind"]]
    fields = set(record) - {"kind"}
    if not fields.issuperset(kind.key) or (kind.fields is not None and fields != {*kind.fields}):
        raise ValueError(f"a record of kind {record['kind']} has the fields {sorted(fields)}")
    if kind.shape:
        resolve("attention.files.shapes:check_shape")(record, resolve(kind.shape), record["kind"])
    kind.check(record)


def _key(kinds: Mapping[str, RecordKind], record: Record) -> Key:
    kind = record["kind"]
    return kind, *(_hashable(record[name]) for name in kinds[kind].key)


def _hashable(value: Any) -> Any:
    return tuple(map(_hashable, value)) if isinstance(value, list | tuple) else value
