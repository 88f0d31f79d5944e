"""Files and folders that appear whole or not at all.

Everything is first written under the hidden name ``.NAME.part``, and then renamed.  A kill leaves
at most the hidden file, which the next try overwrites.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from attention.errors import InputError
from attention.results import as_json

DEEPEST = 200  # folders of a path


def write_bytes(path: str | Path, data: bytes) -> None:
    """Replace a file as a whole, and make the folders above it.

    Raises:
        InputError: the file cannot be written, for instance because the disk is full.
    """
    with _replaced(path) as part:
        part.write_bytes(data)


@contextlib.contextmanager
def _replaced(path: str | Path) -> Iterator[Path]:
    """Yield a hidden path that becomes the file; an OSError becomes an InputError."""
    try:
        with appearing(Path(path)) as part:
            yield part
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from error


def write_text(path: str | Path, text: str) -> None:
    """Replace a file by a text in UTF-8; see `write_bytes`."""
    write_bytes(path, text.encode())


def write_json(path: str | Path, value: object) -> None:
    """Replace a file by a JSON value, indented; see `write_bytes`.

    Arrays become lists, and paths become texts. NaN and infinity become null, because JSON lacks
    them.
    """
    write_text(path, as_json(value, indent=2) + "\n")


def write_json_lines(path: str | Path, values: Iterable[object]) -> None:
    """Replace a file by JSON values, one on each line; see `write_bytes` and `to_line`."""
    write_text(path, "".join(map(to_line, values)))


def to_line(value: object) -> str:
    """Write a value as one line of JSON.

    Raises:
        ValueError: the value has a NaN or an infinity, which JSON lacks.
    """
    return json.dumps(value, allow_nan=False) + "\n"


def write_new(path: str | Path, text: str) -> None:
    """Write a text to a file that must not exist yet.

    Raises:
        InputError: something is there already, or the file cannot be written.
    """
    with new_file(path) as part:
        part.write_bytes(text.encode())


@contextlib.contextmanager
def new_folder(target: str | Path) -> Iterator[Path]:
    """Make a folder that appears whole or not at all.

        with new_folder("model") as scratch:
            (scratch / "config.json").write_text("{}")

    Args:
        target: an empty folder, or a path at which nothing is.

    Yields:
        A scratch folder. It becomes ``target`` when the block ends, and disappears if the block
        raises.

    Raises:
        InputError: the target is something else, or its parent cannot be made.
    """
    target = Path(target)
    check_folder(target, empty=True)
    with appearing(target) as part:
        _remove(part)  # a killed process may have left it
        part.mkdir()
        yield part
        if target.exists():
            target.rmdir()


@contextlib.contextmanager
def new_file(target: str | Path) -> Iterator[Path]:
    """Make a file that appears whole or not at all; see `new_folder`.

    Raises:
        InputError: something is there already, or it cannot be written.
    """
    if os.path.lexists(target):
        raise InputError(f"{target} exists; move it away or choose another --out")
    with _replaced(target) as part:
        yield part


def check_folder(path: str | Path, *, empty: bool = False) -> None:
    """Check before long work that a path is a folder, or can become one.

    Args:
        path: of the folder.
        empty: whether an existing folder must be empty.

    Raises:
        InputError: the path or one above it is a file or has a name that cannot be, or the folder
            is not empty.
    """
    path = Path(path)
    _check_name(path)
    for folder in (path, *path.parents):
        if folder.exists() and not folder.is_dir():
            raise InputError(f"{folder} is a file, not a folder: choose another --out")
    if empty and path.exists() and any(path.iterdir()):
        raise InputError(f"{path}: exists and is not an empty folder")


def _check_name(path: Path) -> None:
    """Check that a path can be written into files, and is not too deep for what walks folders.

    Raises:
        InputError: it is not UTF-8, or has too many folders.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError:  # bytes of a file name that are no text
        raise InputError(f"{str(path)!r} is not a name in UTF-8: choose another --out") from None
    if len(path.parts) > DEEPEST:  # Python makes and removes folders by recursion
        raise InputError(
            f"cannot write to a path of {len(path.parts)} folders, more than {DEEPEST}: choose "
            "another --out"
        )


def make_folder(path: Path) -> list[Path]:
    """Make a folder and those above it.

    Returns:
        The new folders, the deepest first.

    Raises:
        InputError: a folder cannot be made.
    """
    _check_name(path)
    made: list[Path] = []
    try:
        made = [folder for folder in (path, *path.parents) if not folder.exists()]
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        remove_empty(made)
        reason = error.strerror or error
        raise InputError(f"cannot write to {path} ({reason}): choose another --out") from error
    return made


def remove_empty(folders: Sequence[Path]) -> None:
    """Remove the folders that are empty; the deepest must come first."""
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()


@contextlib.contextmanager
def appearing(target: Path) -> Iterator[Path]:
    """Yield a hidden path beside the target, and rename it to the target at the end.

    Raises:
        InputError: the folder of the target cannot be made.
        OSError: the hidden path cannot be renamed.
    """
    made = make_folder(target.parent)
    part = target.with_name(f".{target.name}.part")
    try:
        yield part
        part.replace(target)
    except BaseException:
        _remove(part)
        remove_empty(made)
        raise


def _remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
