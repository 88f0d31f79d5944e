"""The text that criteria read: the task's prompts or a file, and the right answers."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from attention.errors import InputError
from attention.likelihood import Row
from tale_jax.models import LoadedModel
from tale_jax.scoring import choice_rows
from tale_jax.tasks import Example, Tokenizer, encode_prompts

WINDOW, MOST_WINDOWS = 512, 128
"""A text is cut into windows of ``WINDOW`` tokens; the first ``MOST_WINDOWS`` are read."""


def calibration_rows(
    tokenizer: Tokenizer, examples: Sequence[Example], positions: int, file: str | Path | None
) -> list[Row]:
    """Rows of the calibration text, in which every token but the first is a target.

    Args:
        tokenizer: of the model.
        examples: their prompts, without answers, are read if there is no file.
        positions: of the model; longer prompts lose their end.
        file: UTF-8 text.

    Raises:
        InputError: the file cannot be read, or there are not two tokens to read.
    """
    if file is None:
        texts = [tokens[:positions] for tokens in encode_prompts(tokenizer, examples)]
    else:
        tokens = tokenizer(_read(Path(file)), verbose=False)["input_ids"]
        size = min(WINDOW, positions)
        texts = [tokens[i : i + size] for i in range(0, len(tokens), size)][:MOST_WINDOWS]
    rows = [Row.text(tokens[:-1], tokens[1:]) for tokens in texts if len(tokens) > 1]
    if not rows:
        raise InputError(f"{file or 'the prompts'}: fewer than two tokens to calibrate on")
    return rows


def answer_rows(model: LoadedModel, examples: Sequence[Example]) -> list[Row]:
    """A row for each example: its prompt and, as targets, the tokens of its right answer."""
    answered = [_answered(example) for example in examples]
    return choice_rows(model.tokenizer, answered)


def _answered(example: Example) -> Example:
    """The example with its right answer as the only choice."""
    right = example.choices[int(example.answer)] if example.choices else str(example.answer)
    contexts = example.contexts[int(example.answer) :][:1] if example.contexts else ()
    return dataclasses.replace(example, choices=(right,), answer=0, contexts=contexts)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise InputError(f"{file} is not UTF-8 text") from None
