"""The plan: which units there are, what each of them waits for, and how they run."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence

from attention.files import Record, attempt
from attention.terminal import Terminal
from tale_paper.tables import PAIRS, REDUCED, TASKS
from tale_paper.units import (
    Setting,
    Unit,
    arms_unit,
    control_unit,
    criteria_unit,
    layers_unit,
    redraw_unit,
    search_unit,
    speed_unit,
    transfer_unit,
    unit_name,
    whole_unit,
)


def reduced_plan() -> list[Unit]:
    """The units in their order; later ones use what earlier ones found.

    A small model can tell few of the paper's tasks; minimal pairs stand beside them.
    """
    told = [*REDUCED[:2], *PAIRS]
    return [
        *map(whole_unit, [*REDUCED, *PAIRS]),
        *map(search_unit, [*REDUCED, *PAIRS]),
        *(whole_unit(task, 4) for task in REDUCED),
        *(search_unit(task, 4) for task in REDUCED),
        *map(redraw_unit, told),
        *map(control_unit, told),
        *map(criteria_unit, told),
        transfer_unit([*REDUCED, *PAIRS]),
        *map(layers_unit, REDUCED[:2]),
        *(arms_unit(task, seed) for task in ("arc_easy", "commonsense_qa") for seed in range(3)),
        *map(speed_unit, REDUCED[:2]),
    ]


def full_plan() -> list[Unit]:
    """Nine tasks, zero-shot and with four shots, of one of the paper's models."""
    kinds = (whole_unit, search_unit)
    return [make(task, shots) for shots in (0, 4) for make in kinds for task in TASKS]


def missing_data(setting: Setting, unit: Unit) -> str | None:
    """Why a unit cannot run: what it needs is not there."""
    task = unit.task
    if task is None:
        return None
    folder = task.partition(":")[0]
    if setting.data is not None and not (setting.data / folder).is_dir():
        return f"no {setting.data / folder}"
    if unit.step[0] != "0" and setting.limit is None:
        first = unit_name("whole", task, shots=unit.shots)
        whole = setting.found(first)
        if whole is None:
            return f"{first} has not finished"
        if not whole["informative"]:
            low, high, one = whole["whole"]["low"], whole["whole"]["high"], whole["majority"]
            return (
                f"uninformative: the whole model answers {low:.1%} to {high:.1%}, the most "
                f"frequent answer alone {one:.1%}"
            )
    search_first = unit_name("search", task, shots=0)
    if unit.searched and not setting.file(search_first).is_file():
        return f"{search_first} has not finished"
    return None


def run_units(setting: Setting, units: Sequence[Unit], terminal: Terminal) -> Iterator[Record]:
    """Run what has not run; yields the unit, its file's content if it finished, and why if not."""
    for unit in units:
        file, found = setting.file(unit.name), None
        why = None if file.is_file() else missing_data(setting, unit)
        if why is None:
            if not file.is_file():
                terminal.message(f"{unit.step}: {unit.name}")
            found, why = attempt(file, functools.partial(unit.run, setting))
        yield {"unit": unit, "found": found, "why": why}


def command_line(setting: Setting, unit: Unit) -> str:
    """The command that runs one unit, and goes on with it."""
    data = "" if setting.data is None else f" --data {setting.data}"
    few = "" if setting.limit is None else f" --limit {setting.limit}"
    return (
        f"python scripts/reproduce_tale.py --model {setting.model}{data} --out {setting.out} "
        f"--dtype {setting.dtype} --units {unit.name}{few}"
    )
