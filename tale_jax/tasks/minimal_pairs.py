"""Minimal pairs from local files: which of two sentences is the more probable (BLiMP, Zorro)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from attention.errors import InputError
from attention.files import read_bytes, read_json_lines
from tale_jax.tasks.data_sets import local_file
from tale_jax.tasks.examples import Example, Task, check_text, divide, divided_note, place
from tale_jax.tasks.request import Request


class Format(NamedTuple):
    """How the pairs of a set are kept: the ending of its files, and what reads one."""

    ending: str
    read: Callable[[Path], list[tuple[str, str]]]


def read_pairs(request: Request) -> Task:
    """The task ``blimp:<paradigm>`` or ``zorro:<paradigm>``, divided into halves.

    BLiMP is a JSONL file with ``sentence_good`` and ``sentence_bad``. Zorro is a text file: its odd
    lines, counted from 1, are bad, and its even lines are good. Files are
    ``DATA/blimp/<paradigm>.jsonl[.gz]`` and ``DATA/zorro/<paradigm>.txt[.gz]``, or lie in ``DATA``
    itself. Pairs of two identical sentences are left out.

    Raises:
        InputError: there is no such file, or it has a bad line.
    """
    name = request.name
    kind, _, paradigm = name.partition(":")
    if request.data is None:
        raise InputError(f"{name} is read from local files: give --data DIR with DIR/{kind}/")
    ending, read = FORMATS[kind]
    folders = [request.data / kind, request.data]
    found = (local_file(folder, paradigm, ending) for folder in folders if paradigm)
    file = next((file for file in found if file is not None), None)
    if file is None:
        raise InputError(f"{name}: {_known(ending, folders)}")
    pairs = read(file)
    kept = [_example(good, bad) for good, bad in pairs if good != bad]
    if not kept:
        raise InputError(f"{file}: no pair of two different sentences")
    search, test = divide(kept)
    if not search or not test:
        raise InputError(f"{file}: too few pairs to divide")
    notes = [divided_note(name, f"{len(kept)} pairs are", search, test)]
    if same := len(pairs) - len(kept):
        notes.append(f"{name}: {same} pairs of identical sentences are left out")
    return Task(
        name,
        tuple(search),
        tuple(test),
        validation=tuple(kept),
        halves=True,
        notes=tuple(notes),
    )


def _known(ending: str, folders: Sequence[Path]) -> str:
    """What an error says of the paradigms that are there."""
    names = sorted(
        {
            file.name.removesuffix(".gz").removesuffix(ending)
            for folder in folders
            for file in folder.glob(f"*{ending}*")
        }
    )
    if not names:
        return f"no *{ending} or *{ending}.gz in {folders[0]} or {folders[1]}"
    return f"no such paradigm in {folders[0]}; there are {', '.join(names)}"


def _blimp(file: Path) -> list[tuple[str, str]]:
    def pair(row: dict) -> tuple[str, str]:
        sentences = []
        for field in ("sentence_good", "sentence_bad"):
            if not row.get(field):
                raise ValueError(f"no {field}")
            check_text(field, row[field])
            sentences.append(row[field])
        return sentences[0], sentences[1]

    return read_json_lines(file, pair)


def _zorro(file: Path) -> list[tuple[str, str]]:
    try:
        lines = read_bytes(file).decode().splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{file}: not UTF-8 ({error.reason}); save it as UTF-8") from None
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines or len(lines) % 2:
        raise InputError(f"{file}: {len(lines)} lines; a bad and a good one must alternate")
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            raise InputError(f"{file}:{number}: an empty line; a bad and a good one must alternate")
    return list(zip(lines[1::2], lines[::2], strict=True))


def _example(good: str, bad: str) -> Example:
    """The pair in an order that its hash draws, so that neither place is always right."""
    example = Example("", (good, bad), 0)
    if int(place(example) * 2**20) % 2:
        example = Example("", (bad, good), 1)
    return example


FORMATS = {"blimp": Format(".jsonl", _blimp), "zorro": Format(".txt", _zorro)}
