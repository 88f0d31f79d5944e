"""The units of work; each leaves a small file, which a later run skips."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from attention.files import Record, file_name, found_in
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
from tale_paper.tables import PAIRS, SEARCHED, TESTED

SHALLOW = 3  # layers that each of the three searches of the arms may drop


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
        return file_name(self.model.removeprefix("package:"))

    def folder(self, unit: str) -> Path:
        """The directory in which a unit works."""
        return self.out / self.slug / unit

    def file(self, unit: str) -> Path:
        """The small file that a finished unit leaves."""
        return self.results / self.slug / f"{unit}.json"

    def found(self, unit: str) -> Any:
        """What a finished unit found; None of another."""
        return found_in(self.file(unit))

    def asked(self, task: str, shots: int = 0, seed: int = 0) -> dict[str, Any]:
        """Options of a task: how many rows, and in which form."""
        form = None
        if task not in PAIRS and "text" in BENCHMARKS.pick(task).forms:
            form = "text"
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
        task: that it is about; the whole model must be able to tell it, after step 0.
        shots: before each question.
        searched: whether the search of the task must have finished.
    """

    name: str
    step: str
    run: Callable[[Setting], Record]
    task: str | None = None
    shots: int = 0
    searched: bool = False


def unit_name(kind: str, task: str, *, shots: int | None = None) -> str:
    """The name of a unit's file: ``search-arc_easy-0shot``, ``control-blimp-passive_1``."""
    return file_name(f"{kind}-{task}" + ("" if shots is None else f"-{shots}shot"))


def whole_unit(task: str, shots: int = 0) -> Unit:
    """The whole model beside the most frequent answer, before any search is paid for.

    It is informative if the lower end of its Wilson interval lies above the share of that answer.
    """
    name = unit_name("whole", task, shots=shots)

    def run(setting: Setting) -> Record:
        asked = setting.asked(task, shots)
        found = evaluate(setting.model, (task,), **asked)
        held_out = found["test"] or found["search"]
        majority = majority_of(task, asked)
        informative = held_out["low"] > majority
        about = {"task": task, "shots": shots, "protocol": found["protocol"]}
        return {**about, "majority": majority, "informative": informative, "whole": held_out}

    step = "0 whole model" if shots == 0 else "0 whole model, 4 shots"
    return Unit(name, step, run, task, shots)


def majority_of(task: str, asked: Record) -> float:
    """The share of the most frequent answer among the rows that models are judged on."""
    options = {key: value for key, value in asked.items() if key not in ("dtype", "quiet")}
    rows = read_task(task, Options(**options))
    answers = collections.Counter(example.answer for example in rows.test or rows.search)
    return max(answers.values()) / answers.total()


def search_unit(task: str, shots: int = 0) -> Unit:
    """BEST and BSBA of a task, chosen on some rows and judged on others."""
    name = unit_name("search", task, shots=shots)

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

    return Unit(name, "1 search" if shots == 0 else "1 search, 4 shots", run, task, shots)


def redraw_unit(task: str) -> Unit:
    """Three searches on other rows."""
    name = unit_name("redraws", task)

    def run(setting: Setting) -> Record:
        asked = setting.asked(task)
        sizes = (asked.pop("draw"),)
        how = {**asked, **setting.rules(), "repeats": 3, "sizes": sizes}
        found = search(setting.model, task, setting.folder(name), **how)
        return {"task": task, "rows": found["rows"], "sizes": found["sizes"]}

    return Unit(name, "1 three redraws", run, task)


def control_unit(task: str) -> Unit:
    """A search of one layer, and a hundred such on shuffled answers.

    So all shuffles judge the same candidates, which are asked once.
    """
    name = unit_name("control", task)

    def run(setting: Setting) -> Record:
        how = {**setting.asked(task), **setting.rules(), "max_drops": 1}
        how["null_control"] = 100 if setting.limit is None else 2
        summary = search(setting.model, task, setting.folder(name), **how)
        picks = {pick: summary[pick] for pick in ("baseline", "best")}
        return {"task": task, "max_drops": 1, "picks": picks, **summary["null_control"]}

    return Unit(name, "2 null control", run, task)


def criteria_unit(task: str) -> Unit:
    """Accuracy, perplexity (SLEB), cosine (ShortGPT), the last layers and random ones."""
    name = unit_name("criteria", task)

    def run(setting: Setting) -> Record:
        found = setting.found(unit_name("search", task, shots=0))
        how = {**setting.asked(task), "depth": max(1, len(found["best"]["dropped"])), "draws": 3}
        names = ("accuracy", "perplexity", "cosine", "last", "random")
        out = setting.folder(name)
        rows = compare(setting.model, task, out, criteria=names, resume=True, **how)["rows"]
        return {"task": task, "rows": [row for row in rows if row["depth"] == how["depth"]]}

    return Unit(name, "2 criteria at equal depth", run, task, searched=True)


def transfer_unit(tasks: Sequence[str]) -> Unit:
    """The layers of each task on all others."""

    def run(setting: Setting) -> Record:
        every = [setting.folder(unit_name("search", task, shots=0)) for task in tasks]
        done = [folder for folder in every if (folder / "summary.json").is_file()]
        out = setting.folder("transfer")
        return {"rows": transfer(done, out, resume=True, limit=setting.limit, quiet=True)["rows"]}

    return Unit("transfer", "2 transfer between tasks", run)


def layers_unit(task: str) -> Unit:
    """Information by layer before and after, and the lens."""

    def run(setting: Setting) -> Record:
        folder = setting.folder(unit_name("search", task, shots=0))
        how: Any = {"run": folder, "quiet": True}
        bits = information(**how, limit=setting.limit or 100)["rows"]
        read = lens(**how, limit=setting.limit or 300)["rows"]
        return {"task": task, "information": bits, "lens": read}

    return Unit(unit_name("layers", task), "3 information and lens", run, task, searched=True)


def arms_unit(task: str, seed: int) -> Unit:
    """The six orders of elimination and fine-tuning, LoRA."""
    name = f"{unit_name('arms', task)}-seed{seed}"

    def run(setting: Setting) -> Record:
        few = setting.limit is not None
        how: Any = {**setting.asked(task, seed=seed), "steps": 2 if few else 150, "lora_rank": 16}
        how["max_drops"] = SHALLOW
        out = setting.folder(name)
        return {"task": task, "seed": seed} | arms(setting.model, task, out, resume=True, **how)

    return Unit(name, "4 fine-tuning arms", run, task)


def speed_unit(task: str) -> Unit:
    """Speed with a cache at batch 1 and 8."""

    def run(setting: Setting) -> Record:
        how = {"prompt_length": 16, "new_tokens": 8, "rounds": 2} if setting.limit else {}
        folder = setting.folder(unit_name("search", task, shots=0))
        return {"task": task} | benchmark(run=folder, batch=(1, 8), quiet=True, **how)

    return Unit(unit_name("speed", task), "5 speed", run, task, searched=True)
