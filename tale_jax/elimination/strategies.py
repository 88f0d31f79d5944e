"""Beyond greedy: a beam of models, and a search that may put a layer back.

Both ask the same scores as `elimination.eliminate`, stop by the same floor, and return the same
`Result`: its steps are the models that the search went through, in order.

`beam:k` keeps the k best models of every depth and drops a layer from each; a step is the best of
its depth (fewest lowest layers among equals).  With k = 1 it is the greedy search.

`floating` follows each drop by putting layers back, one at a time, as long as that gives more
correct answers than any model of that depth had; a depth's record only ever rises, so the search
ends. Source: Pudil, Novovičová and Kittler, "Floating search methods in feature selection" (1994).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from attention.errors import InputError
from tale_jax.elimination.greedy import (
    Candidate,
    Dropped,
    Race,
    Result,
    Score,
    StopReason,
    eliminate,
    floor_count,
    nothing_left,
    score_round,
)
from tale_jax.units import Unit, Units, add, place

Model = tuple[int, Unit | None, Dropped]


def search_layers(strategy: str, *arguments: Any, **options: Any) -> Result:
    """`elimination.eliminate` by the strategy of that name: greedy, beam:k or floating.

    Raises:
        InputError: an unknown strategy, or a beam of no models.
    """
    if strategy == "greedy":
        return eliminate(*arguments, **options)
    if strategy == "floating":
        return _Search(*arguments, **options).floating()
    name, _, width = strategy.partition(":")
    if name != "beam" or not width.isdecimal() or int(width) < 1:
        raise InputError(f"unknown strategy {strategy!r}; there are greedy, beam:K and floating")
    return _Search(*arguments, **options).beam(int(width))


class _Search:
    """What both strategies share: rounds, floor and the result."""

    def __init__(
        self,
        score: Score,
        units: Units | int,
        total: int,
        *,
        epsilon: Any = 0.08,
        floor: str = "baseline",
        max_drops: int | None = None,
        initial: Sequence[Unit] = (),
        known: Any = None,
        race: Race | None = None,
        on_candidate: Callable[[Candidate], None] = lambda candidate: None,
        on_accepted: Callable[[Candidate], None] = lambda candidate: None,
    ):
        self._units = Units(units) if isinstance(units, int) else units
        self._score, self._total = score, total
        self._epsilon, self._floor, self._max_drops = epsilon, floor, max_drops
        self._known, self._race = known or {}, race
        self._on_candidate, self._on_accepted = on_candidate, on_accepted
        start = self._units.start(initial)
        first = score_round(score, [(0, None, start)], total, self._known, on_candidate)
        self.baseline: Candidate = first[0]
        self.candidates: list[Candidate] = []
        self.steps: list[Candidate] = []

    def _round(
        self, models: Sequence[Model], parents: Sequence[Candidate], floor: int, winners: int
    ) -> list[Candidate]:
        """The models of a round, the best `winners` that reach the floor, in order."""

        def raced(unknown: Sequence[Dropped]) -> Any:
            assert self._race is not None  # chosen only then
            everyone = [dropped for *_, dropped in models]
            counts = self._race(everyone, [p.dropped for p in parents], floor, winners)
            return (n for d, n in zip(everyone, counts, strict=True) if d in set(unknown))

        score = self._score if self._race is None else raced
        scored = score_round(score, models, self._total, self._known, self._on_candidate)
        self.candidates += scored
        reach = [c for c in scored if c.correct >= floor and not c.bound]
        return sorted(reach, key=lambda c: -c.correct)[:winners]

    def _accept(self, candidate: Candidate) -> None:
        self.steps.append(candidate)
        self._on_accepted(candidate)

    def _lowest(self, current: Candidate) -> int:
        reference = self.baseline if self._floor == "baseline" else current
        return floor_count(reference.correct, self._total, self._epsilon)

    def _stopped(self, current: Candidate) -> StopReason | None:
        if not self._units.left(current.dropped):
            return nothing_left(self._units)
        drops = len(current.dropped) - len(self.baseline.dropped)
        return "max drops" if self._max_drops is not None and drops >= self._max_drops else None

    def _result(self, reason: StopReason) -> Result:
        met = [self.baseline, *self.steps]
        best = max(met, key=lambda c: (c.correct, -len(c.dropped)))
        good = [c for c in met if c.correct >= self.baseline.correct]
        bsba = max(good, key=lambda c: (len(c.dropped), c.correct))
        return Result(
            self._total,
            self.baseline,
            tuple(self.steps),
            best,
            bsba,
            reason,
            tuple(self.candidates),
        )

    def beam(self, width: int) -> Result:
        """The best of the ``width`` best models of each depth."""
        models, iteration = [self.baseline], 0
        while (reason := self._stopped(models[0])) is None:
            iteration += 1
            children: dict[Dropped, Model] = {}
            for parent in models:
                for layer in self._units.left(parent.dropped):
                    dropped = add(parent.dropped, layer)
                    children.setdefault(dropped, (iteration, layer, dropped))
            ordered = [children[d] for d in sorted(children, key=lambda d: list(map(place, d)))]
            models = self._round(ordered, models, self._lowest(models[0]), width)
            if not models:
                return self._result("below floor")
            self._accept(models[0])
        return self._result(reason)

    def floating(self) -> Result:
        """Drop the best, then put back what helps."""
        current, iteration = self.baseline, 0
        record = {len(current.dropped): current.correct}
        while (reason := self._stopped(current)) is None:
            iteration += 1
            start = set(self.baseline.dropped)
            left = self._units.left(current.dropped)
            models: list[Model] = [(iteration, x, add(current.dropped, x)) for x in left]
            found = self._round(models, [current], self._lowest(current), 1)
            if not found:
                return self._result("below floor")
            current = found[0]
            self._accept(current)
            size = len(current.dropped)
            record[size] = max(record.get(size, 0), current.correct)
            while len(current.dropped) - len(start) > 1:
                iteration += 1
                back = [x for x in current.dropped if x not in start]
                models = [(iteration, x, tuple(y for y in current.dropped if y != x)) for x in back]
                size = len(current.dropped) - 1
                better = self._round(models, [current], record[size] + 1, 1)
                if not better:
                    break
                current = better[0]
                record[size] = current.correct
                self._accept(current)
        return self._result(reason)
