"""The loop of every search; pure Python, whole numbers only.

Each round drops every remaining layer in turn.  The candidate with the most correct answers (of
equals the one without the lowest layer) is accepted if it reaches the floor, and the next round
starts from it.  Source: "TELL-TALE: Task-aware layer elimination" (arXiv 2510.22767),
Algorithm 1, with the fixed floor of the authors' program as the default.

The score is any function.  Here layer 3 of 8 costs nine answers, and every other is worth two:

>>> def score(candidates):
...     return [80 - 2 * len(dropped) + 9 * (3 in dropped) for dropped in candidates]
>>> found = eliminate(score, 8, total=100, options=SearchOptions(epsilon=0.0))
>>> found.best.dropped, found.best.correct
((3,), 87)
>>> found.bsba.dropped, found.stop_reason
((0, 1, 2, 3), 'below floor')
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from tale_jax.elimination.early_rejection import AtMost
from tale_jax.elimination.options import SearchOptions
from tale_jax.elimination.results import Candidate, Result, StopReason
from tale_jax.elimination.stopping import Gauges
from tale_jax.elimination.strategies import STRATEGIES
from tale_jax.units import Dropped, Unit, Units, add, count_layers, place

Score = Callable[[Sequence[Dropped]], Iterable[int]]
"""Counts the correct answers of each candidate, in order; it may be a generator."""

Race = Callable[[Sequence[Dropped], Sequence[Dropped], int, int], Sequence[int]]
"""``race(candidates, parents, floor, winners)`` returns a count for each candidate.

