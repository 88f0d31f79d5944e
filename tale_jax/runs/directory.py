"""An open run: a directory whose journal keeps all that was computed about models."""

from __future__ import annotations

import dataclasses
import math
import operator
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Self

from attention.errors import InputError
from attention.files import Record, RecordKind, RunDirectory, tell
from tale_jax.elimination import AtMost, Candidate
from tale_jax.tasks import Answer
from tale_jax.units import Dropped, is_unit, place

SHAPES = "tale_jax.runs.journal_shapes"


def _anything(record: Record) -> None:
    """Accept every record that has its type."""


def _check(record: Record) -> None:
    """Check what the type of a record does not say.

    Raises:
        TypeError: a layer is none or is there twice, or a verdict is no truth.
    """
    units = [*record["dropped"], *([] if record.get("layer") is None else [record["layer"]])]
    if not all(is_unit(unit) and place(unit)[0] >= 0 for unit in units):
        raise TypeError
    if len({*record["dropped"]}) < len(record["dropped"]):
        raise TypeError
    for _, *verdicts in record.get("answers", ()):
        if not all(type(verdict) is bool for verdict in verdicts):
            raise TypeError


def _both_bounds(old: Record, new: Record) -> bool:
    """Whether both are bounds: these depend on batches, so that two different ones are right."""
    return old["bound"] and new["bound"]


def _bounded(old: Record, new: Record) -> bool:
    """Whether what both records know of each task agrees."""
    pairs = zip(old["correct"], old["bounds"], new["correct"], new["bounds"], strict=True)
    return all(a == c for a, bound, c, other in pairs if not bound and not other)


def _kind(
    shape: str,
    key: str,
    *others: str,
    check: Callable[[Record], None] = _check,
    same: Callable[[Record, Record], bool] = operator.eq,
) -> RecordKind:
    """A kind of records, with the names of its key fields between spaces."""
    names = tuple(key.split())
    return RecordKind(names, (*names, *others), check, same, f"{SHAPES}:{shape}")


_CANDIDATE = _kind("Scored", "iteration layer dropped", "correct", "bound", same=_both_bounds)
KINDS = {
    "candidate": _CANDIDATE,
    "accepted": _CANDIDATE,
    "evaluated": _kind("Evaluated", "split dropped", "answers"),
    "scored": _kind("Ranked", "criterion dropped", "loss"),
    "timed": _kind("Timed", "", "whole", "without_attention", "without_mlp", check=_anything),
    "clock": _kind("Clock", "iteration", "seconds", check=_anything, same=lambda old, new: True),
    "counts": _kind("Counts", "iteration dropped", "correct", "bounds", same=_bounded),
    "damage": _kind("Damage", "what dropped", "values"),
    "control": _kind("Control", "shuffle", "baseline", "best", "dropped"),
}


