"""Several tasks of one model, scored as if they were one.

Each task keeps its protocol and its batches.  What is counted is what the objective makes of the
tasks' counts.  Examples and answers of all tasks stand one task after another.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attention.likelihood import when_memory_runs_out
from tale_jax.elimination import Joint, Part, race_by_task
from tale_jax.runs import Strata
from tale_jax.scoring.scorer import Scorer
from tale_jax.tasks import Answer, Example
from tale_jax.units import Dropped


class JointScorer:
    """Scores candidates on several tasks, with the interface of a `Scorer`.

    Args:
        scorers: of each task, by its name, over one model.
        objective: what is maximised; a key of `tale_jax.elimination.OBJECTIVES`.

    Attributes:
        scorers: as given.
        joint: how the counts on the search split become one.
        splits: the examples of each task of each split; tasks without the split are left out.
        examples: of each split, all tasks together.
    """

    def __init__(self, scorers: Mapping[str, Scorer], objective: str = "mean"):
        self.scorers = dict(scorers)
        every = list(self.scorers.values())
        self.splits: dict[str, dict[str, int]] = {}
        self.examples: dict[str, list[Example]] = {}
        for split in dict.fromkeys(name for scorer in every for name in scorer.examples):
            having = {t: s.examples[split] for t, s in self.scorers.items() if split in s.examples}
            self.splits[split] = {task: len(rows) for task, rows in having.items()}
            self.examples[split] = list(itertools.chain(*having.values()))
        self.joint = Joint(tuple(self.splits["search"].values()), objective)
        self._counts: dict[Dropped, list[int]] = {}

    @property
    def total(self) -> int:
        """The count of a model that answers everything correctly."""
        return self.joint.total

    def strata(self, split: str) -> Strata:
        """The tasks of a split."""
        return Strata(self.splits[split], self.joint.objective)

    @property
    def depth(self) -> int:
        """Number of layers."""
        return next(iter(self.scorers.values())).depth

    @property
    def protocols(self) -> str:
        """How the model is asked, each way once."""
        return ",".join(dict.fromkeys(scorer.protocol.name for scorer in self.scorers.values()))

    @property
    def batch_tokens(self) -> int:
        """Tokens in a batch."""
        return min(scorer.batch_tokens for scorer in self.scorers.values())

    @property
    def too_long(self) -> int:
        """Examples that were left out because they do not fit."""
        return sum(scorer.too_long for scorer in self.scorers.values())

    @property
    def compilations(self) -> int:
        """Programs compiled so far."""
        return sum(scorer.compilations for scorer in self.scorers.values())

    @property
    def most_compilations(self) -> int:
        """Programs that there can be; known before anything runs."""
        return sum(scorer.most_compilations for scorer in self.scorers.values())

    @property
    def layers_run(self) -> int:
        """Token-layers of padded batches run so far."""
        return sum(scorer.layers_run for scorer in self.scorers.values())

    def by_task(self, dropped: Dropped) -> list[int] | None:
        """The counts of each task when a candidate was last scored; None: it was not."""
        return self._counts.get(dropped)

    def count(self, candidates: Sequence[Dropped]) -> Iterator[int]:
        """What the objective makes of the correct answers of each candidate."""
        counts = zip(*(s.count(candidates) for s in self.scorers.values()), strict=True)
        for dropped, found in zip(candidates, counts, strict=True):
            yield self._kept(dropped, found)

    def answers(self, split: str, dropped: Dropped) -> list[Answer]:
        """The answers to every example of a split, one task after another."""
        having = (self.scorers[task] for task in self.splits[split])
        return [answer for scorer in having for answer in scorer.answers(split, dropped)]

    def run_once(self, dropped: Dropped) -> None:
        """Run the longest batch of each task and wait for it (for timing)."""
        for scorer in self.scorers.values():
            scorer.run_once(dropped)

    def race(
        self,
        candidates: Sequence[Dropped],
        parents: Sequence[Dropped],
        floor: int,
        winners: int = 1,
    ) -> list[int]:
        """As `Scorer.race`; the tasks take turns, so that all of their bounds fall.

        Args:
            candidates: dropped sets; the first among equals is the better one.
            parents: the models that they are made from, whose states are kept.
            floor: candidates below it are of no interest.
            winners: how many of the best must be exact.
        """
        while True:
            with self._guarded():
                heats = [s.heat(candidates, parents) for s in self.scorers.values()]
                order = _in_turn([len(heat.sizes) for heat in heats])

                def ask(candidate: int, number: int) -> tuple[int, Any]:
                    task, part = order[number]  # noqa: B023 - called within this turn
                    return task, heats[task].ask(candidate, part)  # noqa: B023

                def count(asked: tuple[int, Any]) -> int:
                    return heats[asked[0]].count(asked[1])  # noqa: B023

                parts = [Part(task, heats[task].sizes[part]) for task, part in order]
                how: Any = {"floor": floor, "winners": winners}
                given = len(candidates), parts, ask, count, self.joint.value
                found = race_by_task(*given, **how)
                pairs = zip(candidates, found, strict=True)
                return [self._kept(dropped, counts) for dropped, counts in pairs]

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        """Where memory runs out, the batches of all tasks are halved."""
        with contextlib.ExitStack() as stack:
            for scorer in self.scorers.values():
                stack.enter_context(scorer.workers.stopping())
            with when_memory_runs_out(self._halve):
                yield

    def _halve(self) -> bool:
        halved = [scorer.halve() for scorer in self.scorers.values()]
        return any(halved)

    def _kept(self, dropped: Dropped, counts: Sequence[int]) -> int:
        self._counts[dropped] = list(counts)
        return self.joint.value(counts)


def _in_turn(parts: Sequence[int]) -> list[tuple[int, int]]:
    """``(task, part)`` for every part of every task, spread evenly; ties in the order of tasks."""
    places = [(i / n, task, i) for task, n in enumerate(parts) for i in range(n)]
    return [(task, part) for _, task, part in sorted(places)]
