"""What the files of a finished search must say alike: layers, counts, picks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attention.errors import InputError
from attention.files import Record, check_shape
from tale_jax.elimination import OBJECTIVES
from tale_jax.runs.shapes import Settings, Step, Summary
from tale_jax.runs.strata import Strata, measure, strata_of
from tale_jax.runs.verdicts import PICKS
from tale_jax.units import Unit, check_layers, is_unit, place


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
    if any(right[name] != found[name] for name in ("accuracy", "low", "high")):
        raise InputError(f"{where}: the accuracy is not that of its counts")
