"""What the files of a finished search may say: types and ranges."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from attention.files import Natural, Positive, Share, Text
from tale_jax.elimination import StopReason
from tale_jax.units import Granularity, Unit

MOST_LAYERS = 10_000
Gain = Annotated[float, msgspec.Meta(ge=-1, le=1)]
Layers = Annotated[int, msgspec.Meta(ge=1, le=MOST_LAYERS)]


class Measured(msgspec.Struct):
    """An accuracy with its interval."""

    correct: Natural
    total: Positive
    accuracy: Share
    low: Share
    high: Share


class OfTask(Measured, kw_only=True):
    """The accuracy on one of several tasks; on the test split with what tells it from another."""

    p_value: Share | None = None


class HeldOut(Measured, kw_only=True):
    """The accuracy on the test split, and what tells it from the baseline's."""

    p_value: Share
    tasks: dict[str, OfTask] | None = None


class Pick(Measured, kw_only=True):
    """One of the three picks."""

    dropped: list[Unit]
    test: HeldOut | None
    tasks: dict[str, OfTask] | None = None


class Control(msgspec.Struct):
    """Searches on shuffled answers."""

    shuffles: Positive
    gain: Gain
    mean_gain: Gain
    gains: Annotated[list[Gain], msgspec.Meta(min_length=1)]
    p_value: Share


class TextLoss(msgspec.Struct):
    """How surprising a text is, in nats a token."""

    loss: float | None
    perplexity: Annotated[float, msgspec.Meta(ge=0)] | None


class TextDamage(msgspec.Struct):
    """The losses of the picks on a text."""

    source: Text
    tokens: Positive
    baseline: TextLoss
    best: TextLoss
    bsba: TextLoss


class TaskDamage(msgspec.Struct):
    """The accuracies of the picks on a task that was not searched."""

    split: Text
    baseline: OfTask
    best: OfTask
    bsba: OfTask


class Damage(msgspec.Struct):
    """What the picks lose besides the searched task."""

    text: TextDamage
    untouched: dict[str, TaskDamage] = {}


class Question(msgspec.Struct):
    """An example that a pick answers otherwise than the baseline."""

    example: Natural
    question: Text
    before: Text
    after: Text
    gained: bool


class Changed(msgspec.Struct):
    """The examples that a pick answers otherwise than the baseline."""

    pick: Literal["best", "bsba"]
    split: Literal["search", "test"]
    gained: Natural
    lost: Natural
    shown: Annotated[list[Question], msgspec.Meta(max_length=1000)]


class Summary(msgspec.Struct):
    """``summary.json``."""

    model: Text
    task: Text
    protocol: Text
    num_layers: Layers
    epsilon: Share
    floor: Literal["baseline", "current"]
    examples: Positive
    stop_reason: StopReason
    baseline: Pick
    best: Pick
    bsba: Pick
    unparsed: dict[str, Natural] = {}
    cut: dict[str, Natural] = {}
    too_long: Natural = 0
    compilations: Natural = 0
    seconds: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    criterion: Text = ""
    ranked_by: Text = ""
    granularity: Granularity = "layer"
    null_control: Control | None = None
    commands: list[str] = []
    notes: list[str] = []
    options: dict[str, Any] = {}
    objective: Text = ""
    damage: Damage | None = None
    changed: list[Changed] = []


class Settings(msgspec.Struct):
    """What commands need of ``settings.json``."""

    model: Text
    task: Text
    num_layers: Layers
    revision: Text | None = None
    fingerprint: Text = ""
    task_fingerprint: Text = ""
    template_fingerprint: Text | None = None
    granularity: Granularity = "layer"
    objective: Text = ""
    sizes: dict[str, dict[str, Positive]] | None = None


class Step(msgspec.Struct):
    """A line of ``trajectory.jsonl``, and a row of ``candidates.csv``."""

    iteration: Positive
    layer: Unit
    correct: Natural
    total: Positive
    dropped: list[Unit]
    bound: bool = False
    tasks: dict[str, Natural] | None = None


class Outcome(msgspec.Struct):
    """What the journal of ``tale arms`` says of an arm: its model, accuracies and seconds."""

    state: tuple[Text | None, list[Natural], list[Natural]]
    search: Measured
    test: Measured | None
    seconds: Annotated[float, msgspec.Meta(ge=0)]
    whole_time: bool


class Arm(msgspec.Struct):
    """A line of the journal of ``tale arms``."""

    arm: Text
    outcome: Outcome


class Information(msgspec.Struct):
    """What the report draws of a row of ``information.csv``, whose cells are texts."""

    model: Text
    layer: Annotated[int, msgspec.Meta(ge=-1, le=MOST_LAYERS)]
    entropy: float
    same_states: float
    cross_validated: float
    low: float
    high: float
