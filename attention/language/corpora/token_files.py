"""A corpus as token ids on disk: encoded once, mapped into memory by every run."""

from __future__ import annotations

import bisect
import contextlib
import dataclasses
import hashlib
import itertools
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from jaxtyping import Int

from attention.errors import InputError
from attention.files import make_once, new_folder, read_json, write_json
from attention.language.corpora.kinds import TokenType, Unit
from attention.language.corpora.loading import Corpus
from attention.language.corpora.splitting import Shares, split_of
from attention.language.corpora.vocabularies import encode_units, tokenizer_digest
from attention.language.labelled_texts import Split

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SPLITS: tuple[Split, ...] = ("train", "validation", "test")
INDEX = "index.json"
SHARD = 2**28  # tokens in a file
AT_ONCE = 256  # texts that are encoded together
SHORT = 12  # letters of a hash in a name

_TITLES = "".join(rf"(?<!\b{word}\.)" for word in ("Mr", "Mrs", "Ms", "Dr", "St", "Prof"))
_SENTENCE = re.compile(
    rf"(?:(?<=[.!?])|(?<=[.!?][\"'”’)])){_TITLES}\s+(?=[\"'“‘(]?[A-Z0-9])|\s*\n\s*"
)


@dataclasses.dataclass(frozen=True)
class TokenFiles:
    """The tokens of a corpus in three splits.

    ``index.json`` says what they are of; ``SPLIT-00000.bin`` … hold the ids one behind another, and
    ``SPLIT.units.npy`` where each document or sentence begins.

    Attributes:
        folder: with the files.
        corpus: name of the corpus.
        corpus_digest: its hash, with the shares of the splits.
        tokenizer_digest: of the tokenizer.
        vocabulary: number of tokens that it has.
        unit: what is told apart.
        dtype: of an id.
        counts: of each split, the number of ``tokens``, ``units`` and ``bytes`` of text.
        shards: of each split, the number of tokens in each file.
    """

    folder: Path
    corpus: str
    corpus_digest: str
    tokenizer_digest: str
    vocabulary: int
    unit: Unit
    dtype: str
    counts: dict[str, dict[str, int]]
    shards: dict[str, list[int]]

    def units(self, split: Split) -> Int[np.ndarray, " U+1"]:
        """Where each unit of a split begins, and at last where the split ends."""
        return np.load(self.folder / f"{split}.units.npy", mmap_mode="r")

    def tokens(self, split: Split) -> Tokens:
        """The token ids of a split, as one array."""
        return Tokens(self, split)

    def bytes_per_token(self, split: Split) -> float:
        """Bytes of text for each token that a causal model predicts: all but the first of a unit.

        Raises:
            InputError: the split is empty.
        """
        found = self.counts[split]
        if found["tokens"] <= found["units"]:
            raise InputError(f"the {split} split of {self.corpus} is empty")
        return found["bytes"] / (found["tokens"] - found["units"])


class Tokens:
    """The tokens of a split; a slice reads them from the files that hold them."""

    def __init__(self, files: TokenFiles, split: Split):
        sizes = files.shards[split]
        names = [files.folder / f"{split}-{i:05d}.bin" for i in range(len(sizes))]
        self._parts = [np.memmap(name, files.dtype, "r") for name in names]
        self._ends = list(itertools.accumulate(sizes))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, where: slice) -> Int[np.ndarray, " T"]:
        first, last, _ = where.indices(len(self))
        found = []
        while first < last:
            part = bisect.bisect_right(self._ends, first)
            before = self._ends[part] - len(self._parts[part])
            end = min(last, self._ends[part])
            found.append(self._parts[part][first - before : end - before])
            first = end
        return np.concatenate(found).astype(np.int32) if found else np.zeros(0, np.int32)


