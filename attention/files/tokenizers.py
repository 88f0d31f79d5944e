"""The tokenizer of a model, and the tokens at which the model ends what it writes."""

from __future__ import annotations

import importlib.util
import os
import warnings
from pathlib import Path
from typing import Any

import transformers

from attention.errors import InputError
from attention.files.gguf_files import read_header
from attention.files.gguf_tokenizers import gguf_tokenizer
from attention.files.reading import read_bytes, read_json
from attention.limits import native

FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "tokenizer.model",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
)
ENDS = ("eos", "eot", "eom")
"""The ends that a GGUF file may name: of a text, of a turn, and of a message."""


def load_tokenizer(place: str | Path) -> transformers.PreTrainedTokenizerBase:
    """Load the tokenizer of a model folder or of a GGUF file; code of the model never runs.

    The files of a tokenizer are programs too: regular expressions and templates.  What it does is
    therefore bounded in time, and its panics are errors of one line.

    Raises:
        InputError: no tokenizer can be read, or a file of it is too large or no regular file.
    """
    place = Path(place)
    if place.suffix == ".gguf":
        return _bounded(gguf_tokenizer(read_header(place)), place)
    _check_files(place)
    transformers.logging.set_verbosity_error()
    with native(f"{place}: no tokenizer that can be read: it"), warnings.catch_warnings():
        # It also reads config.json, and warns about model types of this project.
        warnings.simplefilter("ignore", FutureWarning)
        found = transformers.AutoTokenizer.from_pretrained(place, trust_remote_code=False)
    if not isinstance(found, transformers.PreTrainedTokenizerBase):
        raise InputError(f"{place}: no tokenizer that can be read")
    return _bounded(found, place)


def _bounded(
    tokenizer: transformers.PreTrainedTokenizerBase, place: Path
) -> transformers.PreTrainedTokenizerBase:
    """The tokenizer, with each of its calls bounded in time."""
    cls = type(tokenizer)

    def encode(self: Any, *args: Any, **kwargs: Any) -> Any:
        with native(f"the tokenizer of {place}"):
            return cls.__call__(self, *args, **kwargs)

    # of the same name, because the name goes into the files that the tokenizer writes
    tokenizer.__class__ = type(cls.__name__, (cls,), {"__call__": encode})
    with native(f"the tokenizer of {place}"):
        if not isinstance(tokenizer("a b")["input_ids"], list):
            raise TypeError("it gives no list of tokens")
    return tokenizer


def _check_files(folder: Path) -> None:
    """Refuse files of a tokenizer that could be read without end.

    Raises:
        InputError: one is no regular file or too large, or its reader is missing.
    """
    for name in FILES:
        if os.path.lexists(folder / name):
            read_bytes(folder / name)
    if (folder / "config.json").is_file():
        read_json(folder / "config.json")
    _check_readers(folder)


def end_tokens(
    place: str | Path, tokenizer: transformers.PreTrainedTokenizerBase
) -> tuple[int, ...]:
    """Find the tokens at which a model ends what it writes.

    They are the tokenizer's end of text and every id of ``eos_token_id`` in
    ``generation_config.json`` and ``config.json``; in a GGUF file the ends of a text, a turn and a
    message.

    Args:
        place: folder of the model, or its GGUF file.
        tokenizer: of the model.

    Returns:
        Their ids, ascending.

    Raises:
        InputError: one of the files cannot be read.
    """
    given: list[object] = [tokenizer.eos_token_id]
    if Path(place).suffix == ".gguf":
        metadata = read_header(Path(place)).metadata
        given += [metadata.get(f"tokenizer.ggml.{name}_token_id") for name in ENDS]
    else:
        files = (Path(place) / name for name in ("generation_config.json", "config.json"))
        for file in filter(Path.is_file, files):
            values = read_json(file)
            inner = values.get("text_config")
            given.append(values.get("eos_token_id"))
            given.append(inner.get("eos_token_id") if isinstance(inner, dict) else None)
    ids = (i for one in given for i in (one if isinstance(one, list | tuple) else [one]))
    return tuple(sorted({int(i) for i in ids if type(i) is int and 0 <= i < 2**31}))


def _check_readers(folder: Path) -> None:
    """Raise InputError if the only tokenizer is one of SentencePiece, and its reader is missing."""
    file = folder / "tokenizer.model"
    if not file.is_file() or (folder / "tokenizer.json").is_file():
        return
    if file.read_bytes()[:1] != b"\n":  # how a model of SentencePiece begins
        return
    modules = {"sentencepiece": "sentencepiece", "google.protobuf": "protobuf"}
    if missing := [name for module, name in modules.items() if not _there(module)]:
        raise InputError(
            f"{file} needs {' and '.join(missing)} to be read: "
            "pip install 'tale-jax[sentencepiece]', or put a tokenizer.json beside it"
        )


def _there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):  # its parent is missing; it is blocked
        return False
