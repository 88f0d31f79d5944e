"""An append-only journal that survives being killed at any moment.

One JSON object per line, flushed to the disk line by line, and no times:

    {"kind": "header", "format": 2, "settings": {…}}
    {"kind": "candidate", "iteration": 0, "layer": null, "dropped": [], "correct": 481, …}
    {"kind": "accepted", "iteration": 1, "layer": 19, "dropped": [19], "correct": 485, …}
    {"kind": "evaluated", "split": "test", "dropped": [19], "answers": [["B", true], …]}
    {"kind": "control", "shuffle": 0, "baseline": 270, "best": 281, "dropped": [4]}

Of half-layers the names stand in place of numbers: "19.mlp".

Comparisons of criteria and of arms keep journals too, with lines of the kinds `scored` and `arm`.
A search that is started again replays itself on its journal: what is already there is compared, not
written, so that the journal ends with the same bytes as that of an uninterrupted search.
"""

from __future__ import annotations

import fcntl
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attention.errors import InputError
from tale_jax.units import Dropped, is_unit

FORMAT = 2
JOURNAL = "journal.jsonl"
FIELDS = {
    "header": {"kind", "format", "settings"},
    "candidate": {"kind", "iteration", "layer", "dropped", "correct", "bound"},
    "accepted": {"kind", "iteration", "layer", "dropped", "correct", "bound"},
    "evaluated": {"kind", "split", "dropped", "answers"},
    "scored": {"kind", "criterion", "dropped", "loss"},
    "control": {"kind", "shuffle", "baseline", "best", "dropped"},
    "arm": {"kind", "arm", "outcome"},
}
KEYS = {
    "header": (),
    "candidate": ("iteration", "layer", "dropped"),
    "accepted": ("iteration", "layer", "dropped"),
    "evaluated": ("split", "dropped"),
    "scored": ("criterion", "dropped"),
    "control": ("shuffle",),
    "arm": ("arm",),
}
UNSET = "(unset)"


class Journal:
    """The open journal of a directory, locked against other processes.

    Attributes:
        path: of the file.
        settings: what identifies the run, as JSON values.
        records: the lines, by `record_key`.
    """

    def __init__(self, directory: Path, settings: Mapping[str, Any], resume: bool = False):
        """Start a journal, or go on with one; see `runs.Run`."""
        header = {"kind": "header", "format": FORMAT, "settings": dict(settings)}
        self.settings: dict[str, Any] = json.loads(to_line(header))["settings"]
        self.path = directory / JOURNAL
        self._made = [p for p in (directory, *directory.parents) if not p.exists()]
        _check_directory(directory, resume)
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            self._remove_made()
            raise InputError(
                f"cannot write a run to {directory} ({error.strerror}): choose another --out"
            ) from error
        try:
            _lock(self._file, directory)
            records, end = read_journal(self.path)
            if records:
                _check_settings(directory, records[0]["settings"], self.settings)
            os.truncate(self._file, end)
            self.records = {record_key(record): record for record in records}
            self.append(header)
        except BaseException:
            os.close(self._file)
            raise

    def append(self, record: Mapping[str, Any]) -> None:
        """Add a line for good, unless the journal already has it.

        Raises:
            InputError: if the journal has another line about the same thing.
        """
        line = to_line(record)
        value = json.loads(line)
        key = record_key(value)
        if key in self.records:
            if self.records[key] != value and not _both_bounds(self.records[key], value):
                raise InputError(
                    f"{self.path}: this search finds {line.strip()[:120]} where the journal says "
                    f"otherwise: start again in a new --out directory"
                )
            return
        data = line.encode()
        while data:
            data = data[os.write(self._file, data) :]
        os.fsync(self._file)
        self.records[key] = value

    def losses(self, criterion: str) -> dict[Dropped, float]:
        """Losses of models by a criterion, infinite where the journal says null."""
        return {
            tuple(record["dropped"]): math.inf if record["loss"] is None else record["loss"]
            for record in self.records.values()
            if record["kind"] == "scored" and record["criterion"] == criterion
        }

    def loss(self, criterion: str, dropped: Dropped, loss: float) -> None:
        """Add the loss of a model; JSON has no infinity, so that it becomes null."""
        value = loss if math.isfinite(loss) else None
        record = {"kind": "scored", "criterion": criterion, "dropped": dropped, "loss": value}
        self.append(record)

    def close(self) -> None:
        """Unlock the directory, and leave nothing behind if nothing but the settings is known."""
        if len(self.records) == 1:
            self.path.unlink(missing_ok=True)
            self._remove_made()
        os.close(self._file)

    def _remove_made(self) -> None:
        for path in self._made:
            if path.exists() and not any(path.iterdir()):
                path.rmdir()


