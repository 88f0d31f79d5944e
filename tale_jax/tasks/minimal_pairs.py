"""Minimal pairs: which of two sentences is the more probable (BLiMP, Zorro), from local files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from attention.errors import InputError
from tale_jax.tasks.examples import Example, Task, check_text, divide, place, read_bytes, read_rows
from tale_jax.tasks.sources import local_file

SETS = {"blimp": ".jsonl", "zorro": ".txt"}


def read_pairs(name: str, data: str | Path | None) -> Task:
    """The task ``blimp:<paradigm>`` or ``zorro:<paradigm>``, divided into halves.

    BLiMP is a JSONL file with ``sentence_good`` and ``sentence_bad``; Zorro is a text file whose
    odd lines, counted from 1, are bad and whose even lines are the good ones.  Files are
    ``DATA/blimp/<paradigm>.jsonl[.gz]`` and ``DATA/zorro/<paradigm>.txt[.gz]``, or lie in ``DATA``
    itself.  Pairs of two identical sentences are left out.

    Raises:
        InputError: no file, or a bad line.
    """
    kind, _, paradigm = name.partition(":")
    if data is None:
        raise InputError(f"{name} is read from local files: give --data DIR with DIR/{kind}/")
    folders = [Path(data) / kind, Path(data)]
    found = (local_file(folder, paradigm, SETS[kind]) for folder in folders if paradigm)
    file = next((file for file in found if file is not None), None)
    if file is None:
        raise InputError(f"{name}: {_known(kind, folders)}")
    pairs = (_blimp if kind == "blimp" else _zorro)(file)
    kept = [_example(good, bad) for good, bad in pairs if good != bad]
    if not kept:
        raise InputError(f"{file}: no pair of two different sentences")
    search, test = divide(kept)
    if not search or not test:
        raise InputError(f"{file}: too few pairs to divide")
    notes = [
        f"{name}: {len(kept)} pairs are divided by the BLAKE2b hash of their sentences, "
        f"{len(search)} to search and {len(test)} to test"
    ]
    if same := len(pairs) - len(kept):
        notes.append(f"{name}: {same} pairs of identical sentences are left out")
    return Task(name, tuple(search), tuple(test), halves=True, notes=tuple(notes))


def _known(kind: str, folders: Sequence[Path]) -> str:
    ending = SETS[kind]
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

    return list(read_rows(file, pair))


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
