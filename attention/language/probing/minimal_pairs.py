"""Sets of minimal pairs in local files: BLiMP, its supplement of BabyLM, and Zorro."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from attention.choices import Choices
from attention.errors import InputError
from attention.files import read_bytes, read_json_lines, shaped
from attention.language.text_lines import MinimalPair

PACKED = ("", ".gz")
MERGED = {"s-selection": "argument_structure"}
"""Terms in the rows of BLiMP that its paper counts to another of its 12 phenomena."""


class Pair(NamedTuple):
    """Two sentences that differ in one thing.

    Attributes:
        good: the grammatical one.
        bad: the other one.
        id: tells it from the other pairs of its paradigm.
        phenomenon: as the row names it; None: it does not.
    """

    good: str
    bad: str
    id: str
    phenomenon: str | None = None


class Paradigm(NamedTuple):
    """The pairs of one kind.

    Attributes:
        task: name of the set.
        phenomenon: what its pairs are about; a phenomenon has one or more paradigms.
        name: name of the file, without endings.
        pairs: in the order of the file.
    """

    task: str
    phenomenon: str
    name: str
    pairs: list[Pair]


@dataclasses.dataclass(frozen=True)
class PairSet:
    """How a set of minimal pairs is kept: each paradigm is a file of the set's folder.

    Attributes:
        ending: of its files, which may also be packed (``.gz``).
        read: makes the pairs of a file.
        phenomenon: makes the name of the phenomenon of a paradigm whose rows do not name it.
    """

    ending: str
    read: Callable[[Path], list[Pair]]
    phenomenon: Callable[[str], str]

    def files(self, folder: Path) -> dict[str, Path]:
        """The files of a folder by paradigm, in the order of their names."""
        if not folder.is_dir():
            return {}
        endings = tuple(self.ending + packed for packed in PACKED)
        found = sorted(file for file in folder.iterdir() if file.name.endswith(endings))
        return {file.name.removesuffix(".gz").removesuffix(self.ending): file for file in found}


def read_paradigms(task: str, data: Path, limit: int | None = None) -> list[Paradigm]:
    """Read all paradigms of a set from ``DATA/task/PARADIGM.ENDING[.gz]``.

    Args:
        task: a key of ``PAIR_SETS``.
        data: the folder of the data.
        limit: how many pairs of each paradigm are read, from the first; None: all.

    Raises:
        InputError: there are no such files, or one has a bad line.
    """
    row = PAIR_SETS.pick(task)
    files = row.files(data / task)
    if not files:
        where = f"{data / task}: no files *{row.ending} or *{row.ending}.gz"
        raise InputError(f"{where}; --data is the folder that holds {task}/")
    found = []
    for name, file in files.items():
        pairs = row.read(file)
        if not pairs:
            raise InputError(f"{file}: no pairs")
        named = pairs[0].phenomenon or row.phenomenon(name)
        found.append(Paradigm(task, named, name, pairs[:limit]))
    return found


def _json_pairs(file: Path) -> list[Pair]:
    numbers = iter(range(10**9))

    def pair(row: dict[str, Any]) -> Pair:
        shaped(MinimalPair)(row)
        for field in ("sentence_good", "sentence_bad"):
            _check_sentence(field, row[field])
        number, term = next(numbers), row.get("linguistics_term")
        return Pair(
            row["sentence_good"],
            row["sentence_bad"],
            str(row.get("pairID", number)),
            MERGED.get(str(term), term),
        )

    return read_json_lines(file, pair)


def _check_sentence(field: str, text: str) -> None:
    if not text:
        raise ValueError(f"no {field}")
    if "\0" in text:
        raise ValueError(f"{field} has a zero character; remove it")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{field} contains half a surrogate pair; it is not text") from None


def _lines(file: Path) -> list[Pair]:
    """Odd lines, counted from 1, are bad, and even ones are good."""
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
    pairs = zip(lines[1::2], lines[::2], strict=True)
    return [Pair(good, bad, str(number)) for number, (good, bad) in enumerate(pairs)]


PAIR_SETS: Choices[PairSet] = Choices(
    "set of minimal pairs",
    {
        "blimp": PairSet(".jsonl", _json_pairs, str),
        "zorro": PairSet(".txt", _lines, lambda name: name.rpartition("-")[0] or name),
        "blimp_supplement": PairSet(".jsonl", _json_pairs, str),
    },
)
