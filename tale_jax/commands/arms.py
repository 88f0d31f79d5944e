"""The six ways to combine elimination and fine-tuning: ``tale arms``.

==================  =====================================  ===========================
arm                 model                                  folder of its work
==================  =====================================  ===========================
base                as it is                               ``tale`` (its baseline)
TALE                BEST of a search                       ``tale``
FT                  fine-tuned                             ``ft``
TALE→FT             BEST, then fine-tuned                  ``tale-ft``
FT→TALE             fine-tuned, then BEST of a search      ``ft-tale``
(TALE→FT)→TALE      TALE→FT, then BEST of a search         ``tale-ft-tale``
==================  =====================================  ===========================

A kill costs the step under way, no more than back to its own last checkpoint or journal line.
Source: TELL-TALE, arXiv 2510.22767, the table on fine-tuning.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from attention.errors import InputError
from attention.files import RecordKind, RunDirectory, write_table
from attention.training import make_schedule
from tale_jax.commands.evaluate import evaluate
from tale_jax.commands.search import search
from tale_jax.elimination import SearchOptions
from tale_jax.finetuning import finetune
from tale_jax.opening import identify, open_model, read_task
from tale_jax.options import Options, TrainingOptions
from tale_jax.runs import Terminal, layer_list

COLUMNS = (
    "arm dropped layers split correct total accuracy low high search_accuracy seconds "
    "total_seconds whole_time"
).split()
KINDS = {"arm": RecordKind(("arm",), ("arm", "outcome"))}  # of the journal


class Arm(NamedTuple):
    """An arm, the arm whose model it starts from, and what is done to it."""

    name: str
    after: str | None
    step: str  # "search", "finetune" or "nothing"
    folder: str


ARMS = (
    Arm("base", None, "nothing", "base"),
    Arm("TALE", "base", "search", "tale"),
    Arm("FT", "base", "finetune", "ft"),
    Arm("TALE→FT", "TALE", "finetune", "tale-ft"),
    Arm("FT→TALE", "FT", "search", "ft-tale"),
    Arm("(TALE→FT)→TALE", "TALE→FT", "search", "tale-ft-tale"),
)


def arms(
    model: str,
    task: str,
    out: str | Path,
    *,
    epsilon: float | str = "0.08",
    max_drops: int | None = None,
    training: TrainingOptionsOptions = TrainingOptions(),
    resume: bool = False,
    quiet: bool = True,
    **options: Any,
) -> list[dict[str, Any]]:
    """Run the six arms on one model and task, and compare them on the test split.

    Args:
        model: a local folder, a hub id, or ``demo``.
        task: a JSONL file (with ``train``) or a name.
        out: directory to make; each arm's work is a folder in it.
        epsilon: of the searches.
        max_drops: of each search.
        training: of each fine-tuning.
        resume: go on with the arms in ``out``.
        quiet: show nothing.
        options: fields of :class:`tale_jax.options.Options`.

    Returns:
        The rows of ``arms.csv``: layers dropped (of the original model), accuracy on the test split
        (the search split where there is no other) with its Wilson interval, wall-clock seconds of
        the arm's own step and of the whole arm.  ``whole_time`` is false where a kill left only
        the last session's time.

    Raises:
        InputError: no train split, or whatever else can be mended.
    """
    chosen, terminal, out = Options(**options), Terminal(quiet), Path(out)
    make_schedule(training.schedule, training.learning_rate, training.steps or 10**9)
    SearchOptions(epsilon=float(epsilon), max_drops=max_drops)
    loaded = read_task(task, chosen)
    if not loaded.train:
        raise InputError(f"{loaded.name} has no train split; give one by --train")
    opened = open_model(model, chosen)
    settings = identify(opened, chosen) | {
        "task": task,
        "epsilon": str(epsilon),
        "max_drops": max_drops,
        "training": dataclasses.asdict(training),
        "options": chosen.as_json(),
    }
    work = Work(model, task, out, epsilon, max_drops, training, chosen, quiet)
    start = State(None, list(range(opened.config.num_hidden_layers)), [])
    outcomes: dict[str, dict[str, Any]] = {}
    with RunDirectory(out, "tale arms", settings, resume=resume) as run:
        journal = run.journal(KINDS)
        for arm in ARMS:
            record = journal.get("arm", arm.name)
            if record is None:
                terminal.message(f"{arm.name} …")
                before = start if arm.after is None else State(*outcomes[arm.after]["state"])
                record = journal.append("arm", arm=arm.name, outcome=work.do(arm, before))
            outcomes[arm.name] = record["outcome"]
    rows = [_row(arm, outcomes, start.kept) for arm in ARMS]
    write_table(out / "arms.csv", rows, COLUMNS)
    terminal.table(
        f"{model} on {task}: accuracy on the {rows[0]['split']} split",
        ["arm", "layers dropped", "accuracy", "step", "whole arm"],
        [_line(row) for row in rows],
    )
    terminal.message(f"written: {out / 'arms.csv'}")
    return rows


class State(NamedTuple):
    """A model on its way: an arm's checkpoint, its layers in the original's numbers, its drops."""

    checkpoint: str | None  # folder of the arm that trained it; None: the original model
    kept: list[int]
    pending: list[int]  # layers of the checkpoint to leave out


@dataclasses.dataclass(frozen=True)
class Work:
    """The steps of the arms, each resumed if its folder is there."""

    model: str
    task: str
    out: Path
    epsilon: float | str
    max_drops: int | None
    training: TrainingOptions
    options: Options
    quiet: bool

    def do(self, arm: Arm, before: State) -> dict[str, Any]:
        """The model that an arm ends with, its accuracy, and how long its own step took."""
        whole_time = not (self.out / arm.folder).exists()
        start = time.monotonic()
        given: dict[str, Any] = dataclasses.asdict(self.options)
        checkpoint, kept, pending = before
        path = self._path(checkpoint)
        if arm.step == "search":
            best = search(
                path,
                self.task,
                self.out / arm.folder,
                epsilon=self.epsilon,
                max_drops=self.max_drops,
                resume=True,
                quiet=self.quiet,
                **given,
            )["best"]
            after = State(checkpoint, kept, best["dropped"])
            found = {"search": best, "test": best["test"]}
        else:
            after = before
            if arm.step == "finetune":
                finetune(
                    path,
                    self.task,
                    self.out / arm.folder,
                    drop=pending,
                    training=self.training,
                    resume=True,
                    quiet=self.quiet,
                    **given,
                )
                left = [layer for i, layer in enumerate(kept) if i not in pending]
                after = State(arm.folder, left, [])
            found = evaluate(self._path(after.checkpoint), self.task, **given)
        seconds = round(time.monotonic() - start, 1)
        measured = {split: found[split] for split in ("search", "test")}
        return {"state": list(after), **measured, "seconds": seconds, "whole_time": whole_time}

    def _path(self, checkpoint: str | None) -> str:
        return self.model if checkpoint is None else str(self.out / checkpoint / "model")


def _row(arm: Arm, outcomes: dict[str, dict[str, Any]], every: Sequence[int]) -> dict[str, Any]:
    """A row of ``arms.csv``; an arm's whole time has the steps in it that it builds on."""
    outcome = outcomes[arm.name]
    state = State(*outcome["state"])
    left = [layer for i, layer in enumerate(state.kept) if i not in state.pending]
    split = "search" if outcome["test"] is None else "test"
    chain = [outcome]
    after = arm.after
    while after is not None:
        chain.append(outcomes[after])
        after = next(other.after for other in ARMS if other.name == after)
    names = ("correct", "total", "accuracy", "low", "high")
    return {
        "arm": arm.name,
        "dropped": [layer for layer in every if layer not in left],
        "layers": len(left),
        "split": split,
        **{name: outcome[split][name] for name in names},
        "search_accuracy": outcome["search"]["accuracy"],
        "seconds": outcome["seconds"],
        "total_seconds": round(sum(step["seconds"] for step in chain[:-1] or chain), 1),
        "whole_time": all(step["whole_time"] for step in chain),
    }


def _line(row: dict[str, Any]) -> list[str]:
    more = "" if row["whole_time"] else "≥ "
    return [
        row["arm"],
        layer_list(row["dropped"]),
        f"{100 * row['accuracy']:.1f} [{100 * row['low']:.1f}, {100 * row['high']:.1f}]",
        f"{more}{row['seconds']:.0f} s",
        f"{more}{row['total_seconds']:.0f} s",
    ]
