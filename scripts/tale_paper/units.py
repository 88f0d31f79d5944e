"""The units of work; each leaves a small file, which a later run skips."""

from __future__ import annotations

import collections
import dataclasses
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from attention.errors import InputError
from attention.files import Record, finished, read_json
from attention.terminal import Terminal
from tale_jax import search
from tale_jax.commands.arms import arms
from tale_jax.commands.benchmark import benchmark
from tale_jax.commands.compare import compare
from tale_jax.commands.evaluate import evaluate
from tale_jax.commands.information import information
from tale_jax.commands.lens import lens
from tale_jax.commands.transfer import transfer
from tale_jax.opening import read_task
from tale_jax.options import Options
from tale_jax.tasks import BENCHMARKS
from tale_paper.tables import REDUCED, SEARCHED, TASKS, TESTED


@dataclasses.dataclass(frozen=True)
class Setting:
    """What every unit needs: the model, the data, the folders, and how much is run."""

    model: str
    data: Path | None
    out: Path
    results: Path
    limit: int | None
    hours: float
    dtype: str

    @property
    def slug(self) -> str:
        """The model's name as a folder."""
        return re.sub(r"[^\w.-]+", "-", self.model.removeprefix("package:")).strip("-")

    def folder(self, unit: str) -> Path:
        """The directory in which a unit works."""
        return self.out / self.slug / unit

    def file(self, unit: str) -> Path:
        """The small file that a finished unit leaves."""
        return self.results / self.slug / f"{unit}.json"

    def asked(self, task: str, shots: int = 0, seed: int = 0) -> dict[str, Any]:
        """Options of a task: how many rows, and in which form."""
        form = "text" if "text" in BENCHMARKS.pick(task).forms else None
        given: dict[str, Any] = {"data": self.data, "choices": form, "shots": shots, "seed": seed}
        have = len(read_task(task, Options(**given)).search)
        given["draw"] = min(self.limit or SEARCHED, have)
        given["limit"] = self.limit or TESTED
        return given | {"dtype": self.dtype, "quiet": True}

    def rules(self) -> dict[str, Any]:
        """When a search of ours stops."""
        return {"max_hours": self.hours, "resume": True}


@dataclasses.dataclass(frozen=True)
class Unit:
    """A piece of work that leaves a file.

    Attributes:
        name: of the file.
        step: of the plan.
        run: does it, and returns what the file holds.
    """

    name: str
    step: str
    run: Callable[[Setting], Record]


def whole_unit(task: str, shots: int = 0) -> Unit:
    """The whole model beside the most frequent answer, before any search is paid for.

    It is informative if the lower end of its Wilson interval lies above the share of that answer.
    """
    name = f"whole-{task}-{shots}shot"

    def run(setting: Setting) -> Record:
        asked = setting.asked(task, shots)
        found = evaluate(setting.model, (task,), **asked)
        held_out = found["test"] or found["search"]
        majority = majority_of(task, asked)
        informative = held_out["low"] > majority
        about = {"task": task, "shots": shots, "protocol": found["protocol"]}
        return {**about, "majority": majority, "informative": informative, "whole": held_out}

    return Unit(name, "0 whole model" if shots == 0 else "0 whole model, 4 shots", run)


def majority_of(task: str, asked: Record) -> float:
    """The share of the most frequent answer among the rows that models are judged on."""
    options = {key: value for key, value in asked.items() if key not in ("dtype", "quiet")}
    rows = read_task(task, Options(**options))
    answers = collections.Counter(example.answer for example in rows.test or rows.search)
    return max(answers.values()) / answers.total()


def search_unit(task: str, shots: int = 0) -> Unit:
    """BEST and BSBA of a task, chosen on some rows and judged on others."""
    name = f"search-{task}-{shots}shot"

    def run(setting: Setting) -> Record:
        asked = setting.asked(task, shots)
        found = search(setting.model, task, setting.folder(name), **asked, **setting.rules())
        kept = ("examples", "num_layers", "stop_reason", "protocol", "seconds", "damage")
        return {
            "task": task,
            "shots": shots,
            "majority": majority_of(task, asked),
            **{key: found[key] for key in kept},
            **{pick: found[pick] for pick in ("baseline", "best", "bsba")},
        }

    return Unit(name, "1 search" if shots == 0 else "1 search, 4 shots", run)


def redraw_unit(task: str) -> Unit:
    """Three searches on other rows."""
    name = f"redraws-{task}"

    def run(setting: Setting) -> Record:
        asked = setting.asked(task)
        sizes = (asked.pop("draw"),)
        how = {**asked, **setting.rules(), "repeats": 3, "sizes": sizes}
        found = search(setting.model, task, setting.folder(name), **how)
        return {"task": task, "rows": found["rows"], "sizes": found["sizes"]}

    return Unit(name, "1 three redraws", run)


def control_unit(task: str) -> Unit:
    """Twenty searches on shuffled answers, in the directory of the real one."""

    def run(setting: Setting) -> Record:
        folder = setting.folder(f"search-{task}-0shot")
        shuffles = 20 if setting.limit is None else 2
        how = {**setting.asked(task), **setting.rules(), "null_control": shuffles}
        summary = search(setting.model, task, folder, **how)
        return {"task": task, **summary["null_control"]}

    return Unit(f"control-{task}", "2 null control", run)


