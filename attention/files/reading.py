"""Reading files of users: every fault becomes one line that names the file and the line."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, overload

from attention.errors import InputError

Row = TypeVar("Row")
JsonObject = dict[str, Any]
MOST_DIGITS = 18  # of a whole number; Python refuses to read thousands of digits


def read_bytes(path: str | Path) -> bytes:
    """Read the bytes of a file: unpacked if it is a gzip file, and without a byte-order mark.

    Raises:
        InputError: there is no such file, or it cannot be read or unpacked.
    """
    try:
        content = Path(path).read_bytes()
        if content.startswith(b"\x1f\x8b"):
            content = gzip.decompress(content)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path}: damaged gzip file ({error}); fetch or pack it again") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    except ValueError as error:  # a zero byte in the name
        raise InputError(f"{str(path)!r} is not a file name: {error}") from None
    return content.removeprefix(b"\xef\xbb\xbf")


def read_json(path: str | Path) -> JsonObject:
    """Read the JSON object in a file.

    Raises:
        InputError: the file cannot be read, or holds something else.
    """
    try:
        value = json.loads(read_bytes(path))
    except (ValueError, RecursionError) as error:
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
    found = []
    for number, line in enumerate(read_bytes(path).split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
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
