"""What a search returns: the models that it scored, the path it took, and its two picks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tale_jax.units import Dropped, Unit

StopReason = Literal[
    "below floor", "max drops", "no layer left to drop", "no half-layer left to drop"
]


@dataclass(frozen=True)
class Candidate:
    """A scored model.

    Attributes:
        iteration: number of the round, from 1; 0 for the baseline.
        layer: the layer, or half of one, that the round dropped or put back; None for the baseline.
        dropped: all that is dropped.
        correct: how many examples it answers correctly.
        bound: whether it was rejected early, so that ``correct`` is an upper bound.
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
        best: most correct answers among baseline and steps; of equals the one that drops least.
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
