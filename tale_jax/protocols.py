"""How a model is asked: by the log-probability of each choice, or by letting it write.

A protocol turns examples into rows, has one program for the device, and turns what comes back into
answers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol, get_args

import jax
import jax.numpy as jnp
import numpy as np

from attention.errors import InputError
from attention.transformer import Transformer, TransformerConfig
from attention.transformer.generation import jitted_generate
from tale_jax.answers import argmax, cut, judge_first
from tale_jax.batching import Row
from tale_jax.examples import Example, Task
from tale_jax.prompts import Tokenizer, encode_choices, encode_prompts
from tale_jax.runs import Answer

ProtocolName = Literal["loglikelihood", "loglikelihood-norm", "decode"]


class NotFiniteError(InputError):
    """The model's logits are not numbers."""


class Scoring(Protocol):
    """What the scorer needs to know of a protocol."""

    name: str
    new_tokens: int  # positions beyond a row's tokens that it takes

    def rows(self, examples: Sequence[Example]) -> list[list[Row]]:
        """The rows of each example."""
        ...

    def program(self) -> Callable[..., Any]:
        """``program(params, keep, tokens, where, targets, target_where)`` → arrays ``[R, …]``."""
        ...

    def answers(self, examples: Sequence[Example], rows: list[Row], outputs: Any) -> list[Answer]:
        """The verdict on each example from the outputs of all rows, in order."""
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

    def rows(self, examples: Sequence[Example]) -> list[list[Row]]:
        # The last token is only predicted, never read.
        return [
            [Row(c.tokens[:-1], c.tokens[-c.num_choice_tokens :], i) for c in choices]
            for i, choices in enumerate(encode_choices(self._tokenizer, examples))
        ]

    def program(self) -> Callable[..., Any]:
        model = Transformer(self._config)

        def loglikelihood(params, keep, tokens, where, targets, target_where):
            first = jnp.sum(where, axis=1) - jnp.sum(target_where, axis=1)
            places = jnp.arange(targets.shape[1])[None]
            read_at = jnp.clip(first[:, None] + places, 0, tokens.shape[1] - 1)
            logits: Any = model.apply(
                {"params": params}, tokens, where=where, keep=keep, read_at=read_at
            )
            chosen = jnp.take_along_axis(logits, targets[:, :, None], axis=-1)[..., 0]
            log_probs = chosen - jax.nn.logsumexp(logits, axis=-1)
            return jnp.sum(jnp.where(target_where, log_probs, 0), axis=1)

        return loglikelihood

    def answers(
        self, examples: Sequence[Example], rows: list[Row], outputs: np.ndarray
    ) -> list[Answer]:
        scores: list[list[float]] = [[] for _ in examples]
        for row, output in zip(rows, outputs, strict=True):
            scores[row.example].append(float(output))
        found = []
        for example, values in zip(examples, scores, strict=True):
            if self._per_byte:
                sizes = [len(choice.encode()) for choice in example.choices or ()]
                values = [value / size for value, size in zip(values, sizes, strict=True)]
            choice = argmax(values)
            found.append(Answer(choice, choice == example.answer))
        return found

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

    def rows(self, examples: Sequence[Example]) -> list[list[Row]]:
        return [
            [Row(tokens, [], i)]
            for i, tokens in enumerate(encode_prompts(self._tokenizer, examples))
        ]

    def program(self) -> Callable[..., Any]:
        def decode(params, keep, tokens, where, targets, target_where):
            del targets, target_where
            out = jitted_generate(
                self._config, params, tokens, where, self._stop_V, self.new_tokens, keep=keep
            )
            return jnp.where(out.where, out.tokens, -1), out.finite

        return decode

    def answers(
        self, examples: Sequence[Example], rows: list[Row], outputs: tuple[np.ndarray, np.ndarray]
    ) -> list[Answer]:
        del rows  # one an example, in order
        tokens, _ = outputs
        texts = self._tokenizer.batch_decode(
            [[int(t) for t in line if t >= 0] for line in tokens], skip_special_tokens=True
        )
        return [
            Answer(*self._judge(cut(text, self._stops), example))
            for text, example in zip(texts, examples, strict=True)
        ]

    def check(self, outputs: tuple[np.ndarray, np.ndarray]) -> None:
        if not outputs[1].all():
            raise NotFiniteError("the model's logits are NaN; try another dtype or another model")
