"""The tokenizer of a model, and the tokens at which the model ends what it writes."""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path

import transformers

from attention.errors import InputError
from attention.files.gguf_files import read_header
from attention.files.gguf_tokenizers import gguf_tokenizer
from attention.files.reading import read_json

ENDS = ("eos", "eot", "eom")
"""The ends that a GGUF file may name: of a text, of a turn, and of a message."""


def load_tokenizer(place: str | Path) -> transformers.PreTrainedTokenizerBase:
    """Load the tokenizer of a model folder or of a GGUF file; code of the model never runs.

    Raises:
        InputError: no tokenizer can be read.
    """
    if Path(place).suffix == ".gguf":
        return gguf_tokenizer(read_header(Path(place)))
    _check_readers(Path(place))
    transformers.logging.set_verbosity_error()
    try:
        with warnings.catch_warnings():
            # It also reads config.json, and warns about model types of this project.
            warnings.simplefilter("ignore", FutureWarning)
            return transformers.AutoTokenizer.from_pretrained(place, trust_remote_code=False)
    except Exception as error:  # the library raises many kinds of errors
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{place}: no tokenizer that can be read: {reason}") from error


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
    return tuple(sorted({int(i) for i in ids if isinstance(i, int) and i >= 0}))


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