class Run(RunDirectory):
    """The open directory of a run that scores models; a context manager.

    Its ``journal.jsonl`` has a line for each candidate, accepted step, set of answers, loss, and
    search on shuffled answers. Half-layers have names, such as ``"19.mlp"``.

    Attributes:
        known: numbers of correct answers in the journal, by iteration and dropped layers.
    """

    def __init__(self, path: str | Path, command: str, settings: Record, *, resume: bool = False):
        """Describe a run; arguments as of `attention.files.RunDirectory`."""
        super().__init__(path, command, settings, resume=resume)
        self.known: dict[tuple[int, Dropped], int] = {}
        self._start, self._before = time.monotonic(), 0.0

    def __enter__(self) -> Self:
        """Claim the directory, and read its journal.

        Raises:
            InputError: the directory cannot be claimed, or a line of its journal is damaged.
        """
        super().__enter__()
        try:
            self._journal = self.journal(KINDS)
            self._check_sizes()
        except BaseException:
            self.__exit__()
            raise
        self.known = {
            (c["iteration"], tuple(c["dropped"])): (AtMost if c["bound"] else int)(c["correct"])
            for c in self._journal.of_kind("candidate")
        }
        self._before = max((r["seconds"] for r in self._journal.of_kind("clock")), default=0.0)
        return self

    def _check_sizes(self) -> None:
        """Check that the journal has no more answers and layers than the run.

        Raises:
            InputError: it has.
        """
        most, depth = (self.settings.get(name, math.inf) for name in ("examples", "num_layers"))
        if "sizes" in self.settings:
            most = math.inf  # counts of several tasks have weights
        for record in (*self._journal.of_kind("candidate"), *self._journal.of_kind("accepted")):
            if record["correct"] > most or any(place(u)[0] >= depth for u in record["dropped"]):
                raise InputError(
                    f"{self.path}: the journal has a model that this run cannot have: "
                    "choose a new --out"
                )

    def candidate(self, candidate: Candidate) -> None:
        """Keep a scored candidate."""
        self._journal.append("candidate", **dataclasses.asdict(candidate))
        tell("candidate", dataclasses.asdict(candidate), len(candidate.dropped))

    def accepted(self, candidate: Candidate) -> None:
        """Keep an accepted step."""
        self._journal.append("accepted", **dataclasses.asdict(candidate))
        tell("accepted", dataclasses.asdict(candidate), len(candidate.dropped))

    def elapsed(self) -> float:
        """Seconds that the run has taken, with those before it was resumed, as far as kept."""
        return self._before + time.monotonic() - self._start

    def keep_time(self, iteration: int) -> None:
        """Keep how long the run has taken until the end of a round."""
        seconds = round(self.elapsed(), 3)
        self._journal.append("clock", iteration=iteration, seconds=seconds)

    def part_times(self, measure: Callable[[], Record]) -> Record:
        """The seconds of passes of the whole model and of its parts, measured once a run.

        Args:
            measure: gives ``whole``, ``without_attention`` and ``without_mlp``.
        """
        found = self._journal.get("timed") or self._journal.append("timed", **measure())
        return {name: found[name] for name in ("whole", "without_attention", "without_mlp")}

    def count_tasks(self, candidate: Candidate, counts: Sequence[int]) -> None:
        """Keep the correct answers of a candidate by task; an `AtMost` is a bound."""
        bounds = [isinstance(count, AtMost) for count in counts]
        place = {"iteration": candidate.iteration, "dropped": candidate.dropped}
        self._journal.append("counts", **place, correct=list(counts), bounds=bounds)

    def by_task(self, candidate: Candidate) -> list[int] | None:
        """The correct answers of a candidate by task, as far as the journal has them."""
        record = self._journal.get("counts", candidate.iteration, candidate.dropped)
        if record is None:
            return None
        pairs = zip(record["correct"], record["bounds"], strict=True)
        return [AtMost(count) if bound else count for count, bound in pairs]

    def damage(self, what: str, dropped: Dropped, measure: Callable[[], Record]) -> Record:
        """What a model lost besides the task, measured once a run.

        Args:
            what: is measured, such as ``"text"``.
            dropped: what the model goes without.
            measure: measures it; called only if the journal does not have it.
        """
        found = self._journal.get("damage", what, dropped)
        if found is None:
            found = self._journal.append("damage", what=what, dropped=dropped, values=measure())
        return found["values"]

    def evaluate(
        self, split: str, dropped: Dropped, answer: Callable[[], Iterable[Answer]]
    ) -> list[Answer]:
        """A model's answers to every example of a split.

        Args:
            split: the name of the split.
            dropped: what the model goes without.
            answer: answers the examples, in order; called only if the journal has no answers yet.
        """
        if self._journal.get("evaluated", split, dropped) is None:
            answers = [(said, bool(correct), bool(cut)) for said, correct, cut in answer()]
            self._journal.append("evaluated", split=split, dropped=dropped, answers=answers)
        return self.answers(split, dropped) or []

    def answers(self, split: str, dropped: Dropped) -> list[Answer] | None:
        """A model's answers in the journal; None if there are none."""
        record = self._journal.get("evaluated", split, dropped)
        return None if record is None else [Answer(*pair) for pair in record["answers"]]

    def losses(self, criterion: str) -> dict[Dropped, float]:
        """The losses of models by a criterion, as far as the journal has them."""
        return {
            tuple(record["dropped"]): math.inf if record["loss"] is None else record["loss"]
            for record in self._journal.of_kind("scored")
            if record["criterion"] == criterion
        }

    def loss(self, criterion: str, dropped: Dropped, loss: float) -> None:
        """Keep the loss of a model; JSON has no infinity, which becomes null."""
        value = loss if math.isfinite(loss) else None
        self._journal.append("scored", criterion=criterion, dropped=dropped, loss=value)

    def controls(
        self,
        count: int,
        search: Callable[[int], Record],
        on_control: Callable[[int, int], None] = lambda done, count: None,
    ) -> list[Record]:
        """Run searches on shuffled answers, as far as the journal does not have them.

        Args:
            count: number of searches; if the journal has more, all of these count.
            search: searches on shuffle 0, 1, …
            on_control: called with the number of searches done and the number wanted.

        Returns:
            Their outcomes.
        """
        count = max(count, sum(1 for _ in self._journal.of_kind("control")))
        for shuffle in range(count):
            on_control(shuffle, count)
            if self._journal.get("control", shuffle) is None:
                self._journal.append("control", shuffle=shuffle, **search(shuffle))
        return list(self._journal.of_kind("control"))
