"""The tokenizer of a model."""

from __future__ import annotations

import warnings
from pathlib import Path

import transformers

from attention.errors import InputError
from attention.files.gguf_files import read_header
from attention.files.gguf_tokenizers import gguf_tokenizer


def load_tokenizer(place: str | Path) -> transformers.PreTrainedTokenizerBase:
    """Load the tokenizer of a model folder or of a GGUF file; code that comes with it never runs.

    Raises:
        InputError: there is no tokenizer that can be read.
    """
    if Path(place).suffix == ".gguf":
        return gguf_tokenizer(read_header(Path(place)))
    transformers.logging.set_verbosity_error()
    try:
        with warnings.catch_warnings():
            # It reads config.json as well, and warns of a model type that is the project's own.
            warnings.simplefilter("ignore", FutureWarning)
            return transformers.AutoTokenizer.from_pretrained(place, trust_remote_code=False)
    except Exception as error:  # the library raises whatever its parts raise
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{place}: no tokenizer that can be read: {reason}") from error
