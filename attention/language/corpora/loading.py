"""Where text comes from: files, folders, data sets of the hub, and the sample of the package."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from attention.errors import InputError
from attention.files import read_bytes, read_json_lines
from attention.language.corpora.kinds import By

SAMPLE = "sample"
SAMPLE_FOLDER = Path(__file__).parent / "sample"
PLAIN, JSON = (".txt", ".txt.gz"), (".jsonl", ".jsonl.gz")
_BREAK = re.compile(r"\n[ \t]*\n\s*|^\s*<\|endoftext\|>\s*$", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Corpus:
    """A collection of documents.

    Attributes:
        name: of the file, folder or data set.
        digest: hash of everything that decides the documents.
        read: gives the documents, one after another, as often as it is called.
    """

    name: str
    digest: str
    read: Callable[[], Iterable[str]]

    def documents(self) -> Iterator[str]:
        """Read the documents in order; those without a letter are left out."""
        return (text for text in map(str.strip, self.read()) if text)


def load_corpus(
    place: str | Path = SAMPLE,
    *,
    by: By = "book",
    field: str = "text",
    split: str = "train",
    revision: str | None = None,
) -> Corpus:
    """Open a corpus.  Files are read when documents are asked for, one file at a time.

    Args:
        place: a file or folder with ``.txt``, ``.txt.gz``, ``.jsonl`` or ``.jsonl.gz`` files; the
            id of a data set on the hub, which is streamed; or "sample", the text that comes with
            the package.
        by: what a document of a text file is: ``book``, the text between two empty lines or lines
            ``<|endoftext|>``; ``document``, the whole file.  A line of JSON is one document.
        field: with the text, in JSON and on the hub.
        split: of a data set on the hub.
        revision: branch, tag or commit on the hub.

    Raises:
        InputError: there is no such corpus, or no text in it.
    """
    if str(place) == SAMPLE and not Path(place).exists():
        return dataclasses.replace(_from_files(SAMPLE_FOLDER, by, field), name=SAMPLE)
    path = Path(place).expanduser()
    if path.exists():
        return _from_files(path, by, field)
    name = str(place)
    if name.startswith((".", "/", "~")) or name.count("/") != 1:
        raise InputError(f"{name}: no such file or folder with a corpus")
    return _from_hub(name, field, split, revision)


def _from_files(path: Path, by: By, field: str) -> Corpus:
    found = sorted(path.rglob("*")) if path.is_dir() else [path]
    files = [file for file in found if file.name.endswith((*PLAIN, *JSON)) and file.is_file()]
    if not files:
        raise InputError(f"{path}: no .txt, .txt.gz, .jsonl or .jsonl.gz file with text")
    if all(file.stat().st_size == 0 for file in files):
        raise InputError(f"{path}: the corpus is empty")
    total = hashlib.sha256(f"{by} {field}".encode())
    for file in files:
        total.update(str(file.relative_to(path if path.is_dir() else path.parent)).encode())
        with file.open("rb") as opened:
            total.update(hashlib.file_digest(opened, "sha256").digest())

    def read() -> Iterator[str]:
        for file in files:
            yield from _texts(file, by, field)

    return Corpus(path.resolve().name.partition(".")[0], total.hexdigest(), read)


def _texts(file: Path, by: By, field: str) -> Iterable[str]:
    """The documents of one file."""
    if file.name.endswith(JSON):
        return read_json_lines(file, lambda line: _field(line, field))
    text = read_bytes(file).decode(errors="replace").replace("\r\n", "\n")
    return _BREAK.split(text) if by == "book" else [text]


def _field(line: dict[str, Any], field: str) -> str:
    text = line.get(field)
    if not isinstance(text, str):
        raise ValueError(f"no text in the field {field!r}; there are {', '.join(line) or 'none'}")
    return text


def _from_hub(name: str, field: str, split: str, revision: str | None) -> Corpus:
    import datasets

    def stream() -> Any:
        try:
            return datasets.load_dataset(name, split=split, revision=revision, streaming=True)
        except Exception as error:  # the library raises many kinds of errors
            reason = " ".join(str(error).split())[:150] or type(error).__name__
            raise InputError(
                f"{name}: neither a file or folder nor a data set that the hub gave ({reason})"
            ) from error

    opened = stream()
    if opened.column_names and field not in opened.column_names:
        known = ", ".join(opened.column_names)
        raise InputError(f"{name} has no field {field!r}; there are {known}")
    about = f"{name} {revision or opened.info.version} {split} {field}"

    def read() -> Iterator[str]:
        return (str(row[field]) for row in stream())

    return Corpus(name, hashlib.sha256(about.encode()).hexdigest(), read)
