"""``tale arms``: the ways to combine elimination and fine-tuning.

==================  =====================================  ===========================
arm                 model                                  folder of its work
==================  =====================================  ===========================
base                as it is                               ``base``
TALE                BEST of a search                       ``tale``
FT                  fine-tuned                             ``ft``
TALE→FT             BEST, then fine-tuned                  ``tale-ft``
FT→TALE             fine-tuned, then BEST of a search      ``ft-tale``
(TALE→FT)→TALE      TALE→FT, then BEST of a search         ``tale-ft-tale``
==================  =====================================  ===========================

If the command is killed, ``--resume`` goes on from the last checkpoint or journal line.
Source: TELL-TALE, arXiv 2510.22767, the table on fine-tuning.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from attention import files
from attention import training as learning
from attention.choices import Choices
from attention.command_line import Result, command
from attention.errors import InputError
from attention.files import Record
from attention.options import Display
from attention.terminal import Terminal, plain_table
from tale_jax import models, opening, runs
from tale_jax.commands.evaluate import evaluate
from tale_jax.commands.finetune import finetune
from tale_jax.commands.search import search
from tale_jax.elimination import SearchOptions, SearchRules
from tale_jax.options import RENAMED, Options, TrainingOptions

COLUMNS = (
    "arm dropped layers split correct total accuracy low high search_accuracy seconds "
    "total_seconds whole_time"
).split()


class State(NamedTuple):
    """The model of an arm.

    Attributes:
        checkpoint: folder of the arm that trained it; None for the original model.
        kept: the layers of the checkpoint, by their numbers in the original model.
        pending: layers of the checkpoint that are to be left out.
    """

    checkpoint: str | None
    kept: list[int]
    pending: list[int]

    @property
    def left(self) -> list[int]:
        """The layers that are left, by their numbers in the original model."""
        return [layer for i, layer in enumerate(self.kept) if i not in self.pending]


@dataclasses.dataclass(frozen=True)
class Work:
    """What every step of an arm needs; a step goes on in its folder if there is one."""

    model: str
    task: str
    out: Path
    layers: SearchRules
    training: TrainingOptions
    options: Options
    display: Display

    def path(self, state: State) -> str:
        """The checkpoint of a state."""
        checkpoint = state.checkpoint
        return self.model if checkpoint is None else str(self.out / checkpoint / "model")

    def evaluate(self, state: State) -> Record:
        """The accuracy of a model that has no layers left to leave out."""
        path = self.path(state)
        return evaluate(path, self.task, options=self.options, display=self.display)


def leave(work: Work, folder: str, before: State) -> tuple[State, Record]:
    """Leave the model as it is."""
    del folder
    return before, work.evaluate(before)


def eliminate(work: Work, folder: str, before: State) -> tuple[State, Record]:
    """Search, and leave out the layers that BEST goes without."""
    best = search(
        work.path(before),
        work.task,
        work.out / folder,
        layers=SearchOptions(**dataclasses.asdict(work.layers)),
        resume=True,
        options=work.options,
        display=work.display,
    )["best"]
    after = State(before.checkpoint, before.kept, best["dropped"])
    return after, {"search": best, "test": best["test"]}


def tune(work: Work, folder: str, before: State) -> tuple[State, Record]:
    """Train the model without the layers that are to be left out."""
    finetune(
        model=work.path(before),
        task=work.task,
        out=work.out / folder,
        drop=before.pending,
        training=work.training,
        resume=True,
        options=work.options,
        display=work.display,
    )
    after = State(folder, before.left, [])
    return after, work.evaluate(after)


Step = Callable[[Work, str, State], tuple[State, Record]]


@dataclasses.dataclass(frozen=True)
class Arm:
    """A row of the table.

    Attributes:
        after: the arm whose model it starts from; None: the original model.
        step: what is done to that model; it gets the work, the folder and the model, and returns
            the model after it with its measurements on ``search`` and ``test``.
        folder: of its work.
    """

    after: str | None
    step: Step
    folder: str


ARMS = Choices(
    "arm",
    {
        "base": Arm(None, leave, "base"),
        "TALE": Arm("base", eliminate, "tale"),
        "FT": Arm("base", tune, "ft"),
        "TALE→FT": Arm("TALE", tune, "tale-ft"),
        "FT→TALE": Arm("FT", eliminate, "ft-tale"),
        "(TALE→FT)→TALE": Arm("TALE→FT", eliminate, "tale-ft-tale"),
    },
)


@command(renamed=RENAMED)
def arms(
    model: str,
    task: str,
    out: Path,
    *,
    layers: SearchRules = SearchRules(),
    resume: bool = False,
    training: TrainingOptions = TrainingOptions(),
    options: Options = Options(),
    display: Display = Display(),
) -> Result:
    """Combine elimination and fine-tuning in the paper's six ways, and compare them.

    Args:
        model: local folder, hub id, or "demo"
        task: JSONL file (with --train) or a name
        out: directory of all six, with a folder for the work of each; must be new unless --resume
        resume: go on with the arms in --out

    Returns:
        ``rows`` of ``arms.csv``: layers dropped (of the original model), accuracy on the test split
        (the search split where there is no other) with its Wilson interval, wall-clock seconds of
        the arm's own step and of the whole arm.  ``whole_time`` is false where a kill left only
        the time since.

    Raises:
        InputError: there is no train split, or an option is not possible.
    """
    options.check_trainable()
    learning.make_schedule(training.schedule, training.learning_rate, training.steps or 10**9)
    asked = opening.read_task(task, options)
    if not asked.train:
        raise InputError(f"{asked.name} has no train split; give one by --train")
    terminal = Terminal(display.quiet)
    with terminal.waiting(f"loading {model}"):
        opened = models.load_model(model, options)
    settings = opening.identify(opened, options) | {
        "task": task,
        "layers": layers.as_settings(),
        "training": dataclasses.asdict(training),
        "options": options.as_json(),
    }
    work = Work(model, task, out, layers, training, options, display)
    start = State(None, list(range(opened.config.num_hidden_layers)), [])
    outcomes: dict[str, Record] = {}
    with files.RunDirectory(out, "tale arms", settings, resume=resume) as run:
        shape = "tale_jax.runs.shapes:Arm"
        kind = files.RecordKind(("arm",), ("arm", "outcome"), shape=shape)
        journal = run.journal({"arm": kind})
        for name, arm in ARMS.items():
            record = journal.get("arm", name)
            if record is None:
                terminal.message(f"{name} …")
                before = start if arm.after is None else State(*outcomes[arm.after]["state"])
                record = journal.append("arm", arm=name, outcome=_do(work, arm, before))
            outcomes[name] = record["outcome"]
        rows = [_row(name, outcomes, start.kept) for name in ARMS]
        files.write_table(out / "arms.csv", rows, COLUMNS)
    return Result(
        {"rows": rows, "files": [out / "arms.csv"]},
        f"{model} on {task}: accuracy on the {rows[0]['split']} split",
        plain_table(
            ["arm", "layers dropped", "accuracy", "step", "whole arm"], [_line(row) for row in rows]
        ),
        f"written: {out / 'arms.csv'}",
    )


def _do(work: Work, arm: Arm, before: State) -> Record:
    """Do the step of an arm, and return its model, its accuracy and the time it took."""
    whole_time, start = not (work.out / arm.folder).exists(), time.monotonic()
    after, found = arm.step(work, arm.folder, before)
    return {
        "state": list(after),
        **{split: found[split] for split in ("search", "test")},
        "seconds": round(time.monotonic() - start, 1),
        "whole_time": whole_time,
    }


def _row(name: str, outcomes: Mapping[str, Record], every: Sequence[int]) -> Record:
    """A row of ``arms.csv``; the time of a whole arm includes the steps that it builds on."""
    outcome = outcomes[name]
    left, split = State(*outcome["state"]).left, "search" if outcome["test"] is None else "test"
    chain = [outcomes[step] for step in _chain(name)]
    return {
        "arm": name,
        "dropped": [layer for layer in every if layer not in left],
        "layers": len(left),
        "split": split,
        **{key: outcome[split][key] for key in ("correct", "total", "accuracy", "low", "high")},
        "search_accuracy": outcome["search"]["accuracy"],
        "seconds": outcome["seconds"],
        "total_seconds": round(sum(step["seconds"] for step in chain), 1),
        "whole_time": all(step["whole_time"] for step in chain),
    }


def _chain(name: str) -> Iterator[str]:
    """An arm and those it builds on, without the base, which does nothing."""
    yield name
    before = ARMS[name].after
    while before is not None and ARMS[before].after is not None:
        yield before
        before = ARMS[before].after


def _line(row: Record) -> list[str]:
    more = "" if row["whole_time"] else "≥ "
    return [
        row["arm"],
        runs.layer_list(row["dropped"]),
        runs.interval(row),
        f"{more}{row['seconds']:.0f} s",
        f"{more}{row['total_seconds']:.0f} s",
    ]
