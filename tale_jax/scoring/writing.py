"""The protocol that lets the model write its answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

from attention.likelihood import Arrays, Row
from attention.transformer import TransformerConfig, jitted_generate
from tale_jax.scoring.protocols import Asker
from tale_jax.tasks import Answer, Example, Task, Tokenizer, cut, encode_prompts, judge_first

Written = tuple[Int[np.ndarray, "E new"], Bool[np.ndarray, " E"]]
"""New tokens, −1 from the stop on, and whether each row stayed finite."""


class Decode(Asker):
    """Greedy tokens up to an end token or a stop string, and the answer read off what is before.

    End tokens are those of the task's model and the tokenizer's; stop strings are the task's and
    the example's.
    """

    writes = True

    def __init__(
        self,
        name: str,
        config: TransformerConfig,
        tokenizer: Tokenizer,
        task: Task,
        new_tokens: int | None = None,
    ):
        self.name, self._config, self._tokenizer = name, config, tokenizer
        self.new_tokens = new_tokens or self._usual_length(task)
        self._judge = task.judge or judge_first
        self._stops = ("\n",) if task.stop is None and task.generated else task.stop or ()
        self._stop_V = self._stop_tokens(task.end_tokens)

    def _usual_length(self, task: Task) -> int:
        """What the task says, but at most a quarter of the positions; or by its longest answer."""
        if task.new_tokens is None:
            return self._longest_answer(task) + 2
        return max(1, min(task.new_tokens, self._config.longest_text // 4))

    def _longest_answer(self, task: Task) -> int:
        texts = {
            text
            for example in (*task.search, *(task.test or ()))
            for text in (example.choices or (str(example.answer),))
        }
        encoded = self._tokenizer(sorted(texts), add_special_tokens=False)["input_ids"]
        return max(map(len, encoded))

    def _stop_tokens(self, ends: Sequence[int]) -> Bool[np.ndarray, " V"]:
        """End tokens, and every token that begins with a stop string.

        A stop string that begins within a token or goes over several ends the answer all the same,
        but not the writing.
        """
        size = self._config.vocab_size or 0
        stop_V = np.zeros(size, bool)
        known = (self._tokenizer.eos_token_id, *ends)
        stop_V[[end for end in known if isinstance(end, int) and end < size]] = True
        if self._stops:
            texts = self._tokenizer.batch_decode(
                [[i] for i in range(min(size, len(self._tokenizer)))]
            )
            for i, text in enumerate(texts):
                stop_V[i] |= text.startswith(self._stops)
        return stop_V

    def rows(self, examples: Sequence[Example]) -> list[Row]:
        return [Row.prompt(tokens) for tokens in encode_prompts(self._tokenizer, examples)]

    def write(
        self, params: Mapping[str, Any], keep: Bool[Array, "L 2"], arrays: Arrays
    ) -> tuple[Int[Array, "B new"], Bool[Array, " B"]]:
        """New tokens, −1 from the stop on, and whether each row stayed finite."""
        asked = arrays.tokens, arrays.where, self._stop_V, self.new_tokens
        out = jitted_generate(self._config, params, *asked, keep=keep)
        return jnp.where(out.where, out.tokens, -1), out.finite

    def answers(self, examples: Sequence[Example], outputs: Written) -> list[Answer]:
        texts = self._tokenizer.batch_decode(
            [[int(t) for t in line if t >= 0] for line in outputs[0]], skip_special_tokens=True
        )
        found = []
        for text, example, line in zip(texts, examples, outputs[0], strict=True):
            before = cut(text, (*self._stops, *example.stop))
            answer, correct = self._judge(before, example)
            open_end = line[-1] >= 0 and before == text  # a choice that was read needs no more
            unfinished = open_end and (example.choices is None or answer is None)
            found.append(Answer(answer, correct, bool(unfinished)))
        return found

    def difficulty(self, examples: Sequence[Example], outputs: Written) -> np.ndarray:
        """Wrong answers before right ones, then long answers before short ones."""
        answers = self.answers(examples, outputs)
        sizes = [len(str(example.answer)) for example in examples]
        return np.array([1e9 * (not a.correct) + n for a, n in zip(answers, sizes, strict=True)])

    def finite(self, outputs: Written) -> bool:
        return bool(outputs[1].all())