def criteria_unit(task: str) -> Unit:
    """Accuracy, perplexity (SLEB), cosine (ShortGPT), the last layers and random ones."""
    name = f"criteria-{task}"

    def run(setting: Setting) -> Record:
        found = content(setting, f"search-{task}-0shot")
        how = {**setting.asked(task), "depth": max(1, len(found["best"]["dropped"])), "draws": 3}
        names = ("accuracy", "perplexity", "cosine", "last", "random")
        out = setting.folder(name)
        rows = compare(setting.model, task, out, criteria=names, resume=True, **how)["rows"]
        return {"task": task, "rows": [row for row in rows if row["depth"] == how["depth"]]}

    return Unit(name, "2 criteria at equal depth", run)


def transfer_unit(tasks: Sequence[str]) -> Unit:
    """The layers of each task on all others."""

    def run(setting: Setting) -> Record:
        every = [setting.folder(f"search-{task}-0shot") for task in tasks]
        done = [folder for folder in every if (folder / "summary.json").is_file()]
        out = setting.folder("transfer")
        return {"rows": transfer(done, out, resume=True, limit=setting.limit, quiet=True)["rows"]}

    return Unit("transfer", "2 transfer between tasks", run)


def layers_unit(task: str) -> Unit:
    """Information by layer before and after, and the lens."""

    def run(setting: Setting) -> Record:
        how: Any = {"run": setting.folder(f"search-{task}-0shot"), "quiet": True}
        bits = information(**how, limit=setting.limit or 100)["rows"]
        read = lens(**how, limit=setting.limit or 300)["rows"]
        return {"task": task, "information": bits, "lens": read}

    return Unit(f"layers-{task}", "3 information and lens", run)


def arms_unit(task: str, seed: int) -> Unit:
    """The six orders of elimination and fine-tuning, LoRA."""
    name = f"arms-{task}-seed{seed}"

    def run(setting: Setting) -> Record:
        few = setting.limit is not None
        how: Any = {**setting.asked(task, seed=seed), "steps": 2 if few else 150, "lora_rank": 16}
        out = setting.folder(name)
        return {"task": task, "seed": seed} | arms(setting.model, task, out, resume=True, **how)

    return Unit(name, "4 fine-tuning arms", run)


def speed_unit(task: str) -> Unit:
    """Speed with a cache at batch 1 and 8."""

    def run(setting: Setting) -> Record:
        how = {"prompt_length": 16, "new_tokens": 8, "rounds": 2} if setting.limit else {}
        folder = setting.folder(f"search-{task}-0shot")
        return {"task": task} | benchmark(run=folder, batch=(1, 8), quiet=True, **how)

    return Unit(f"speed-{task}", "5 speed", run)


def reduced_plan() -> list[Unit]:
    """The units in their order; later ones use what earlier ones found."""
    return [
        *map(whole_unit, REDUCED),
        *map(search_unit, REDUCED),
        *(whole_unit(task, 4) for task in REDUCED),
        *(search_unit(task, 4) for task in REDUCED),
        *map(redraw_unit, REDUCED[:3]),
        *map(control_unit, REDUCED[:2]),
        *map(criteria_unit, REDUCED[:2]),
        transfer_unit(REDUCED),
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
    task = next((name for name in TASKS if f"-{name}" in unit.name), None)
    if task and setting.data is not None and not (setting.data / task).is_dir():
        return f"no {setting.data / task}"
    if task and unit.step[0] != "0" and setting.limit is None:
        first = f"whole-{task}-{4 if unit.name.endswith('-4shot') else 0}shot"
        whole = content(setting, first)
        if whole is None:
            return f"{first} has not finished"
        if not whole["informative"]:
            low, high, one = whole["whole"]["low"], whole["whole"]["high"], whole["majority"]
            return (
                f"uninformative: the whole model answers {low:.1%} to {high:.1%}, the most "
                f"frequent answer alone {one:.1%}"
            )
    needs = unit.step[0] in "235" and task and not unit.name.startswith("arms")
    if needs and not setting.file(f"search-{task}-0shot").is_file():
        return f"search-{task}-0shot has not finished"
    return None


def run_units(setting: Setting, units: Sequence[Unit], terminal: Terminal) -> Iterator[Record]:
    """Run what has not run; yields the unit, its file's content if it finished, and why if not."""
    for unit in units:
        found, why = content(setting, unit.name), None
        if found is None and (why := missing_data(setting, unit)) is None:
            terminal.message(f"{unit.step}: {unit.name}")
            try:
                found = finished(setting.file(unit.name), lambda unit=unit: unit.run(setting))
            except InputError as error:
                why = str(error)
        yield {"unit": unit, "found": found, "why": why}


def content(setting: Setting, name: str) -> Any:
    """What a finished unit found; None of another."""
    file = setting.file(name)
    return read_json(file)["found"] if file.is_file() else None


def command_line(setting: Setting, unit: Unit) -> str:
    """The command that runs one unit, and goes on with it."""
    data = "" if setting.data is None else f" --data {setting.data}"
    few = "" if setting.limit is None else f" --limit {setting.limit}"
    return (
        f"python scripts/reproduce_tale.py --model {setting.model}{data} --out {setting.out} "
        f"--dtype {setting.dtype} --units {unit.name}{few}"
    )
