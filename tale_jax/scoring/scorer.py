"""Candidates × examples → correct counts; nothing is computed that the choice can do without."""

from __future__ import annotations

import collections
import concurrent.futures
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from attention.errors import is_out_of_memory
from attention.likelihood import (
    Arrays,
    Batch,
    Row,
    choose_shapes,
    fetch,
    join,
    load_batches,
    one_row,
    shared_beginning,
)
from attention.transformer import TransformerConfig
from tale_jax.elimination import race
from tale_jax.scoring.programs import Programs
from tale_jax.scoring.protocols import Decode, Scoring, make_protocol
from tale_jax.scoring.runner import Runner
from tale_jax.tasks import Answer, Example, Task, Tokenizer, fitting
from tale_jax.units import Dropped, Keep, kept_halves

SPLITS = ("search", "test")
SIDE_BY_SIDE = 2  # candidates of a race that run at the same time
Output = tuple[Batch, Any]  # a batch and what the programs made of it, perhaps still under way


class Scorer:
    """A model and a task's splits, ready to be scored without any of its layers.

    Attributes:
        protocol: how the model is asked.
        depth: number of layers.
        examples: of each split, those that fit the model's positions.
        too_long: number of examples left out because they do not fit.
        shapes: batch shapes of all splits; known before anything runs.
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
        cache_gib: float = 4.0,
        batch_sharding: jax.sharding.Sharding | None = None,
        on_message: Callable[[str], None] = lambda line: None,
    ):
        """Tokenise the task and plan its batches.

        Args:
            config: of the model.
            params: stacked.
            tokenizer: of the model.
            task: prompts with their shots already in front.
            protocol: ``auto``, ``loglikelihood``, ``loglikelihood-norm`` or ``decode``, or one
                made.
            batch_tokens: at most so many tokens a batch, but always one row.
            max_new_tokens: of the protocol ``decode``; None: two more than the longest answer.
            cache_gib: GiB of states between layers that are kept; the rest is computed again.
                Halved with the batches.
            batch_sharding: how rows lie on several devices.
            on_message: called with one line when something is worth telling.

        Raises:
            InputError: no example fits the model, or the protocol does not fit the task.
        """
        if isinstance(protocol, str):
            protocol = make_protocol(protocol, config, tokenizer, task, max_new_tokens)
        self.protocol: Scoring = protocol
        self.depth = config.num_hidden_layers
        self.batch_tokens, self.too_long = batch_tokens, 0
        self._config, self._params = config, params
        self._sharding, self._on_message = batch_sharding, on_message
        self._writes = isinstance(protocol, Decode)
        self.examples: dict[str, list[Example]] = {}
        self._rows: dict[str, list[Row]] = {}
        for split in SPLITS:
            if (examples := getattr(task, split)) is not None:
                self._add(split, examples, task.name)
        shared = 0 if self._writes else shared_beginning(list(self._rows.values()))
        beginning = self._rows["search"][0].tokens[:shared]
        self._rows = {s: [row.without(shared) for row in rows] for s, rows in self._rows.items()}
        self._runner = Runner(
            Programs(config, params, protocol, one_row(beginning) if shared else None),
            cache_gib * 2**30,
            writes=self._writes,
            compile_ahead=batch_sharding is None,
        )
        self._order: list[int] | None = None
        self._whole: Any = None  # what the whole model makes of the search split
        self._plan()

    @property
    def compilations(self) -> int:
        """Programs compiled so far."""
        return self._runner.programs.compilations

    @property
    def most_compilations(self) -> int:
        """Programs that there can be; known before anything runs."""
        if self._writes:
            return len(self.shapes)
        return 3 * len(self.shapes) + (self._runner.programs.shared is not None)

    @property
    def layers_run(self) -> int:
        """Token-layers of padded batches run so far, for counting arithmetic."""
        return self._runner.layers_run

    def _add(self, split: str, examples: Sequence[Example], name: str) -> None:
        rows = self.protocol.rows(examples)
        lengths = [max(row.positions) + 1 + self.protocol.new_tokens for row in rows]
        kept = fitting(lengths, self._config.max_position_embeddings, name)
        self.too_long += len(examples) - len(kept)
        self.examples[split] = [examples[i] for i in kept]
        self._rows[split] = [rows[i] for i in kept]

    def _plan(self) -> None:
        """Batches on the device, and no program yet."""
        multiple = 1 if self._sharding is None else self._sharding.num_devices
        self.shapes = choose_shapes(list(self._rows.values()), self.batch_tokens, multiple)
        self._batches = {
            split: load_batches(
                rows, self.shapes, self._sharding, self._order if split == "search" else None
            )
            for split, rows in self._rows.items()
        }

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

    def race(
        self,
        candidates: Sequence[Dropped],
        references: Sequence[Dropped],
        floor: int,
        winners: int = 1,
    ) -> list[int]:
        """Correct answers on the search split, `AtMost` where that is enough to choose the best.

        Args:
            candidates: dropped sets; the first among equals is the better one.
            references: the models that they are made from, whose states are kept.
            floor: candidates below it are of no interest.
            winners: how many of the best must be exact.
        """
        models = [self._keep(dropped) for dropped in candidates]
        while True:
            try:
                return self._race(models, [self._keep(d) for d in references], floor, winners)
            except jax.errors.JaxRuntimeError as error:
                self._use_less_memory(error)

    def _race(
        self, models: Sequence[Keep], references: Sequence[Keep], floor: int, winners: int
    ) -> list[int]:
        if self._order is None:  # hard examples first: bounds fall sooner
            if self._whole is None:  # the same order whenever a search is resumed
                self._whole = join(*zip(*self._dispatch("search", ()), strict=True))
            examples = self.examples["search"]
            self._order = list(
                np.argsort(-self.protocol.difficulty(examples, self._whole), kind="stable")
            )
            old = self._batches["search"]
            self._plan()
            self._runner.rearrange(old, self._batches["search"])
        self._runner.set_references(references)
        parts = self._batches["search"]

        def run(candidate: int, part: int) -> Any:
            output = self._run(models[candidate], parts[part].arrays, part)
            return output if self._threads == 1 else jax.block_until_ready(output)

        def count(asked: tuple[int, concurrent.futures.Future[Any]]) -> int:
            batch, output = parts[asked[0]], asked[1].result()
            chosen = [self.examples["search"][i] for i in batch.rows]
            answers = self.protocol.answers(chosen, fetch(batch, output))
            return sum(answer.correct for answer in answers)

        sizes = [len(batch.rows) for batch in parts]
        with self._workers() as workers:

            def ask(candidate: int, part: int) -> tuple[int, concurrent.futures.Future[Any]]:
                return part, workers.submit(run, candidate, part)

            return race(len(models), sizes, ask, count, floor=floor, winners=winners)

    @property
    def _threads(self) -> int:
        """A CPU runs side by side only what comes from different threads.

        Several devices must all be given the same programs in the same order: by one thread.
        """
        return SIDE_BY_SIDE if self._sharding is None else 1

    def _workers(self) -> concurrent.futures.ThreadPoolExecutor:
        return concurrent.futures.ThreadPoolExecutor(self._threads)

    def answers(self, split: str, dropped: Dropped) -> list[Answer]:
        """The answer to every example of a split.

        Raises:
            NotFiniteError: the whole model's logits are not numbers.
        """
        return self._collect(split, dropped, self._dispatch(split, dropped))

    def run_once(self, dropped: Dropped) -> None:
        """Run the longest batch of the search split and wait for it (for timing)."""
        jax.block_until_ready(self._run(self._keep(dropped), self._batches["search"][0].arrays))

    def _correct(self, dropped: Dropped, outputs: list[Output]) -> int:
        return sum(answer.correct for answer in self._collect("search", dropped, outputs))

    def _keep(self, dropped: Dropped) -> Keep:
        return kept_halves(dropped, self.depth)

    def _dispatch(self, split: str, dropped: Dropped) -> list[Output]:
        keep = self._keep(dropped)
        self._runner.set_references([keep])

        def run(part: int) -> Output:
            batch = self._batches[split][part]
            return batch, self._run(keep, batch.arrays, part if split == "search" else None)

        while True:
            try:
                with self._workers() as workers:
                    return list(workers.map(run, range(len(self._batches[split]))))
            except jax.errors.JaxRuntimeError as error:
                self._use_less_memory(error)

    def _run(self, keep: Keep, arrays: Arrays, part: int | None = None) -> Any:
        return self._runner(keep, arrays, part)

    def _collect(self, split: str, dropped: Dropped, outputs: list[Output]) -> list[Answer]:
        while True:
            try:
                joined = join(*zip(*outputs, strict=True))
                break
            except jax.errors.JaxRuntimeError as error:
                self._use_less_memory(error)
                outputs = self._dispatch(split, dropped)
        if not dropped:
            self.protocol.check(joined)
            if split == "search":
                self._whole = joined
        return self.protocol.answers(self.examples[split], joined)

    def _use_less_memory(self, error: Exception) -> None:
        """Halve batches and kept states, to start over; anything but lack of memory goes on."""
        if not is_out_of_memory(error) or all(s.rows == 1 for s in self.shapes):
            raise error
        self.batch_tokens //= 2
        self._runner.cache_bytes /= 2
        self._on_message(f"out of memory: batches now hold {self.batch_tokens} tokens")
        self._plan()
        self._runner.forget()
