from .drawing import Rows as Rows
from .drawing import RowSource as RowSource
from .kinds import By as By
from .kinds import Layout as Layout
from .kinds import TokenType as TokenType
from .loading import SAMPLE as SAMPLE
from .loading import Corpus as Corpus
from .loading import load_corpus as load_corpus
from .splitting import Shares as Shares
from .splitting import documents_of as documents_of
from .splitting import split_of as split_of
from .token_files import TokenFiles as TokenFiles
from .token_files import encode_corpus as encode_corpus
from .token_files import load_tokens as load_tokens
from .vocabularies import special_ids as special_ids
from .vocabularies import tokenizer_digest as tokenizer_digest
from .vocabularies import train_tokenizer as train_tokenizer

__all__ = [
    "SAMPLE",
    "By",
    "Corpus",
    "Layout",
    "RowSource",
    "Rows",
    "Shares",
    "TokenFiles",
    "TokenType",
    "documents_of",
    "encode_corpus",
    "load_corpus",
    "load_tokens",
    "special_ids",
    "split_of",
    "tokenizer_digest",
    "train_tokenizer",
]
