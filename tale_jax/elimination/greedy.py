"""Greedy layer elimination over a scoring callback; pure Python, whole numbers only.

From the model as it stands, every remaining layer is dropped in turn; the candidate with the most
correct answers (the lowest layer among ties) is accepted if it reaches the floor, and the search
goes on from there. Source: "TELL-TALE: Task-aware layer elimination" (arXiv 2510.22767),
Algorithm 1, with the fixed floor of the authors' program as the default.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal

from attention.errors import InputError
from tale_jax.elimination.racing import AtMost
from tale_jax.units import Dropped, Unit, Units, add

Score = Callable[[Sequence[Dropped]], Iterator[int]]
"""Yields the number of correct answers of each dropped set, in order; it may compute ahead."""

Race = Callable[[Sequence[Dropped], Sequence[Dropped], int, int], list[int]]
"""``race(candidates, references, floor, winners)`` → counts, `AtMost` for those that were rejected.

Exact are the ``winners`` best that reach the floor; candidates are made from the references."""

Floor = Literal["baseline", "current"]
StopReason = Literal[
    "below floor", "max drops", "no layer left to drop", "no half-layer left to drop"
]


@dataclass(frozen=True)
class Candidate:
    """A scored model.

    Attributes:
        iteration: 1 for the first round of drops; 0 for the baseline.
        layer: the layer, or half of one, dropped in this iteration; None for the baseline.
        dropped: all that is dropped, `layer` included.
        correct: how many examples it answers correctly.
        bound: it was rejected early, and answers at most so many.
    """

    iteration: int
    layer: Unit | None
    dropped: Dropped
    correct: int
    bound: bool = False


@dataclass(frozen=True)
class Result:
    """What a search found.

    Attributes:
        total: number of examples that every candidate was scored on.
        baseline: the model that the search started from.
        steps: the accepted candidates, in order.
        best: most correct answers among baseline and steps; the earliest of equals.
        bsba: "best speed-up with at least baseline accuracy": the deepest of baseline and steps
            that answers at least as many examples as the baseline.
        stop_reason: why no further layer was dropped.
        candidates: every candidate of every round, in order, without the baseline.
    """

    total: int
    baseline: Candidate
    steps: tuple[Candidate, ...]
    best: Candidate
    bsba: Candidate
    stop_reason: StopReason
    candidates: tuple[Candidate, ...]


def exact_epsilon(epsilon: float | str | Decimal | Fraction) -> Fraction:
    """The tolerance as it is written in decimal: 0.08 is 2/25, not its nearest binary float.

    Raises:
        InputError: if it is not a number from 0 to 1.
    """
    try:
        exact = Fraction(str(epsilon))
    except (ValueError, ZeroDivisionError):
        exact = Fraction(-1)
    if not 0 <= exact <= 1:
        raise InputError(
            f"epsilon must be a share of the examples between 0 and 1 (8 points are 0.08), "
            f"not {epsilon!r}"
        )
    return exact


def floor_count(
    reference: int, total: int, epsilon: float | str | Decimal | Fraction = 0.08
) -> int:
    """Fewest correct answers that are accepted: ⌈reference − ε · total⌉, at least 0, exactly.

    In floats 0.8 − 0.08 > 0.72, which would reject candidates that lie exactly on the floor.
    """
    return max(0, math.ceil(reference - exact_epsilon(epsilon) * total))


def eliminate(
    score: Score,
    units: Units | int,
    total: int,
    *,
    epsilon: float | str | Decimal | Fraction = 0.08,
    floor: Floor = "baseline",
    max_drops: int | None = None,
    initial: Sequence[Unit] = (),
    known: Mapping[Dropped, int] | None = None,
    next_layers: Callable[[Dropped], Sequence[Unit]] | None = None,
    race: Race | None = None,
    on_candidate: Callable[[Candidate], None] = lambda candidate: None,
    on_accepted: Callable[[Candidate], None] = lambda candidate: None,
) -> Result:
    """Drop layers one by one while the best candidate stays on or above the floor.

    Args:
        score: counts correct answers; called once per round, and for the baseline.
        units: what is dropped at a time; a number: each of so many layers.
        total: number of examples.
        epsilon: tolerated loss of accuracy, as a share of `total`.
        floor: "baseline" compares with the baseline's accuracy − ε; "current" with that of the
            last accepted model, as Algorithm 1 is printed.
        max_drops: most steps to accept, not counting `initial`; None for no limit.
        initial: layers dropped from the start; the baseline is the model without them.
        known: counts from a journal; `score` is never asked for these again.
        next_layers: the layers to try once some are dropped (`criteria`); None: every one left.
        race: scores a round only as far as its choice needs; None: `score` counts every candidate.
        on_candidate: called with the baseline and then each candidate, known or new, in order.
        on_accepted: called with each accepted candidate.

    Raises:
        InputError: if epsilon, floor, max_drops or the initial layers are impossible.
    """
    _check_options(total, epsilon, floor, max_drops)
    known = known or {}
    units = Units(units) if isinstance(units, int) else units
    start = (0, None, units.start(initial))
    [baseline] = score_round(score, [start], total, known, on_candidate)
    steps: list[Candidate] = []
    candidates: list[Candidate] = []
    current = baseline
    stop_reason: StopReason
    while True:
        left = units.left(current.dropped)
        if not left:
            stop_reason = nothing_left(units)
            break
        if max_drops is not None and len(steps) >= max_drops:
            stop_reason = "max drops"
            break
        reference = baseline if floor == "baseline" else current
        lowest = floor_count(reference.correct, total, epsilon)
        trying = left if next_layers is None else next_layers(current.dropped)
        children = _children(current, trying)
        chosen = score
        if race is not None:
            chosen = racing(race, [dropped for *_, dropped in children], current, lowest)
        scored = score_round(chosen, children, total, known, on_candidate)
        candidates += scored
        winner = max(scored, key=lambda candidate: candidate.correct)  # first, so lowest, of ties
        if winner.correct < lowest:
            stop_reason = "below floor"
            break
        steps.append(winner)
        on_accepted(winner)
        current = winner

    accepted = [baseline, *steps]
    best = max(accepted, key=lambda candidate: candidate.correct)
    bsba = [model for model in accepted if model.correct >= baseline.correct][-1]
    return Result(total, baseline, tuple(steps), best, bsba, stop_reason, tuple(candidates))


def racing(
    race: Race,
    children: Sequence[Dropped],
    current: Candidate,
    floor: int,
) -> Score:
    """A round that is raced as a whole, even if a part of it is known.

    Bounds depend on who took part, and a search that is resumed must find the same ones.
    """

    def score(unknown: Sequence[Dropped]) -> Iterator[int]:
        counts = race(children, [current.dropped], floor, 1)
        return (n for d, n in zip(children, counts, strict=True) if d in set(unknown))

    return score


def nothing_left(units: Units) -> StopReason:
    """Why a search stops that may drop nothing more."""
    whole = units.granularity == "layer"
    return "no layer left to drop" if whole else "no half-layer left to drop"


def _check_options(total: int, epsilon: Any, floor: str, max_drops: int | None) -> None:
    if total < 1:
        raise ValueError("nothing to score: the task has no examples")
    exact_epsilon(epsilon)
    if floor not in ("baseline", "current"):
        raise InputError(f'floor must be "baseline" or "current", not {floor!r}')
    if max_drops is not None and max_drops < 0:
        raise InputError(f"the number of drops must be at least 0, not {max_drops}")


def _children(current: Candidate, layers: Sequence[Unit]) -> list[tuple[int, Unit | None, Dropped]]:
    """The next round: (iteration, layer, dropped) for each of the layers still there."""
    remaining = (layer for layer in layers if layer not in current.dropped)
    return [(current.iteration + 1, layer, add(current.dropped, layer)) for layer in remaining]


def score_round(
    score: Score,
    models: Sequence[tuple[int, Unit | None, Dropped]],
    total: int,
    known: Mapping[Dropped, int],
    on_candidate: Callable[[Candidate], None],
) -> list[Candidate]:
    """Count the correct answers of each model, asking only for those that are not known."""
    unknown = [dropped for _, _, dropped in models if dropped not in known]
    counts = iter(score(unknown)) if unknown else iter(())
    scored = []
    for iteration, layer, dropped in models:
        correct = known[dropped] if dropped in known else next(counts, None)
        if correct is None or not 0 <= correct <= total:
            raise ValueError(f"dropping {dropped} scored {correct}, not a count of 0 to {total}")
        bound = isinstance(correct, AtMost)
        scored.append(Candidate(iteration, layer, dropped, int(correct), bound))
        on_candidate(scored[-1])
    return scored
