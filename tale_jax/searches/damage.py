"""What a model loses besides its task: the perplexity of a text, and tasks nobody searched."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Mapping
from pathlib import Path

from attention.files import Record
from attention.likelihood import Row
from attention.terminal import Terminal
from tale_jax import criteria, elimination, opening, runs
from tale_jax.models import LoadedModel
from tale_jax.options import Options
from tale_jax.runs import Run
from tale_jax.tasks import Task
from tale_jax.units import Dropped

GENERAL = Path(__file__).parents[1] / "assets" / "general.txt"
"""A page of plain English that was written for this project."""


@dataclasses.dataclass(frozen=True)
class DamageCheck:
    """What is measured of the picks besides the searched task.

    Attributes:
        text: its rows, in which every token but the first is a target.
        source: the name of the text.
        tasks: that no layer was chosen by.
        options: how the tasks are asked.
    """

    text: list[Row]
    source: str
    tasks: Mapping[str, Task]
    options: Options


def open_check(
    model: LoadedModel, file: Path | None, untouched: tuple[str, ...], options: Options
) -> DamageCheck:
    """Read the text and the tasks.

    Args:
        model: that is searched.
        file: a text; None: the page that comes with the package.
        untouched: names of tasks.
        options: of the search; files that it names for its task are not of these.

    Raises:
        InputError: the text or a task cannot be read.
    """
    own = dataclasses.replace(options, test=None, train=None, holdout=None, choices=None, draw=None)
    tasks = {name: opening.read_task(name, own) for name in untouched}
    rows = criteria.calibration_rows(model, (), file or GENERAL)
    return DamageCheck(rows, "general" if file is None else str(file), tasks, own)


def measure_damage(
    run: Run,
    model: LoadedModel,
    found: elimination.Result,
    check: DamageCheck,
    terminal: Terminal,
) -> Record:
    """Measure the picks of a search on the text and on the untouched tasks.

    Args:
        run: its directory, whose journal keeps what is measured.
        model: that was searched.
        found: the result of the search.
        check: what is measured.
        terminal: shows notes.

    Returns:
        ``text``: ``source``, ``tokens``, and by pick ``loss`` (nats a token) and ``perplexity``.
        ``untouched``: by task, ``split``, and by pick the accuracy, with ``p_value`` against the
        baseline.
    """
    picks: dict[str, Dropped] = {name: getattr(found, name).dropped for name in runs.PICKS}
    tokens = sum(len(row.targets) for row in check.text)
    digest = hashlib.blake2b(str([row.tokens for row in check.text]).encode(), digest_size=4)
    losses = criteria.row_losses(model, check.text, tokens, check.options.batch_tokens)

    def loss_of(dropped: Dropped) -> Record:
        loss = next(iter(losses([dropped])))
        return {"loss": loss if math.isfinite(loss) else None}

    text: Record = {"source": check.source, "tokens": tokens}
    for name, dropped in picks.items():
        loss = run.damage(f"text {digest.hexdigest()}", dropped, lambda d=dropped: loss_of(d))[
            "loss"
        ]
        text[name] = {"loss": loss, "perplexity": None if loss is None else math.exp(min(loss, 99))}
    untouched = {
        name: _on_task(run, model, picks, name, task, check.options, terminal)
        for name, task in check.tasks.items()
    }
    return {"text": text, "untouched": untouched}


def _on_task(
    run: Run,
    model: LoadedModel,
    picks: Mapping[str, Dropped],
    name: str,
    task: Task,
    options: Options,
    terminal: Terminal,
) -> Record:
    """The accuracy of the picks on a task, on its test split if it has one."""
    split = "search" if task.test is None else "test"
    scorer = opening.open_scorer(model, task, options, terminal)
    right = {
        pick: [
            answer.correct
            for answer in run.evaluate(
                f"untouched {name}: {split}", dropped, lambda d=dropped: scorer.answers(split, d)
            )
        ]
        for pick, dropped in picks.items()
    }
    base = right["baseline"]
    measured = {
        pick: runs.measure_answers(verdicts, None if pick == "baseline" else base)
        for pick, verdicts in right.items()
    }
    return {"split": split, **measured}
