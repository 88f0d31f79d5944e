"""Cards of the models that come along: how long each was trained, and how well it does."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from attention.files import Record
from attention.training import read_metrics
from icl.evaluation import evaluate, model_predictor
from icl.papers.published import TABLES, beside_published
from icl.tasks import Sampling
from icl.training import Trained, load

PUBLISHED_STEPS = 500_000
SPREAD = 0.21  # by which two runs of the paper's authors differ at most
DIGIT = 0.05  # half the last digit of the paper's table 2
LINES = 20  # of metrics whose mean is the loss


def card_of(name: str, run: Path, steps: int, sweep: str = "") -> tuple[Trained, Record]:
    """The model of a run, and what its card says.

    Args:
        name: ``linear-ROW-seedN`` or ``linear-ROW-quick-seedN``, with a row of the paper's table 2
            or 3; any other name if there is a sweep.
        run: the directory.
        steps: of the training.
        sweep: ``NAME=VALUES`` of the test; empty for the published test.

    Returns:
        The card has the steps, the recipe, the loss of the last metrics, ``scores`` and a
        ``headline``.  On the published test it has the paper's errors beside ours, ``b_eff``, and
        ``near``: the σ where ours are at most 21 % above, the spread of the authors' own runs.

    Raises:
        InputError: there is no run.
    """
    model = load(run)
    lines = read_metrics(run)[-LINES:]
    given = model.experiment
    card: Record = {
        "name": name,
        "steps": steps,
        "published_steps": PUBLISHED_STEPS,
        "recipe": f"Adam at {given.learning_rate:g}, {given.batch} prompts a step",
        "loss": float(np.mean([float(line["loss"]) for line in lines])),
    }
    found = _on_sweep(sweep, model) if sweep else _on_published(name, model)
    return model, {**card, **found}


def _on_published(name: str, model: Trained) -> Record:
    """Errors on the test of the table that has the model, beside the paper's."""
    row = name.removeprefix("linear-").rpartition("-")[0].removesuffix("-quick")
    table = next(table for table in (TABLES[2], TABLES[3]) if row in table.rows)
    scored, _ = evaluate(model.task, table.cases(), {row: model_predictor(model)})
    rows, _ = beside_published(scored, {row: row}, table)
    columns = ("sigma", "error", "published")
    ours, theirs = ([f"{rows[i][column]:.3g}" for i in (0, 2, 9)] for column in columns[1:])
    return {
        "scores": [{column: each[column] for column in columns} for each in rows],
        "b_eff": rows[0]["b_eff"],
        "near": [r["sigma"] for r in rows if r["error"] <= (1 + SPREAD) * r["published"] + DIGIT],
        "headline": f"error {', '.join(ours)} at σ = 1, 3, 10 (paper: {', '.join(theirs)})",
    }


def _on_sweep(sweep: str, model: Trained) -> Record:
    """The scores of a sweep."""
    task, axis, column = model.task, sweep.partition("=")[0], model.task.measure.headline
    cases = [task.draw(setting, Sampling()) for setting in task.settings([sweep])]
    rows, _ = evaluate(task, cases, {"model": model_predictor(model)})
    told = ", ".join(f"{row[axis]}: {row[column]:.3g}" for row in rows)
    return {
        "scores": [{key: row[key] for key in (axis, column)} for row in rows],
        "headline": f"{column.replace('_', ' ')} by {axis} {told}",
    }
