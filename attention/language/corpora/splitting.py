"""Which documents train, and which are held out: by their hash, so that every run agrees."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator
from typing import Annotated

from attention.errors import InputError
from attention.language.corpora.loading import Corpus
from attention.language.labelled_texts import Split
from attention.marks import Between
from attention.signature import check_fields

Share = Annotated[float, Between(ge=0, lt=1)]
_OF = 2.0**64


@dataclasses.dataclass(frozen=True)
class Shares:
    """Shares of the documents that are held out.

    A document is in the test split if ``h < test``, in the validation split if ``h < test +
    validation``, and trains otherwise, where ``h`` in [0, 1) is made of the first 8 bytes of the
    SHA-256 of its text.  Equal documents therefore fall into one split, and another document
    changes nothing.

    Attributes:
        validation: share of the documents on which the loss is watched
        test: share of the documents on which the trained model is judged
    """

    validation: Share = 0.05
    test: Share = 0.05

    def __post_init__(self) -> None:
        check_fields(self)
        if self.validation + self.test >= 1:
            raise InputError("--validation and --test leave no document to train on")


def split_of(document: str, shares: Shares | None = None) -> Split:
    """The split that a document falls into."""
    shares = shares or Shares()
    digest = hashlib.sha256(document.encode(errors="surrogatepass")).digest()
    place = int.from_bytes(digest[:8], "big") / _OF
    if place < shares.test:
        return "test"
    return "validation" if place < shares.test + shares.validation else "train"


def documents_of(corpus: Corpus, split: Split, shares: Shares | None = None) -> Iterator[str]:
    """The documents of one split, in the order of the corpus."""
    return (text for text in corpus.documents() if split_of(text, shares) == split)