def read_journal(path: Path) -> tuple[list[dict[str, Any]], int]:
    """The records of a journal, and the number of bytes before a last line cut off by a kill.

    Raises:
        InputError: if a complete line is not a record, naming file and line.
    """
    data = path.read_bytes()
    end = data.rfind(b"\n") + 1
    records = []
    for number, line in enumerate(data[:end].split(b"\n")[:-1], start=1):
        try:
            record = json.loads(line)
            _check_record(record, first=number == 1)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise InputError(
                f"{path}:{number}: not a line of a search journal: "
                f"remove the directory or choose a new --out"
            ) from error
        if number == 1 and record["format"] != FORMAT:
            raise InputError(
                f"{path}: journal format {record['format']}, but this version reads format "
                f"{FORMAT}: use the version that wrote it, or a new --out directory"
            )
        records.append(record)
    return records, end


def record_key(record: Mapping[str, Any]) -> tuple[Any, ...]:
    """What a record is about; a journal has one record about each thing."""
    values = ((name, record[name]) for name in KEYS[record["kind"]])
    return record["kind"], *(tuple(v) if name == "dropped" else v for name, v in values)


def _both_bounds(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Bounds depend on how examples were batched, say where memory was short: both are right."""
    return bool(old.get("bound") and new.get("bound"))


def to_line(value: Any) -> str:
    """A line of JSON; NaN, which is not JSON, is an error."""
    return json.dumps(value, allow_nan=False) + "\n"


def _check_record(record: Any, first: bool) -> None:
    """Raise ValueError, KeyError or TypeError if a line is not what this module writes."""
    kind = record["kind"]
    if set(record) != FIELDS[kind] or (kind == "header") != first:
        raise ValueError
    hash(record_key(record))
    if kind == "header":
        dict(record["settings"])
        return
    numbers = [record.get("correct", 0), record.get("iteration", 0)]
    units = record.get("dropped", ())
    if not all(type(number) is int for number in numbers) or not all(map(is_unit, units)):
        raise TypeError
    if type(record.get("bound", False)) is not bool:
        raise TypeError
    for _, correct in record.get("answers", ()):
        if type(correct) is not bool:
            raise TypeError


def _check_directory(directory: Path, resume: bool) -> None:
    """Raise InputError if the directory holds another run or something else."""
    try:
        empty = not directory.exists() or not any(directory.iterdir())
    except OSError as error:
        raise InputError(
            f"cannot write a run to {directory} ({error.strerror}): choose another --out"
        ) from error
    if not empty and not (directory / JOURNAL).exists():
        raise InputError(f"{directory} is not empty and holds no run: choose a new --out")
    if not empty and not resume:
        raise InputError(
            f"{directory} already holds a run: go on with --resume or choose a new --out"
        )


def _lock(file: int, directory: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise InputError(
            f"another process is writing to {directory}: wait for it or choose a new --out"
        ) from error


def _check_settings(directory: Path, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Raise InputError naming every setting that differs."""
    pairs = {name: (old.get(name, UNSET), new.get(name, UNSET)) for name in {**old, **new}}
    changes = ", ".join(
        f"{name} was {_short(was)} and is now {_short(now)}"
        for name, (was, now) in pairs.items()
        if was != now
    )
    if changes:
        raise InputError(
            f"{directory} holds a run with other settings ({changes}): repeat them to resume, "
            f"or choose a new --out"
        )


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "…"
