"""Reading files of users: every fault becomes one line that names the file and the line."""

from __future__ import annotations

import gzip
import io
import json
import os
import stat
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, overload

from attention.errors import InputError
from attention.limits import most_bytes, refused

Row = TypeVar("Row")
JsonObject = dict[str, Any]
PART = 2**20  # bytes that are read at a time
MOST_DIGITS = 18  # of a whole number; Python refuses to read thousands of digits


def read_bytes(path: str | Path, most: str = "file") -> bytes:
    """Read the bytes of a file: unpacked if it is a gzip file, and without a byte-order mark.

    Args:
        path: of a regular file; a pipe or a device could go on for ever.
        most: the limit of the size, a row of `attention.limits.LIMITS`.

    Raises:
        InputError: there is no such file, it is too large, or it cannot be read or unpacked.
    """
    size = most_bytes(most)
    try:
        with open_regular(path) as file:
            content = _read(file, size + 1)
        if content.startswith(b"\x1f\x8b"):
            content = _unpacked(content, size)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path}: damaged gzip file ({error}); fetch or pack it again") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    if len(content) > size:
        raise InputError(f"{path}: {refused(most)}")
    return content.removeprefix(b"\xef\xbb\xbf")


def _unpacked(content: bytes, size: int) -> bytes:
    """Unpack a gzip file, up to one byte more than ``size``."""
    with gzip.GzipFile(fileobj=io.BytesIO(content)) as packed:
        return _read(packed, size + 1)


def _read(file: BinaryIO | gzip.GzipFile, most: int) -> bytes:
    """Read at most so many bytes; ``read(most)`` would take memory for all of them at once."""
    parts: list[bytes] = []
    while most > 0 and (part := file.read(min(most, PART))):
        parts.append(part)
        most -= len(part)
    return b"".join(parts)


def open_regular(path: str | Path) -> BinaryIO:
    """Open a regular file to read its bytes.

    Raises:
        InputError: there is none, or it is a folder, a pipe or a device, which could go on for
            ever.
        OSError: it cannot be opened.
    """
    try:
        # a pipe that nobody writes to would be waited for
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{path}: no such file") from None
    except ValueError as error:  # a zero byte in the name
        raise InputError(f"{str(path)!r} is not a file name: {error}") from None
    mode = os.fstat(number).st_mode
    if not stat.S_ISREG(mode):
        os.close(number)
        what = "a folder" if stat.S_ISDIR(mode) else "a pipe, a socket or a device"
        raise InputError(f"{path}: is {what}, not a file")
    return os.fdopen(number, "rb")


def read_json(path: str | Path) -> JsonObject:
    """Read the JSON object in a file.

    Raises:
        InputError: the file cannot be read, is too large, or holds something else.
    """
    try:
        value = json.loads(read_bytes(path, "json"))
    except (ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: cannot be read as JSON: {error}") from error
    if not isinstance(value, dict):
        raise InputError(f"{path}: is not a JSON object")
    return value


@overload
def read_json_lines(path: str | Path) -> list[JsonObject]: ...
@overload
def read_json_lines(path: str | Path, parse: Callable[[JsonObject], Row]) -> list[Row]: ...
def read_json_lines(path: str | Path, parse: Callable[[JsonObject], Any] = dict) -> list[Any]:
    """Read the JSON objects in a file, one on each line (``.gz`` too); blank lines are skipped.

    Args:
        path: of the file.
        parse: is called with each object; it raises ValueError for a faulty one.

    Returns:
        What ``parse`` returned, in order; without ``parse`` the objects themselves.

    Raises:
        InputError: the file cannot be read, or a line is no JSON object, or has a key twice.  The
            message begins with ``FILE:LINE``.
    """
    found, longest = [], most_bytes("line")
    for number, line in enumerate(read_bytes(path).split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            if len(line) > longest:
                raise ValueError(refused("line"))
            found.append(parse(_object(line)))
        except ValueError as error:
            raise InputError(f"{path}:{number}: {error}") from None
    return found


def _object(line: bytes) -> JsonObject:
    try:
        fields = json.loads(
            line.decode(), object_pairs_hook=_once, parse_constant=_refuse, parse_int=_integer
        )
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start + 1} is not UTF-8; save the file as UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} at column {error.colno}") from None
    except RecursionError:
        raise ValueError("JSON nested too deeply") from None
    if not isinstance(fields, dict):
        raise ValueError("not a JSON object; give one object a line")
    return fields


def _once(pairs: list[tuple[str, Any]]) -> JsonObject:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ValueError("a key is given twice; keep one")
    return fields


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _integer(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise ValueError(f"the number {digits[:12]}… is too large")
    return int(digits)
