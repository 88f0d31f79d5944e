"""The protocols that compare the log-probabilities of an example's choices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from attention.likelihood import Arrays, Row, score_targets
from attention.transformer import TransformerConfig
from tale_jax.scoring.protocols import Asker
from tale_jax.tasks import Answer, Example, Task, Tokenizer, argmax, encode_choices


def choice_rows(tokenizer: Tokenizer, examples: Sequence[Example]) -> list[Row]:
    """For each example its prompt with all choices side by side, the choices' tokens as targets."""
    return [Row.choices(choices) for choices in encode_choices(tokenizer, examples)]


class Loglikelihood(Asker):
    """``argmax_c Σ_t log p(c_t | prompt, c_<t)``, divided by the choice's bytes if ``per_byte``.

    An exact tie between choices is not a correct answer.
    """

    writes, new_tokens = False, 0

    def __init__(
        self,
        name: str,
        config: TransformerConfig,
        tokenizer: Tokenizer,
        task: Task,
        new_tokens: int | None = None,
        *,
        per_byte: bool = False,
    ):
        del task, new_tokens
        self.name, self._config, self._tokenizer, self._per_byte = name, config, tokenizer, per_byte

    def rows(self, examples: Sequence[Example]) -> list[Row]:
        return choice_rows(self._tokenizer, examples)

    def read(
        self, params: Mapping[str, Any], states_BUD: Float[Array, "B U D"], arrays: Arrays
    ) -> Float[Array, "B C"]:
        """Log-probability of each choice, from the last states of ``arrays.places``."""
        targets = arrays.targets, arrays.reads
        log_probs_BP = score_targets(self._config, params, states_BUD, *targets).log_probs
        most = arrays.targets.shape[1]  # every choice has at least one target
        owned_BPC = arrays.owners[:, :, None] == jnp.arange(most)[None, None]
        return jnp.sum(jnp.where(owned_BPC, log_probs_BP[:, :, None], 0), axis=1)

    def answers(
        self, examples: Sequence[Example], outputs: Sequence[np.ndarray] | np.ndarray
    ) -> list[Answer]:
        found = []
        for example, output in zip(examples, outputs, strict=True):
            values = [float(value) for value in output[: len(example.choices or ())]]
            if self._per_byte:
                sizes = [len(choice.encode()) for choice in example.choices or ()]
                values = [value / size for value, size in zip(values, sizes, strict=True)]
            choice = argmax(values)
            found.append(Answer(choice, choice == example.answer))
        return found

    def difficulty(self, examples: Sequence[Example], outputs: np.ndarray) -> np.ndarray:
        """How much likelier the best wrong choice is than the right one."""
        found = []
        for example, output in zip(examples, outputs, strict=True):
            values = np.array(output[: len(example.choices or ())])
            right, values[example.answer] = values[int(example.answer)], -np.inf
            found.append(values.max(initial=-np.inf) - right)
        return np.nan_to_num(np.array(found), nan=np.inf)

    def finite(self, outputs: np.ndarray) -> bool:
        return not np.isnan(outputs).any()
