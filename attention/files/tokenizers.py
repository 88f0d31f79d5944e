"""The tokenizer of a model folder."""

from __future__ import annotations

import warnings
from pathlib import Path

import transformers

from attention.errors import InputError


def load_tokenizer(folder: str | Path) -> transformers.PreTrainedTokenizerBase:
    """Load the tokenizer of a model folder; code that comes with it is never run.

    Raises:
        InputError: there is no tokenizer that can be read.
    """
    transformers.logging.set_verbosity_error()
    try:
        with warnings.catch_warnings():
            # It reads config.json as well, and warns of a model type that is the project's own.
            warnings.simplefilter("ignore", FutureWarning)
            return transformers.AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except Exception as error:  # the library raises whatever its parts raise
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{folder}: no tokenizer that can be read: {reason}") from error