The counts of the ``winners`` best that reach the floor are exact; a candidate that is rejected
early has an `AtMost`.  Each candidate is one change away from one of the parents."""

Count = Callable[[tuple[bool, ...]], int]
"""Counts the correct answers of one model; the mask says of each layer whether it runs."""

Move = tuple[Unit | None, Dropped]
"""The unit that is dropped or put back, and all that is then dropped."""

Known = Mapping[tuple[int, Dropped], int]
"""Counts from a journal, by iteration and dropped layers; an `AtMost` is a bound."""


def eliminate(
    score: Score,
    num_layers: int,
    total: int,
    options: SearchOptions | None = None,
    *,
    missing: tuple[str, ...] = (),
    known: Known | None = None,
    propose: Callable[[Dropped], Sequence[Unit]] | None = None,
    race: Race | None = None,
    gauges: Gauges | None = None,
    on_candidate: Callable[[Candidate], None] = lambda candidate: None,
    on_accepted: Callable[[Candidate], None] = lambda candidate: None,
) -> Result:
    """Drop layers, or halves of them, while the best candidate stays on or above the floor.

    Args:
        score: counts correct answers; called once a round, and for the baseline.
        num_layers: of the model.
        total: number of examples.
        options: of the search; None: the defaults of `SearchOptions`.
        missing: halves of layers that the model is without from the start.
        known: counts from a journal, which ``score`` need not count again.
        propose: returns the units to try next, given those that are dropped; None: all that are
            left.
        race: scores a round only as far as its choice needs; None: ``score`` counts all.
        gauges: what the stop rules read; None: the time since now, and no speed.
        on_candidate: called with the baseline and then with each candidate, known or new.
        on_accepted: called with each accepted candidate.

    Raises:
        InputError: the initial layers cannot be dropped.
        ValueError: there are no examples, or a count is not from 0 to ``total``.
    """
    if total < 1:
        raise ValueError("nothing to score: the task has no examples")
    options = SearchOptions() if options is None else options
    strategy = STRATEGIES.pick(options.strategy)
    units = options.units(num_layers, missing)
    search = Search(
        units, total, options, score, None if options.exhaustive else race, known or {},
        gauges or Gauges(), on_candidate, on_accepted,
    )  # fmt: skip
    models = [search.baseline]
    while (reason := search.finished(models[0])) is None:
        moves: dict[Dropped, Unit] = {}  # two models may lead to one candidate
        for model in models:
            for unit in (propose or units.left)(model.dropped):
                moves.setdefault(add(model.dropped, unit), unit)
        ordered = sorted(moves, key=lambda dropped: list(map(place, dropped)))
        floor = search.floor(models[0])
        found = search.round([(moves[d], d) for d in ordered], models, floor, strategy.width or 1)
        if not found:
            reason = "below floor"
            break
        search.accept(found[0])
        models = [strategy.after_drop(search, found[0])] if strategy.after_drop else found
    return search.result(reason)


def score_masks(count: Count, num_layers: int) -> Score:
    """Make a score of whole layers from a function of one layer mask.

    ::

        eliminate(score_masks(count, 12), 12, total=200)  # a model of any library

    Args:
        count: given a mask such as ``(True, False, True)``, the number of correct answers.
        num_layers: of the model.
    """

    def score(candidates: Sequence[Dropped]) -> Iterator[int]:
        for dropped in candidates:
            yield int(count(tuple(layer not in dropped for layer in range(num_layers))))

    return score


@dataclasses.dataclass
class Search:
    """A search under way, for the loop and for strategies.

    Attributes:
        units: what may be dropped.
        total: number of examples.
        options: of the search.
        baseline: the model that the search started from.
        steps: the accepted candidates, in order.
        candidates: all candidates without the baseline, in order.
    """

    units: Units
    total: int
    options: SearchOptions
    _score: Score
    _race: Race | None
    _known: Known
    _gauges: Gauges
    _on_candidate: Callable[[Candidate], None]
    _on_accepted: Callable[[Candidate], None]

    def __post_init__(self) -> None:
        self._rounds = 0
        self.steps: list[Candidate] = []
        self.candidates: list[Candidate] = []
        start = self.units.start(self.options.initial)
        counts = () if (0, start) in self._known else self._score([start])
        [self.baseline] = self._candidates([(None, start)], iter(counts))

    def round(
        self, moves: Sequence[Move], parents: Sequence[Candidate], floor: int, winners: int = 1
    ) -> list[Candidate]:
        """Score some moves, and return the best of them, the first among equals first.

        Args:
            moves: each is one change of one of the parents.
            parents: models that have been scored.
            floor: fewest correct answers that are wanted.
            winners: how many of the best are wanted.
        """
        self._rounds += 1
        everyone = [dropped for _, dropped in moves]
        unknown = [dropped for dropped in everyone if (self._rounds, dropped) not in self._known]
        counts: Iterable[int] = ()
        if unknown and self._race is not None:
            # All take part, even if some are known: bounds depend on who does, and a search that
            # goes on from a journal must find the same ones.
            raced = self._race(everyone, [p.dropped for p in parents], floor, winners)
            counts = [n for d, n in zip(everyone, raced, strict=True) if d in unknown]
        elif unknown:
            counts = self._score(unknown)
        scored = self._candidates(moves, iter(counts))
        self.candidates += scored
        reach = [c for c in scored if c.correct >= floor and not c.bound]
        return sorted(reach, key=lambda c: -c.correct)[:winners]

    def _candidates(self, moves: Sequence[Move], counts: Iterator[int]) -> list[Candidate]:
        """Candidates of the moves; ``counts`` has a number for each move that is not known yet."""
        scored = []
        for unit, dropped in moves:
            known = self._known.get((self._rounds, dropped))
            correct = next(counts, None) if known is None else known
            if correct is None or not 0 <= correct <= self.total:
                raise ValueError(
                    f"dropping {dropped} scored {correct}, not a count of 0 to {self.total}"
                )
            bound = isinstance(correct, AtMost)
            scored.append(Candidate(self._rounds, unit, dropped, int(correct), bound))
            self._on_candidate(scored[-1])
        return scored

    def accept(self, candidate: Candidate) -> Candidate:
        """Take a candidate as a step of the search, and return it."""
        self.steps.append(candidate)
        self._on_accepted(candidate)
        return candidate

    def floor(self, current: Candidate) -> int:
        """Fewest correct answers that the next drop must leave."""
        reference = self.baseline if self.options.floor == "baseline" else current
        return self.options.lowest(reference.correct, self.total)

    def finished(self, current: Candidate) -> StopReason | None:
        """Why no more may be dropped; None if the search goes on."""
        if not self.units.left(current.dropped):
            whole = self.units.granularity == "layer"
            return "no layer left to drop" if whole else "no half-layer left to drop"
        drops = len(current.dropped) - len(self.baseline.dropped)
        rules, speed_up = self.options, self._gauges.speed_up
        if rules.max_drops is not None and drops >= rules.max_drops:
            return "max drops"
        if rules.target_layers is not None:
            left = self.units.num_layers - count_layers((*current.dropped, *self.units.missing))
            if left <= rules.target_layers:
                return "target layers"
        fast = rules.target_speedup
        if fast is not None and speed_up is not None and speed_up(current.dropped) >= fast:
            return "target speed-up"
        return "max hours" if self._time_is_over() else None

    def _time_is_over(self) -> bool:
        """Whether no further round may start; one that the journal has takes no time."""
        hours = self.options.max_hours
        if hours is None or any(place[0] == self._rounds + 1 for place in self._known):
            return False
        return self._gauges.elapsed() >= 3600 * hours

    def result(self, reason: StopReason) -> Result:
        """What the search found."""
        met = [self.baseline, *self.steps]
        good = [c for c in met if c.correct >= self.baseline.correct]
        return Result(
            self.total,
            self.baseline,
            tuple(self.steps),
            best=max(met, key=lambda c: (c.correct, -len(c.dropped))),
            bsba=max(good, key=lambda c: (len(c.dropped), c.correct)),
            stop_reason=reason,
            candidates=tuple(self.candidates),
        )
