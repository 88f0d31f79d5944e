"""The data of fine-tuning: rows of answered examples, their batches, and the loss of a batch."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from attention.errors import InputError
from attention.likelihood import Row, bucket, check_vocabulary, summed_loss
from attention.transformer import Transformer, TransformerConfig
from tale_jax.criteria import answer_rows
from tale_jax.models import LoadedModel
from tale_jax.tasks import Example, Task


def training_rows(model: LoadedModel, task: Task) -> list[Row]:
    """The examples that fit the model, with the tokens of their answers as targets.

    If the task lets the model write its answers, the end of the text is a target too.

    Args:
        model: that reads them.
        task: whose search split is the train split, in the form in which the model is asked: with
            shots, instruction and chat template (``opening.render_task``).

    Raises:
        InputError: no example fits, or a token is not in the model's vocabulary.
    """
    end, size = model.tokenizer.eos_token_id, model.config.vocab_size
    rows = answer_rows(model, [_taught(example) for example in task.search])
    check_vocabulary(rows, size)
    if task.generated and isinstance(end, int):
        # The answer's last token, until now only predicted, is read to predict the end.
        rows = [Row.text([*r.tokens, r.targets[-1]], [*r.targets, end]) for r in rows]
    fitting = [row for row in rows if len(row.tokens) <= model.config.longest_text]
    if not fitting:
        raise InputError(f"{task.name}: every train example is longer than the model's positions")
    return fitting


def _taught(example: Example) -> Example:
    """The example with the answer that a shot would show, where that is longer than the answer."""
    if example.solution is None:
        return example
    text = example.solution.strip() if example.rendered else example.solution
    return dataclasses.replace(example, choices=None, answer=text)


@dataclasses.dataclass(frozen=True)
class Batches:
    """Batches as a pure function of the step; each epoch is a permutation drawn from the seed.

    Attributes:
        rows: the training data.
        batch_size: rows in a batch.
        seed: draws the permutations.
    """

    rows: Sequence[Row]
    batch_size: int
    seed: int

    def __call__(self, step: int) -> dict[str, np.ndarray]:
        """The batch of a step: ``tokens, where, targets, weights``, each ``[batch, length]``."""
        places = range(step * self.batch_size, (step + 1) * self.batch_size)
        drawn = [self._row(place) for place in places]
        length = bucket(max(len(row.tokens) for row in drawn))
        shape = (self.batch_size, length)
        tokens, targets = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
        where, weights = np.zeros(shape, bool), np.zeros(shape, np.float32)
        for i, row in enumerate(drawn):
            end = len(row.tokens)
            tokens[i, :end], where[i, :end] = row.tokens, True
            targets[i, end - len(row.targets) : end] = row.targets
            weights[i, end - len(row.targets) : end] = 1
        return {"tokens": tokens, "where": where, "targets": targets, "weights": weights}

    def _row(self, place: int) -> Row:
        epoch, index = divmod(place, len(self.rows))
        return self.rows[_permutation(self.seed, epoch, len(self.rows))[index]]


@functools.lru_cache(maxsize=4)
def _permutation(seed: int, epoch: int, count: int) -> np.ndarray:
    return np.random.default_rng((seed, epoch)).permutation(count)


def answer_loss(
    config: TransformerConfig, params: Any, batch: Mapping[str, Array]
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """The loss of a batch, ``−Σ log p(answer token)`` in nats, and the number of these tokens.

    Args:
        config: of the model.
        params: its parameters.
        batch: as :class:`Batches` gives it.
    """
    how = {"where": batch["where"], "logits": False}
    states_BTD: Any = Transformer(config).apply({"params": params}, batch["tokens"], **how)
    total = summed_loss(config, params, states_BTD, batch["targets"], batch["weights"])
    return total.objective, jnp.sum(batch["weights"])
