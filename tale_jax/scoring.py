"""Candidates × examples → correct counts, with one compiled program a batch shape."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from attention.transformer import TransformerConfig
from tale_jax.batching import Batch, Row, Shape, batches, plan
from tale_jax.elimination import Dropped
from tale_jax.prompts import Tokenizer, fitting
from tale_jax.protocols import Scoring, make_protocol
from tale_jax.runs import Answer
from tale_jax.tasks import Example, Task

SPLITS = ("search", "test")
Output = tuple[Batch, Any]  # a batch and what the program made of it, perhaps still under way


class Scorer:
    """A model and a task's splits, ready to be scored without any of its layers.

    Attributes:
        protocol: how the model is asked.
        examples: of each split, those that fit the model's positions.
        too_long: number of examples left out because they do not fit.
        shapes: batch shapes of all splits; known before anything runs.
        compilations: programs compiled so far, at most one a shape.
        batch_tokens: tokens in a batch; halved when the device runs out of memory.
    """

    def __init__(
        self,
        config: TransformerConfig,
        params: Mapping[str, Any],
        tokenizer: Tokenizer,
        task: Task,
        *,
        protocol: str | Scoring = "auto",
        batch_tokens: int = 4096,
        max_new_tokens: int | None = None,
        batch_sharding: jax.sharding.Sharding | None = None,
        on_message: Callable[[str], None] = lambda line: None,
    ):
        """Tokenise the task and plan its batches.

        Args:
            config: of the model.
            params: stacked.
            tokenizer: of the model.
            task: prompts with their shots already in front.
            protocol: ``auto``, ``loglikelihood``, ``loglikelihood-norm`` or ``decode``.
            batch_tokens: at most so many tokens a batch, but always one row.
            max_new_tokens: of the protocol ``decode``; None: two more than the longest answer.
            batch_sharding: how rows lie on several devices.
            on_message: called with one line when something is worth telling.

        Raises:
            InputError: no example fits the model, or the protocol does not fit the task.
        """
        if isinstance(protocol, str):
            protocol = make_protocol(protocol, config, tokenizer, task, max_new_tokens)
        self.protocol: Scoring = protocol
        self.batch_tokens = batch_tokens
        self.compilations = 0
        self.too_long = 0
        self._config, self._params = config, params
        self._sharding, self._on_message = batch_sharding, on_message
        self._program = self.protocol.program()
        self.examples: dict[str, list[Example]] = {}
        self._rows: dict[str, list[Row]] = {}
        for split in SPLITS:
            if (examples := getattr(task, split)) is not None:
                self._add(split, examples, task.name)
        self._plan()

    def _add(self, split: str, examples: Sequence[Example], name: str) -> None:
        rows = self.protocol.rows(examples)
        extra = self.protocol.new_tokens
        lengths = [max(len(row.tokens) + extra for row in members) for members in rows]
        kept = fitting(lengths, self._config.max_position_embeddings, name)
        self.too_long += len(examples) - len(kept)
        self.examples[split] = [examples[i] for i in kept]
        self._rows[split] = [
            Row(row.tokens, row.targets, new) for new, i in enumerate(kept) for row in rows[i]
        ]

    def _plan(self) -> None:
        """Batches on the device, and no program yet."""
        multiple = 1 if self._sharding is None else self._sharding.num_devices
        self.shapes = plan(list(self._rows.values()), self.batch_tokens, multiple)
        self._programs: dict[Shape, Any] = {}
        self._batches: dict[str, list[tuple[Batch, tuple[jax.Array, ...]]]] = {
            split: [(batch, self._place(batch)) for batch in batches(rows, self.shapes)]
            for split, rows in self._rows.items()
        }

    def _place(self, batch: Batch) -> tuple[jax.Array, ...]:
        arrays = (batch.tokens, batch.where, batch.targets, batch.target_where)
        return tuple(jax.device_put(array, self._sharding) for array in arrays)

    def count(self, candidates: Sequence[Dropped]) -> Iterator[int]:
        """Correct answers on the search split: the callback of ``elimination.eliminate``.

        The next candidate is dispatched before the last one's results are waited for.
        """
        pending: collections.deque[tuple[Dropped, list[Output]]] = collections.deque()
        for dropped in candidates:
            pending.append((dropped, self._dispatch("search", dropped)))
            if len(pending) > 1:
                yield self._correct(*pending.popleft())
        while pending:
            yield self._correct(*pending.popleft())

    def answers(self, split: str, dropped: Dropped) -> list[Answer]:
        """The answer to every example of a split.

        Raises:
            NotFiniteError: the whole model's logits are not numbers.
        """
        return self._collect(split, dropped, self._dispatch(split, dropped))

    def run_once(self, dropped: Dropped) -> None:
        """Run the longest batch of the search split and wait for it (for timing)."""
        batch, arrays = self._batches["search"][0]
        jax.block_until_ready(self._run(dropped, batch.shape, arrays))

    def _correct(self, dropped: Dropped, outputs: list[Output]) -> int:
        return sum(answer.correct for answer in self._collect("search", dropped, outputs))

    def _dispatch(self, split: str, dropped: Dropped) -> list[Output]:
        try:
            return [
                (batch, self._run(dropped, batch.shape, arrays))
                for batch, arrays in self._batches[split]
            ]
        except jax.errors.JaxRuntimeError as error:
            return self._with_less_memory(split, dropped, error)

    def _run(self, dropped: Dropped, shape: Shape, arrays: tuple[jax.Array, ...]) -> Any:
        keep = np.ones((self._config.num_hidden_layers, 2), bool)
        keep[list(dropped)] = False
        if shape not in self._programs:
            lowered = jax.jit(self._program).lower(self._params, keep, *arrays)
            self._programs[shape] = lowered.compile()
            self.compilations += 1
        return self._programs[shape](self._params, keep, *arrays)

    def _collect(self, split: str, dropped: Dropped, outputs: list[Output]) -> list[Answer]:
        try:
            fetched = [_fetch(batch, output) for batch, output in outputs]
        except jax.errors.JaxRuntimeError as error:
            return self._collect(split, dropped, self._with_less_memory(split, dropped, error))
        order = np.argsort(np.concatenate([batch.rows for batch, _ in outputs]))
        joined = jax.tree.map(lambda *parts: np.concatenate(parts)[order], *fetched)
        if not dropped:
            self.protocol.check(joined)
        return self.protocol.answers(self.examples[split], self._rows[split], joined)

    def _with_less_memory(self, split: str, dropped: Dropped, error: Exception) -> list[Output]:
        """Halve the batches and start the candidate over; anything but lack of memory goes on."""
        if "RESOURCE_EXHAUSTED" not in str(error) or all(s.rows == 1 for s in self.shapes):
            raise error
        self.batch_tokens //= 2
        self._on_message(f"out of memory: batches now hold {self.batch_tokens} tokens")
        self._plan()
        return self._dispatch(split, dropped)


def _fetch(batch: Batch, output: Any) -> Any:
    """The output's rows that are not padding, on the host."""
    return jax.tree.map(lambda array: np.asarray(array)[: len(batch.rows)], output)
