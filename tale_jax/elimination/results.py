"""The result of a search: the models that it scored, its steps, and its picks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tale_jax.units import Dropped, Unit

StopReason = Literal[
    "below floor",
    "max drops",
    "target layers",
    "target speed-up",
    "max hours",
    "no layer left to drop",
    "no half-layer left to drop",
]


@dataclass(frozen=True)
class Candidate:
    """A scored model.

    Attributes:
        iteration: number of the round, from 1; 0 for the baseline.
        layer: the layer, or half of a layer, that was dropped or put back; None for the baseline.
        dropped: all layers and halves that the model goes without.
        correct: number of examples that the model answers correctly.
        bound: whether the model was rejected early, so that ``correct`` is an upper bound.
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
        total: number of examples.
        baseline: the model that the search started from.
        steps: the accepted candidates, in order.
        best: the model with most correct answers among baseline and steps; of equals the one that
            drops least.
        bsba: "best speed-up with at least baseline accuracy": the model that drops most among the
            baseline and those steps that answer at least as many examples.
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