def encode_corpus(
    corpus: Corpus,
    tokenizer: PreTrainedTokenizerBase,
    folder: str | Path,
    *,
    shares: Shares | None = None,
    unit: Unit = "document",
    token_type: TokenType = "auto",
) -> TokenFiles:
    """Encode a corpus, or open what an earlier call with the same arguments wrote.

    The documents are read once, one after another.

    Args:
        corpus: the documents.
        tokenizer: of the model.
        folder: in which ``tokens-CORPUS-TOKENIZER`` appears, with hashes of both.
        shares: which documents are held out.
        unit: whether documents are told apart, or their sentences.
        token_type: of an id on disk; by default the smallest that holds the vocabulary.

    Raises:
        InputError: the vocabulary is too large for the type, the corpus is empty, or the folder
            cannot be written.
    """
    shares = shares or Shares()
    dtype = _dtype(len(tokenizer), token_type)
    digest = _short(f"{corpus.digest} {shares.validation} {shares.test} {unit}")
    name = f"tokens-{digest}-{tokenizer_digest(tokenizer)[:SHORT]}-{dtype}"
    place = Path(folder) / name

    def make() -> None:
        with new_folder(place) as scratch:
            counts, shards = _write(corpus, tokenizer, scratch, shares, unit, dtype)
            about = {
                "corpus": corpus.name,
                "corpus_digest": digest,
                "tokenizer_digest": tokenizer_digest(tokenizer),
                "vocabulary": len(tokenizer),
                "unit": unit,
                "dtype": dtype,
                "counts": counts,
                "shards": shards,
            }
            write_json(scratch / INDEX, about)

    make_once(place, (place / INDEX).is_file, make)
    return load_tokens(place)


def load_tokens(folder: str | Path) -> TokenFiles:
    """Open what ``encode_corpus`` wrote.

    Raises:
        InputError: the folder holds no tokens.
    """
    index = read_json(Path(folder) / INDEX)
    try:
        return TokenFiles(Path(folder), **index)
    except TypeError:
        raise InputError(f"{folder}: {INDEX} does not describe token files") from None


def sentences(document: str) -> list[str]:
    """Split a text into sentences, at line ends and behind ``.``, ``!`` and ``?``."""
    return [part.strip() for part in _SENTENCE.split(document) if part and part.strip()]


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:SHORT]


def _dtype(vocabulary: int, token_type: TokenType) -> str:
    fits = "uint16" if vocabulary <= 2**16 else "uint32"
    if token_type == "uint16" and fits != "uint16":
        raise InputError(
            f"a vocabulary of {vocabulary} tokens is too large for uint16: "
            "write --token-type uint32"
        )
    return fits if token_type == "auto" else token_type


class _Writer:
    """Writes the tokens of one split into files of at most ``SHARD`` tokens."""

    def __init__(self, folder: Path, split: Split, dtype: str, stack: contextlib.ExitStack):
        self._folder, self._split, self._dtype, self._stack = folder, split, dtype, stack
        self._file: BinaryIO | None = None
        self.shards: list[int] = []
        self.starts = [0]
        self.bytes = 0

    def add(self, text: str, ids: list[int]) -> None:
        """Append the tokens of one unit."""
        if self._file is None or self.shards[-1] >= SHARD:
            path = self._folder / f"{self._split}-{len(self.shards):05d}.bin"
            self._file = self._stack.enter_context(path.open("wb"))
            self.shards.append(0)
        self._file.write(np.asarray(ids, self._dtype).tobytes())
        self.shards[-1] += len(ids)
        self.starts.append(self.starts[-1] + len(ids))
        self.bytes += len(text.encode())


def _write(
    corpus: Corpus,
    tokenizer: PreTrainedTokenizerBase,
    folder: Path,
    shares: Shares,
    unit: Unit,
    dtype: str,
) -> tuple[dict[str, dict[str, int]], dict[str, list[int]]]:
    """Write the files of all splits; their counts and the sizes of their shards."""
    with contextlib.ExitStack() as stack:
        writers = {split: _Writer(folder, split, dtype, stack) for split in SPLITS}
        for batch in _batched(_units(corpus, shares, unit)):
            encoded = encode_units(tokenizer, [text for _, text in batch])
            for (split, text), ids in zip(batch, encoded, strict=True):
                writers[split].add(text, ids)
    if not any(writer.shards for writer in writers.values()):
        raise InputError(f"{corpus.name}: the corpus is empty")
    for split, writer in writers.items():
        np.save(folder / f"{split}.units.npy", np.asarray(writer.starts, np.int64))
    counts = {
        split: {"tokens": w.starts[-1], "units": len(w.starts) - 1, "bytes": w.bytes}
        for split, w in writers.items()
    }
    return counts, {split: writer.shards for split, writer in writers.items()}


def _units(corpus: Corpus, shares: Shares, unit: Unit) -> Iterator[tuple[Split, str]]:
    for document in corpus.documents():
        split = split_of(document, shares)
        for text in [document] if unit == "document" else sentences(document):
            yield split, text


def _batched(items: Iterable[tuple[Split, str]]) -> Iterator[list[tuple[Split, str]]]:
    """Lists of at most ``AT_ONCE`` items."""
    iterator = iter(items)
    while batch := list(itertools.islice(iterator, AT_ONCE)):
        yield batch
