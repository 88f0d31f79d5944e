"""The text that criteria read: the task's prompts or a file, and the right answers."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from attention.errors import InputError
from attention.files import read_bytes
from attention.likelihood import Row, check_vocabulary
from tale_jax.models import LoadedModel
from tale_jax.scoring import choice_rows
from tale_jax.tasks import Example, encode_choices, encode_prompts

WINDOW, MOST_WINDOWS = 512, 128
"""A text is cut into windows of ``WINDOW`` tokens; the first ``MOST_WINDOWS`` are read."""


def calibration_rows(
    model: LoadedModel, examples: Sequence[Example], file: str | Path | None
) -> list[Row]:
    """Rows of the calibration text, in which every token but the first is a target.

    Args:
        model: that reads it; prompts that are longer than its positions lose their end.
        examples: their prompts, without answers, are read if there is no file; of minimal pairs,
            which have no prompts, both sentences.
        file: UTF-8 text.

    Raises:
        InputError: the file cannot be read, there are not two tokens to read, or the model lacks
            one of them.
    """
    tokenizer, positions = model.tokenizer, model.config.longest_text
    if file is None:
        texts = encode_prompts(tokenizer, examples)
        if not any(example.prompt for example in examples):
            choices = encode_choices(tokenizer, examples)
            texts = [choice.tokens for each in choices for choice in each]
        texts = [tokens[:positions] for tokens in texts]
    else:
        tokens = tokenizer(_read(Path(file)), verbose=False)["input_ids"]
        size = min(WINDOW, positions)
        texts = [tokens[i : i + size] for i in range(0, len(tokens), size)][:MOST_WINDOWS]
    rows = [Row.text(tokens[:-1], tokens[1:]) for tokens in texts if len(tokens) > 1]
    if not rows:
        raise InputError(f"{file or 'the prompts'}: fewer than two tokens to calibrate on")
    check_vocabulary(rows, model.config.vocab_size)
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
        return read_bytes(file).decode()
    except UnicodeDecodeError:
        raise InputError(f"{file} is not UTF-8 text") from None
