"""The protocol that lets the model write its answer."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from attention.likelihood import Row
from attention.transformer import Cache, TransformerConfig, write_behind
from tale_jax.scoring.protocols import Asker
from tale_jax.tasks import Answer, Example, Task, Tokenizer, cut, encode_prompts, judge_first


def stop_states(texts: Sequence[str], stops: Sequence[str]) -> Int[np.ndarray, "S V"]:
    """Make the automaton that finds stop strings, however tokens cut them.

    A state is the beginning of a stop string that the text ends with; ``[s, v]`` is the state
    behind token v.  S ends a row before the token, which begins with a stop string, and S + 1
    behind it, for what stands before the stop string belongs to the answer.

    Args:
        texts: of the tokens.
        stops: the stop strings; none is empty.
    """
    begun = sorted({stop[:n] for stop in stops for n in range(len(stop))} | {""}, key=len)
    place, longest = {text: i for i, text in enumerate(begun)}, len(begun[-1])
    stop_SV = np.zeros((len(begun), len(texts)), np.int16)
    tokens: dict[str, list[int]] = {}  # by their first letter
    for v, text in enumerate(texts):
        tokens.setdefault(text[:1], []).append(v)

    def behind(text: str) -> int:
        if any(stop in text for stop in stops):
            return len(begun) + 1
        ends = (text[-n:] for n in range(min(longest, len(text)), 0, -1))
        return next((place[end] for end in ends if end in place), 0)

    firsts = {stop[0] for stop in stops}
    for v, text in enumerate(texts):
        if not firsts.isdisjoint(text):
            begins = text.startswith(tuple(stops))
            stop_SV[0, v] = len(begun) if begins else behind(text)
    stop_SV[1:] = stop_SV[0]
    for s, before in enumerate(begun[1:], 1):
        stop_SV[s, tokens.get("", [])] = s
        # Any other token acts as at the start of a text, unless it goes on with what is begun.
        ways = {stop[n] for stop in stops for n in range(len(stop)) if before.endswith(stop[:n])}
        for v in (v for way in ways for v in tokens.get(way, ())):
            if stop_SV[0, v] < len(begun):
                stop_SV[s, v] = behind(before + texts[v])
    return stop_SV


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
        self._stop_SV = self._stop_table(task.end_tokens)

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

    def _stop_table(self, ends: Sequence[int]) -> Int[np.ndarray, "S V"]:
        """The automaton that ends the writing: see ``stop_states``.

        End tokens are those of the task's model and the tokenizer's.
        """
        size = self._config.vocab_size or 0
        texts = [""] * size
        if self._stops:  # behind a letter, for a tokenizer may drop the space of a first word
            front = self._tokenizer("a", add_special_tokens=False)["input_ids"][-1:]
            pairs = [[*front, i] for i in range(min(size, len(self._tokenizer)))]
            first, *behind = self._tokenizer.batch_decode([front, *pairs])
            texts[: len(behind)] = [text.removeprefix(first) for text in behind]
        stop_SV = stop_states(texts, self._stops)
        known = (self._tokenizer.eos_token_id, *ends)
        stop_SV[:, [e for e in known if isinstance(e, int) and e < size]] = len(stop_SV)
        return stop_SV

    @property
    def traced(self) -> Hashable | None:
        stops = self._stop_SV.shape, self._stop_SV.tobytes()
        return (self.new_tokens, *stops) if type(self).write is Decode.write else None

    def rows(self, examples: Sequence[Example]) -> list[Row]:
        return [Row.prompt(tokens) for tokens in encode_prompts(self._tokenizer, examples)]

    def write(
        self,
        params: Mapping[str, Any],
        keep: Bool[Array, "L 2"],
        logits_B1V: Float[Array, "B 1 V"],
        cache: Cache,
    ) -> tuple[Int[Array, "B new"], Bool[Array, " B"]]:
        """New tokens, −1 from the stop on, and whether each row stayed finite."""
        stops = self._stop_SV, self.new_tokens
        out = write_behind(self._config, params, logits_B1V, cache, *stops, keep=keep)
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
