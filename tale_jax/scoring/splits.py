"""The rows of a task's splits that a model has room for, and the text that all begin with."""

from __future__ import annotations

from typing import NamedTuple

from attention.likelihood import Arrays, Row, check_vocabulary, one_row, shared_beginning
from attention.transformer import TransformerConfig
from tale_jax.scoring.protocols import Asker
from tale_jax.tasks import Example, Task, fitting

SPLITS = ("search", "test")


class Splits(NamedTuple):
    """What is asked.

    Attributes:
        examples: of each split, those that fit the model's positions.
        rows: of these, behind the text that all rows begin with.
        front: that text, as a batch of one row; None: it is too short to be worth sharing.
        too_long: number of examples left out because they do not fit.
    """

    examples: dict[str, list[Example]]
    rows: dict[str, list[Row]]
    front: Arrays | None
    too_long: int


def fitting_splits(config: TransformerConfig, protocol: Asker, task: Task) -> Splits:
    """Make rows of a task's examples, and leave out those that do not fit.

    Args:
        config: of the model.
        protocol: makes a row of an example.
        task: prompts with their shots already in front.

    Raises:
        InputError: no example fits the model, or a token is none of the model's.
    """
    examples, rows, too_long = {}, {}, 0
    for split in SPLITS:
        if (given := getattr(task, split)) is not None:
            made = protocol.rows(given)
            check_vocabulary(made, config.vocab_size)
            lengths = [max(row.positions) + 1 + protocol.new_tokens for row in made]
            kept = fitting(lengths, config.longest_text, task.name)
            too_long += len(given) - len(kept)
            examples[split] = [given[i] for i in kept]
            rows[split] = [made[i] for i in kept]
    # What all rows begin with is the same in all, unless positions turn by the row's length.
    shared = 0 if config.rope_by_length else shared_beginning(list(rows.values()))
    front = one_row(rows["search"][0].tokens[:shared]) if shared else None
    rows = {split: [row.without(shared) for row in made] for split, made in rows.items()}
    return Splits(examples, rows, front, too_long)
