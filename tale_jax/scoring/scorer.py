"""Candidates × examples → correct counts; nothing is computed that the choice can do without."""

from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from attention import processes
from attention.likelihood import (
    Batch,
    choose_shapes,
    fetch,
    join,
    load_batches,
    when_memory_runs_out,
)
from attention.meshes import Placement
from attention.terminal import Steps, no_steps
from attention.transformer import TransformerConfig
from tale_jax.elimination import race
from tale_jax.scoring.programs import Programs
from tale_jax.scoring.protocols import NAN, NotFiniteError, make_asker
from tale_jax.scoring.runner import Asked, Heat, Program, Runner
from tale_jax.scoring.splits import fitting_splits
from tale_jax.scoring.workers import Workers
from tale_jax.tasks import Answer, Task, Tokenizer
from tale_jax.units import Dropped, kept_halves


class Scorer:
    """A model and a task's splits, ready to be scored without any of its layers.

    Args:
        config: of the model.
        params: stacked.
        tokenizer: of the model.
        task: prompts with their shots already in front.
        protocol: how the model is asked: a key of ``PROTOCOLS``.
        batch_tokens: at most so many tokens a batch, but always one row.
        max_new_tokens: to write, if the protocol writes; None: as many as the answers take.
        cache_gib: GiB of states between layers that are kept on each device, at most half of what
            is free there; the rest is computed again.  Halved with the batches.
        batch_sharding: how rows lie on several devices.
        placement: the devices, and how activations lie on them; None: one, or as they come.
        on_message: called with one line when something is worth telling.

    Attributes:
        protocol: how the model is asked.
        depth: number of layers.
        examples: of each split, those that fit the model's positions.
        too_long: number of examples left out because they do not fit.
        notes: lines about how the examples are asked, for the user.
        shapes: batch shapes of all splits; known before anything runs.
        batch_tokens: tokens in a batch; halved when the device runs out of memory.
        workers: threads that run batches.

    Raises:
        InputError: no example fits the model, or the protocol or the tokenizer does not fit.
    """

    def __init__(
        self,
        config: TransformerConfig,
        params: Mapping[str, Any],
        tokenizer: Tokenizer,
        task: Task,
        *,
        protocol: str = "auto",
        batch_tokens: int = 4096,
        max_new_tokens: int | None = None,
        cache_gib: float = 4.0,
        batch_sharding: jax.sharding.Sharding | None = None,
        placement: Placement | None = None,
        on_message: Callable[[str], None] = lambda line: None,
    ):
        self.protocol = make_asker(protocol, config, tokenizer, task, max_new_tokens)
        self.depth = config.num_hidden_layers
        self.batch_tokens = batch_tokens
        self._sharding, self._on_message = batch_sharding, on_message
        self._devices = 1 if batch_sharding is None else batch_sharding.num_devices
        found = fitting_splits(config, self.protocol, task)
        self.examples, self.too_long, self._rows = found.examples, found.too_long, found.rows
        self.notes = tuple(self.protocol.notes)
        self._runner = Runner(
            Programs(config, params, self.protocol, found.front, placement),
            min(cache_gib * 2**30, processes.free_memory() / 2),
            one_device=batch_sharding is None,
        )
        self.workers = Workers(one_device=batch_sharding is None)
        self._order: list[int] | None = None  # of the search split's rows; None: as they come
        self._batches: dict[str, list[Batch]] = {}
        self._load()

    def _load(self) -> None:
        """Bring all batches to the device; no program runs yet."""
        rows = list(self._rows.values())
        self.shapes = choose_shapes(rows, self.batch_tokens, self._devices)
        self._batches = {
            split: load_batches(
                rows, self.shapes, self._sharding, self._order if split == "search" else None
            )
            for split, rows in self._rows.items()
        }

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        """Where memory runs out, batches are halved; where anything else fails, all work stops."""
        with self.workers.stopping(), when_memory_runs_out(self.halve):
            yield

    def halve(self) -> bool:
        """Halve batches and kept states; false if a device has one row already."""
        if all(shape.rows <= self._devices for shape in self.shapes):
            return False
        self.workers.restart(wait=True)  # what still runs has the batches of before
        self.batch_tokens //= 2
        self._on_message(f"out of memory: batches now hold {self.batch_tokens} tokens")
        self._load()
        self._runner.forget(self._runner.cache_bytes / 2)
        return True

    @property
    def total(self) -> int:
        """The count of a model that answers everything correctly."""
        return len(self.examples["search"])

    def strata(self, split: str) -> None:
        """The tasks of a split: there is only one."""

    @property
    def compilations(self) -> int:
        """Programs compiled so far."""
        return self._runner.programs.compilations

    @property
    def most_compilations(self) -> int:
        """Programs that there can be; known before anything runs."""
        return self._runner.programs.most_compilations(len(self.shapes))

    @property
    def layers_run(self) -> int:
        """Token-layers of padded batches run so far, for counting arithmetic."""
        return self._runner.layers_run

    def count(self, candidates: Sequence[Dropped]) -> Iterator[int]:
        """Correct answers on the search split: the callback of ``elimination.eliminate``.

        The next candidate is asked before the last one's answers are waited for.
        """
        waiting: collections.deque[tuple[Dropped, Asked | None]] = collections.deque()
        for dropped in candidates:
            waiting.append((dropped, self._ask("search", dropped)))
            if len(waiting) > 1:
                yield _correct(self._answers("search", *waiting.popleft()))
        while waiting:
            yield _correct(self._answers("search", *waiting.popleft()))

    def answers(self, split: str, dropped: Dropped) -> list[Answer]:
        """The answer to every example of a split.

        Raises:
            NotFiniteError: the whole model's logits are not numbers.
        """
        return self._answers(split, dropped, self._ask(split, dropped))

    def readings(self, split: str, dropped: Dropped) -> dict[str, list[Answer]]:
        """As :meth:`answers`, by the protocol and by all others that the same pass gives."""
        read = self.examples[split], self._outputs(split, dropped, self._ask(split, dropped))
        own = {self.protocol.name: self.protocol.answers(*read)}
        return {**self.protocol.readings(*read), **own}

    def run(self, split: str, program: Program, title: str = "", steps: Steps = no_steps) -> Any:
        """What ``program`` makes of all rows of a split, in their order, on the host.

        Args:
            split: one that the scorer has.
            program: is given the runner of the model and the arrays of a batch.
            title: of the progress.
            steps: shows it, as :meth:`attention.terminal.Terminal.steps`.
        """
        while True:
            batches = self._batches[split]
            with self._guarded(), steps(title, len(batches)) as advance:
                asked = [self.workers.submit(program, self._runner, b.arrays) for b in batches]
                return join(batches, [(each.result(), advance())[0] for each in asked])

    def race(
        self,
        candidates: Sequence[Dropped],
        parents: Sequence[Dropped],
        floor: int,
        winners: int = 1,
    ) -> list[int]:
        """Correct answers on the search split, `AtMost` where that is enough to choose the best.

        Args:
            candidates: dropped sets; the first among equals is the better one.
            parents: the models that they are made from, whose states are kept.
            floor: candidates below it are of no interest.
            winners: how many of the best must be exact.
        """
        while True:
            with self._guarded():
                heat = self.heat(candidates, parents)
                given = len(candidates), heat.sizes, heat.ask, heat.count
                return race(*given, floor=floor, winners=winners)

    def heat(self, candidates: Sequence[Dropped], parents: Sequence[Dropped]) -> Heat:
        """Prepare a race; where memory runs out, the race is to be prepared again.

        Args:
            candidates: dropped sets.
            parents: the models that they are made from, whose states are kept.
        """
        self._put_hard_examples_first()
        self._runner.set_references([kept_halves(d, self.depth) for d in parents])
        models = [kept_halves(dropped, self.depth) for dropped in candidates]
        examples = self.examples["search"]

        def ask(candidate: int, part: int) -> tuple[Batch, concurrent.futures.Future[Any]]:
            batch = self._batches["search"][part]
            given = models[candidate], batch.arrays, part
            return batch, self.workers.submit(self._runner, *given)

        def count(asked: tuple[Batch, concurrent.futures.Future[Any]]) -> int:
            batch, output = asked
            outputs = fetch(batch, output.result())
            return _correct(self.protocol.answers([examples[i] for i in batch.rows], outputs))

        return Heat([len(batch.rows) for batch in self._batches["search"]], ask, count)

    def run_once(self, dropped: Dropped) -> int:
        """Run the longest batch of the search split, wait for it, and return its tokens."""
        batch = max(self._batches["search"], key=lambda batch: batch.arrays.tokens.shape[1])
        jax.block_until_ready(self._runner(kept_halves(dropped, self.depth), batch.arrays))
        return batch.arrays.tokens.size + self.protocol.new_tokens * len(batch.rows)

    @functools.cached_property
    def _whole(self) -> Any:
        """What the programs make of the search split in the whole model; computed once."""
        return self._collected("search", (), self._begun("search", ()))

    def _put_hard_examples_first(self) -> None:
        """Order the search split by difficulty, once: bounds fall sooner in a race.

        The order is that of the whole model, so that it is the same when a search is resumed.
        """
        if self._order is None:
            difficulty = self.protocol.difficulty(self.examples["search"], self._whole)
            self._order = np.argsort(-difficulty, kind="stable").tolist()
            before = self._batches["search"]
            self._load()
            self._runner.rearrange(before, self._batches["search"])

    def _ask(self, split: str, dropped: Dropped) -> Asked | None:
        """Begin to ask a model; None: what is asked is known or will be, as ``_whole``."""
        return self._begun(split, dropped) if dropped or split != "search" else None

    def _begun(self, split: str, dropped: Dropped) -> Asked:
        keep, batches = kept_halves(dropped, self.depth), self._batches[split]
        self._runner.set_references([keep])
        parts = range(len(batches)) if split == "search" else [None] * len(batches)
        return Asked(
            batches,
            [
                self.workers.submit(self._runner, keep, batch.arrays, part)
                for batch, part in zip(batches, parts, strict=True)
            ],
        )

    def _collected(self, split: str, dropped: Dropped, asked: Asked) -> Any:
        """What the programs made of a split; begun again if batches have changed since."""
        while True:
            with self._guarded():
                if asked.batches is not self._batches[split]:
                    asked = self._begun(split, dropped)
                return join(asked.batches, [output.result() for output in asked.outputs])

    def _answers(self, split: str, dropped: Dropped, asked: Asked | None) -> list[Answer]:
        outputs = self._outputs(split, dropped, asked)
        return self.protocol.answers(self.examples[split], outputs)

    def _outputs(self, split: str, dropped: Dropped, asked: Asked | None) -> Any:
        """What the programs made of a split; raises NotFiniteError for a whole model of NaN."""
        outputs = self._whole if asked is None else self._collected(split, dropped, asked)
        if not dropped and not self.protocol.finite(outputs):
            raise NotFiniteError(NAN)
        return outputs


def _correct(answers: Sequence[Answer]) -> int:
    return sum(answer.correct for answer in answers)
