"""How a model is asked: by the log-probability of each choice, or by letting it write.

A protocol turns examples into rows, says what the device makes of them, and turns what comes back
into answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol, get_args

import jax
import jax.numpy as jnp
import numpy as np

from attention.errors import InputError
from attention.likelihood import Arrays, Row, score_targets
from attention.transformer import TransformerConfig, jitted_generate
from tale_jax.tasks import (
    Answer,
    Example,
    Task,
    Tokenizer,
    argmax,
    cut,
    encode_choices,
    encode_prompts,
    judge_first,
)

ProtocolName = Literal["loglikelihood", "loglikelihood-norm", "decode"]


class NotFiniteError(InputError):
    """The model's logits are not numbers."""


class Scoring(Protocol):
    """What the scorer needs to know of a protocol."""

    name: str
    new_tokens: int  # positions beyond a row's tokens that it takes

    def rows(self, examples: Sequence[Example]) -> list[Row]:
        """The row of each example."""
        ...

    def answers(self, examples: Sequence[Example], outputs: Any) -> list[Answer]:
        """The verdict on each example from the outputs of all rows, in order."""
        ...

    def difficulty(self, examples: Sequence[Example], outputs: Any) -> np.ndarray:
        """A number an example, higher where a model is likelier to be wrong."""
        ...

    def check(self, outputs: Any) -> None:
        """Raise NotFiniteError if an output is not a number."""
        ...


def make_protocol(
    name: str, config: TransformerConfig, tokenizer: Tokenizer, task: Task, new_tokens: int | None
) -> Scoring:
    """The protocol called ``name``; ``auto`` is log-likelihood where there are choices.

    A task may say that its answers are written in spite of choices (``Task.written``).

    Raises:
        InputError: an unknown name, or log-likelihood for a task without choices.
    """
    if name == "auto":
        name = "decode" if task.generated or task.written else "loglikelihood"
    if name not in get_args(ProtocolName):
        known = ", ".join(("auto", *get_args(ProtocolName)))
        raise InputError(f"unknown protocol {name!r}; there are {known}")
    if new_tokens is not None and new_tokens < 1:
        raise InputError(f"the number of new tokens must be at least 1, not {new_tokens}")
    if name == "decode":
        return Decode(config, tokenizer, task, new_tokens)
    if task.generated:
        raise InputError(f"{task.name} has no choices to compare; use the protocol decode")
    return Loglikelihood(config, tokenizer, per_byte=name == "loglikelihood-norm")


class Loglikelihood:
    """``argmax_c Σ_t log p(c_t | prompt, c_<t)``, divided by the choice's bytes if ``per_byte``.

    An exact tie between choices is not a correct answer.
    """

    new_tokens = 0

    def __init__(self, config: TransformerConfig, tokenizer: Tokenizer, per_byte: bool = False):
        self.name = "loglikelihood-norm" if per_byte else "loglikelihood"
        self._config, self._tokenizer, self._per_byte = config, tokenizer, per_byte

    def rows(self, examples: Sequence[Example]) -> list[Row]:
        return [
            Row.choices([(c.tokens, c.num_choice_tokens) for c in choices])
            for choices in encode_choices(self._tokenizer, examples)
        ]

    def read(self, params: Any, hidden_BUD: jax.Array, arrays: Arrays) -> jax.Array:
        """Log-probability of each choice ``[B, C]``, from the last states of ``arrays.places``."""
        log_probs_BP, _ = score_targets(
            self._config, params, hidden_BUD, arrays.targets, arrays.reads
        )
        most = arrays.targets.shape[1]  # every choice has at least one target
        owned_BPC = arrays.owners[:, :, None] == jnp.arange(most)[None, None]
        return jnp.sum(jnp.where(owned_BPC, log_probs_BP[:, :, None], 0), axis=1)

    def answers(self, examples: Sequence[Example], outputs: np.ndarray) -> list[Answer]:
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

    def check(self, outputs: np.ndarray) -> None:
        if np.isnan(outputs).any():
            raise NotFiniteError("the model's logits are NaN; try another dtype or another model")


class Decode:
    """Greedy tokens up to a stop string, and the answer read off the text before it."""

    name = "decode"

    def __init__(
        self, config: TransformerConfig, tokenizer: Tokenizer, task: Task, new_tokens: int | None
    ):
        self._config, self._tokenizer = config, tokenizer
        self.new_tokens = new_tokens or self._usual_length(task)
        self._judge = task.judge or judge_first
        self._stops = ("\n",) if task.stop is None and task.generated else task.stop or ()
        self._stop_V = self._stop_tokens()

    def _usual_length(self, task: Task) -> int:
        """What the task says, but at most a quarter of the positions; or by its longest answer."""
        if task.new_tokens is None:
            return self._longest_answer(task) + 2
        return max(1, min(task.new_tokens, self._config.max_position_embeddings // 4))

    def _longest_answer(self, task: Task) -> int:
        texts = {
            text
            for example in (*task.search, *(task.test or ()))
            for text in (example.choices or (str(example.answer),))
        }
        encoded = self._tokenizer(sorted(texts), add_special_tokens=False)["input_ids"]
        return max(map(len, encoded))

    def _stop_tokens(self) -> np.ndarray:
        """End-of-text and every token that begins with a stop string.

        A stop string that begins within a token or goes over several ends the answer all the same,
        but not the writing.
        """
        size = self._config.vocab_size or 0
        stop_V = np.zeros(size, bool)
        eos = self._tokenizer.eos_token_id
        stop_V[[] if eos is None or eos >= size else [eos]] = True
        if self._stops:
            texts = self._tokenizer.batch_decode(
                [[i] for i in range(min(size, len(self._tokenizer)))]
            )
            for i, text in enumerate(texts):
                stop_V[i] |= text.startswith(self._stops)
        return stop_V

    def rows(self, examples: Sequence[Example]) -> list[Row]:
        return [Row.prompt(tokens) for tokens in encode_prompts(self._tokenizer, examples)]

    def write(self, params: Any, keep: jax.Array, arrays: Arrays) -> tuple[jax.Array, jax.Array]:
        """New tokens ``[B, new]``, −1 from the stop on, and whether each row stayed finite."""
        asked = arrays.tokens, arrays.where, self._stop_V, self.new_tokens
        out = jitted_generate(self._config, params, *asked, keep=keep)
        return jnp.where(out.where, out.tokens, -1), out.finite

    def answers(
        self, examples: Sequence[Example], outputs: tuple[np.ndarray, np.ndarray]
    ) -> list[Answer]:
        tokens, _ = outputs
        texts = self._tokenizer.batch_decode(
            [[int(t) for t in line if t >= 0] for line in tokens], skip_special_tokens=True
        )
        return [
            Answer(*self._judge(cut(text, self._stops), example))
            for text, example in zip(texts, examples, strict=True)
        ]

    def difficulty(self, examples: Sequence[Example], outputs: Any) -> np.ndarray:
        """Wrong answers before right ones, then long answers before short ones."""
        answers = self.answers(examples, outputs)
        sizes = [len(str(example.answer)) for example in examples]
        return np.array([1e9 * (not a.correct) + n for a, n in zip(answers, sizes, strict=True)])

    def check(self, outputs: tuple[np.ndarray, np.ndarray]) -> None:
        if not outputs[1].all():
            raise NotFiniteError("the model's logits are NaN; try another dtype or another model")
