"""The protocols that compare the log-probabilities of an example's choices.

All of them read the same pass: ``log p(choice | prompt)``.  A score makes a number of it, and the
choice with the largest number is the answer.  Only :func:`beyond_prior` takes more than that pass:
the choices without their prompt.

The scores are those of lm-eval (Gao et al., "The Language Model Evaluation Harness", 2024).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from attention.choices import resolve
from attention.likelihood import Arrays, Row, score_targets
from attention.transformer import TransformerConfig
from tale_jax.scoring.protocols import PROTOCOLS, Asker, Protocol
from tale_jax.tasks import Answer, Example, Task, Tokenizer, argmax, encode_choices


class Scored(NamedTuple):
    """What a model thinks of one choice.

    Attributes:
        log_prob: ``log p(choice | prompt)`` in nats.
        text: of the choice, without the space before it.
        prior: ``log p(choice)`` behind an empty prompt, if that was read.
    """

    log_prob: float
    text: str
    prior: float


Score = Callable[[Scored], float]


def total(choice: Scored) -> float:
    """``log p(c | prompt)``, which prefers short choices: lm-eval's ``acc``."""
    return choice.log_prob


def per_character(choice: Scored) -> float:
    """``log p(c | prompt) / characters of c``: lm-eval's ``acc_norm``."""
    return choice.log_prob / max(1, len(choice.text))


def per_byte(choice: Scored) -> float:
    """``log p(c | prompt) / UTF-8 bytes of c``: lm-eval's ``acc_bytes``."""
    return choice.log_prob / max(1, len(choice.text.encode()))


def beyond_prior(choice: Scored) -> float:
    """``log p(c | prompt) − log p(c)``: lm-eval's ``acc_mutual_info``."""
    return choice.log_prob - choice.prior


def choice_rows(tokenizer: Tokenizer, examples: Sequence[Example]) -> list[Row]:
    """For each example its prompt with all choices side by side, the choices' tokens as targets."""
    return [Row.choices(choices) for choices in encode_choices(tokenizer, examples)]


class Loglikelihood(Asker):
    """``argmax_c score(log p(c | prompt))``; an exact tie between choices is no correct answer.

    Args:
        name: of the protocol.
        config: of the model.
        tokenizer: of the model.
        task: whose delimiter does not count as text of a choice.
        new_tokens: of no use here.
        score: makes a number of what the model thinks of a choice, or says where such a function
            stands (``"package.module:name"``).
        prior: whether the choices are read behind an empty prompt as well.
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
        score: Score | str = total,
        prior: bool = False,
    ):
        del new_tokens
        self.name, self._config, self._tokenizer, self._prior = name, config, tokenizer, prior
        self._score: Score = resolve(score)
        self._delimiter, self._merged = task.delimiter, 0

    @property
    def notes(self) -> Sequence[str]:
        if not self._merged:
            return ()
        return (
            "choices that merge with the end of their prompt into one token, and are therefore "
            f"encoded by themselves: {self._merged}",
        )

    @property
    def traced(self) -> Hashable | None:
        return Loglikelihood if type(self).read is Loglikelihood.read else None

    def rows(self, examples: Sequence[Example]) -> list[Row]:
        encoded = encode_choices(self._tokenizer, examples, self._count_merged)
        if not self._prior:
            return [Row.choices(choices) for choices in encoded]
        bare = [Example("", example.choices, example.answer) for example in examples]
        alone = encode_choices(self._tokenizer, bare)
        return [Row.choices(*pair) for pair in zip(encoded, alone, strict=True)]

    def _count_merged(self, count: int) -> None:
        self._merged += count

    def read(
        self, params: Mapping[str, Any], states_BUD: Float[Array, "B U D"], arrays: Arrays
    ) -> Float[Array, "B C"]:
        """Log-probability of each choice, from the last states of ``arrays.places``.

        Where priors are read too, they stand behind the choices of each row.
        """
        targets = arrays.targets, arrays.reads
        log_probs_BP = score_targets(self._config, params, states_BUD, *targets).log_probs
        most = arrays.targets.shape[1]  # every choice has at least one target
        owned_BPC = arrays.owners[:, :, None] == jnp.arange(most)[None, None]
        return jnp.sum(jnp.where(owned_BPC, log_probs_BP[:, :, None], 0), axis=1)

    def answers(
        self, examples: Sequence[Example], outputs: Sequence[np.ndarray] | np.ndarray
    ) -> list[Answer]:
        return self._answers(self._score, examples, outputs)

    def readings(
        self, examples: Sequence[Example], outputs: Sequence[np.ndarray] | np.ndarray
    ) -> dict[str, list[Answer]]:
        """The answers by every score of the table that needs no more than what has been read."""
        return {
            name: self._answers(resolve(row.settings["score"]), examples, outputs)
            for name, row in PROTOCOLS.items()
            if _compares(row) and (self._prior or not row.settings.get("prior"))
        }

    def _answers(
        self,
        score: Score,
        examples: Sequence[Example],
        outputs: Sequence[np.ndarray] | np.ndarray,
    ) -> list[Answer]:
        found = []
        for example, output in zip(examples, outputs, strict=True):
            choice = argmax(self._values(score, example, output))
            found.append(Answer(choice, choice == example.answer))
        return found

    def _values(self, score: Score, example: Example, output: np.ndarray) -> list[float]:
        """The score of each choice; two that are the same text have the same, to the last bit."""
        choices = example.choices or ()
        count, known = len(choices), {}
        for i, choice in enumerate(choices):
            text = choice.removeprefix(self._delimiter)
            prior = float(output[count + i]) if self._prior else 0.0
            asked = (example.contexts[i] if example.contexts else "", choice)
            known.setdefault(asked, score(Scored(float(output[i]), text, prior)))
        prompts = example.contexts or ("",) * count
        return [known[asked] for asked in zip(prompts, choices, strict=True)]

    def difficulty(self, examples: Sequence[Example], outputs: np.ndarray) -> np.ndarray:
        """How much better the best wrong choice scores than the right one."""
        found = []
        for example, output in zip(examples, outputs, strict=True):
            values = np.array(self._values(self._score, example, output))
            right, values[int(example.answer)] = values[int(example.answer)], -np.inf
            found.append(values.max(initial=-np.inf) - right)
        return np.nan_to_num(np.array(found), nan=np.inf)

    def finite(self, outputs: np.ndarray) -> bool:
        return not np.isnan(outputs).any()


def _compares(row: Protocol) -> bool:
    """Whether a row of the table is one of this class with a score."""
    return "score" in row.settings and resolve(row.make) is Loglikelihood
