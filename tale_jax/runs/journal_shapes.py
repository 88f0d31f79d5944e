"""What the lines of the journal of a run may say: types and ranges."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from attention.files import Natural, Text
from tale_jax.units import Unit

Seconds = Annotated[float, msgspec.Meta(ge=0)]


class Model(msgspec.Struct):
    """A model, by what it goes without."""

    dropped: list[Unit]


class Scored(Model, kw_only=True):
    """A candidate of a round, or the one that was accepted."""

    iteration: Natural
    layer: Unit | None
    correct: Natural
    bound: bool


class Evaluated(Model, kw_only=True):
    """Answers to the examples of a split: each the text, whether it is right, whether it is cut."""

    split: Text
    answers: list[Annotated[list[Any], msgspec.Meta(min_length=2, max_length=3)]]


class Ranked(Model, kw_only=True):
    """The loss of a model by a criterion; None is infinite."""

    criterion: Text
    loss: float | None


class Timed(msgspec.Struct):
    """Seconds of passes of the whole model and of its parts."""

    whole: Seconds
    without_attention: Seconds
    without_mlp: Seconds


class Clock(msgspec.Struct):
    """Seconds that a run had taken at the end of a round."""

    iteration: Natural
    seconds: Seconds


class Counts(Model, kw_only=True):
    """Correct answers by task, and which of them are bounds."""

    iteration: Natural
    correct: list[Natural]
    bounds: list[bool]


class Damage(Model, kw_only=True):
    """What a model lost besides the task."""

    what: Text
    values: dict[str, Any]


class Control(Model, kw_only=True):
    """A search on shuffled answers."""

    shuffle: Natural
    baseline: Natural
    best: Natural
