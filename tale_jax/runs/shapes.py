"""What the files of a finished search may say, and what they must say alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec

from attention.errors import InputError
from attention.files import Record
from tale_jax.elimination import OBJECTIVES, StopReason
from tale_jax.runs.strata import Strata, measure, strata_of
from tale_jax.runs.verdicts import PICKS
from tale_jax.units import Granularity, Unit, check_layers, is_unit, place

MOST_LAYERS = 10_000
Natural = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Positive = Annotated[int, msgspec.Meta(ge=1, le=2**53)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Gain = Annotated[float, msgspec.Meta(ge=-1, le=1)]
Layers = Annotated[int, msgspec.Meta(ge=1, le=MOST_LAYERS)]
Text = Annotated[str, msgspec.Meta(max_length=4096)]


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


class Information(msgspec.Struct):
    """What the report draws of a row of ``information.csv``, whose cells are texts."""

    model: Text
    layer: Annotated[int, msgspec.Meta(ge=-1, le=MOST_LAYERS)]
    entropy: float
    same_states: float
    cross_validated: float
    low: float
    high: float


def check_shape(value: Any, shape: Any, where: object, *, texts: bool = False) -> None:
    """Check a JSON value.

    Args:
        value: the value.
        shape: the type that it must have.
        where: the file, for the error.
        texts: whether numbers are written as texts.

    Raises:
        InputError: it has another type, or a number is out of range.
    """
    try:
        msgspec.convert(value, shape, strict=not texts)
    except (msgspec.ValidationError, RecursionError) as error:
        raise InputError(f"{where}: {error}") from None


def check_together(
    settings: Record, summary: Record, trajectory: Sequence[Record], candidates: Sequence[Record]
) -> None:
    """Check the shapes of a run's files, and that they say the same.

    Raises:
        InputError: they do not; the message says where.
    """
    check_shape(settings, Settings, "settings.json")
    check_shape(summary, Summary, "summary.json")
    check_shape(trajectory, list[Step], "trajectory.jsonl")
    check_shape(candidates, list[Step], "candidates.csv")
    for name in ("model", "task", "num_layers"):
        if settings[name] != summary[name]:
            raise InputError(f"summary.json: {name} is not that of settings.json")
    joint, held_out = _joint(settings, "search"), _joint(settings, "test")
    total, depth = summary["examples"], summary["num_layers"]
    if joint is not None:
        total = joint.joint.total
    accepted = {tuple(summary["baseline"]["dropped"]): summary["baseline"]["correct"]}
    for row in trajectory:
        _check_step(row, total, depth, "trajectory.jsonl")
        accepted[tuple(row["dropped"])] = row["correct"]
    for row in candidates:
        _check_step(row, total, depth, "candidates.csv")
    for name in PICKS:
        pick = summary[name]
        _check_measured(pick, f"summary.json: {name}", joint)
        check_layers(pick["dropped"], depth)
        if pick["total"] != total or accepted.get(tuple(pick["dropped"])) != pick["correct"]:
            raise InputError(f"summary.json: {name} is no model of trajectory.jsonl")
        if pick["test"] is not None:
            _check_measured(pick["test"], f"summary.json: {name}.test", held_out)
    _check_picks(summary, accepted)


def _joint(settings: Record, split: str) -> Strata | None:
    """The tasks of a split of a joint search.

    Raises:
        InputError: there are none, or their objective combines nothing.
    """
    if settings.get("sizes") is None or (split == "test" and not settings["sizes"].get(split)):
        return None
    if not settings["sizes"].get(split) or settings["objective"] not in OBJECTIVES:
        raise InputError("settings.json: sizes or objective of the tasks is wrong")
    if OBJECTIVES[settings["objective"]].combine is None:
        raise InputError("settings.json: the objective does not combine tasks")
    return strata_of(settings, split)


def _check_picks(summary: Record, accepted: Mapping[tuple[Unit, ...], int]) -> None:
    """Whether BEST and BSBA are what the accepted models make them."""
    best, base = max(accepted.values()), summary["baseline"]["correct"]
    shortest = min(len(dropped) for dropped, correct in accepted.items() if correct == best)
    deepest = max(len(dropped) for dropped, correct in accepted.items() if correct >= base)
    found = len(summary["best"]["dropped"]), len(summary["bsba"]["dropped"])
    if summary["best"]["correct"] != best or found != (shortest, deepest):
        raise InputError("summary.json: best or bsba is not what trajectory.jsonl makes it")
    tests = [summary[name]["test"] for name in PICKS]
    if len({None if test is None else test["total"] for test in tests}) > 1:
        raise InputError("summary.json: the picks have different test examples")


def _check_step(row: Record, total: int, depth: int, where: str) -> None:
    _check_layers([row["layer"]], depth, where)
    _check_layers(row["dropped"], depth, where)
    if row["total"] != total or row["correct"] > total:
        raise InputError(f"{where}: a model has {row['correct']} of {row['total']} answers")


def _check_layers(units: Sequence[Unit], depth: int, where: str) -> None:
    """Whether units are there, each of them once."""
    if not all(map(is_unit, units)) or not all(0 <= place(unit)[0] < depth for unit in units):
        raise InputError(f"{where}: a layer is dropped that the model does not have")
    if len({*units}) < len(units):
        raise InputError(f"{where}: a layer is dropped twice")


def _check_measured(found: Record, where: str, strata: Strata | None) -> None:
    """Whether an accuracy and its interval follow from the counts."""
    if found["correct"] > found["total"]:
        raise InputError(f"{where}: {found['correct']} of {found['total']} answers")
    if strata is None:
        right = measure(found["correct"], found["total"])
    else:
        if list(found.get("tasks") or ()) != list(strata.sizes):
            raise InputError(f"{where}: the tasks are not those of settings.json")
        for name, size in strata.sizes.items():
            if found["tasks"][name]["total"] != size:
                raise InputError(f"{where}: {name} has {size} examples")
            _check_measured(found["tasks"][name], f"{where}.{name}", None)
        right = strata.measure([found["tasks"][name]["correct"] for name in strata.sizes])
        if (right["correct"], right["total"]) != (found["correct"], found["total"]):
            raise InputError(f"{where}: the counts are not those of the tasks")
    if any(abs(right[name] - found[name]) > 1e-6 for name in ("accuracy", "low", "high")):
        raise InputError(f"{where}: the accuracy is not that of its counts")
