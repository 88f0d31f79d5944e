"""Scores the layers found on each task on every other task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from attention.errors import InputError
from tale_jax.runs import FinishedRun, Run, measure_answers
from tale_jax.scoring import JointScorer, Scorer
from tale_jax.units import Dropped

FULL = "full model"
TRANSFER_COLUMNS = (
    "found_on dropped scored_on split correct total accuracy low high change p_value".split()
)
Row = dict[str, Any]


def drops_by_task(runs: Sequence[FinishedRun], pick: str) -> dict[str, Dropped]:
    """What is dropped for each task, the full model first.

    Raises:
        InputError: there are fewer than two searches, they are of several models, or two are on
            one task.
    """
    if len(runs) < 2:
        raise InputError("a transfer table takes at least two runs: give --run again")
    if len({run.settings.get("fingerprint") for run in runs}) > 1:
        raise InputError("the runs searched different models; transfer is between tasks of one")
    drops = {str(run.settings["task"]): run.dropped(pick) for run in runs}
    if len(drops) < len(runs):
        raise InputError("two of the runs are of one task; give each task once")
    return {FULL: (), **drops}


def score_drops(
    table: Run, task: str, scorer: Scorer | JointScorer, drops: Mapping[str, Dropped]
) -> Iterator[Row]:
    """Score one task without the layers found on each.

    Args:
        table: keeps the answers.
        task: its name.
        scorer: the model, ready to be scored on it.
        drops: what is dropped for each task, the full model first.

    Yields:
        The accuracy on the test split (the search split where there is no other) with its Wilson
        interval, the change against the full model, and the p-value of the exact McNemar test.
        Of a joint search all are those of the objective.
    """
    split = "test" if "test" in scorer.examples else "search"
    full: list[bool] = []
    for source, dropped in drops.items():
        answers = table.evaluate(
            f"{task}: {split}", dropped, lambda dropped=dropped: scorer.answers(split, dropped)
        )
        right = [answer.correct for answer in answers]
        full = full or right
        strata = scorer.strata(split)
        measured = measure_answers(right, full, strata)
        measured.pop("tasks", None)
        yield {
            **{"found_on": source, "dropped": dropped, "scored_on": task, "split": split},
            **measured,
            "change": measured["accuracy"] - measure_answers(full, None, strata)["accuracy"],
        }


def transfer_figure(rows: Sequence[Row]) -> Figure:
    """Points above or below the full model: task of the layers by task that is scored."""
    sources = list(dict.fromkeys(row["found_on"] for row in rows))
    tasks = list(dict.fromkeys(row["scored_on"] for row in rows))
    points = np.zeros((len(sources), len(tasks)))
    for row in rows:
        place = sources.index(row["found_on"]), tasks.index(row["scored_on"])
        points[place] = 100 * row["change"]
    size = (max(5.6, 2.6 + 1.1 * len(tasks)), 2 + 0.55 * len(sources))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    reach = max(5.0, float(np.percentile(np.abs(points), 90)))
    axes.imshow(points, cmap="RdBu", norm=Normalize(-reach, reach), aspect="auto")
    for row in rows:
        y, x = sources.index(row["found_on"]), tasks.index(row["scored_on"])
        spread = 50 * (row["high"] - row["low"])
        text = f"{100 * row['accuracy']:.1f} ± {spread:.1f}"
        dark = abs(points[y, x]) > 0.6 * reach
        weight = "bold" if row["p_value"] < 0.05 else "normal"
        axes.text(x, y, text, ha="center", va="center", fontsize=8, fontweight=weight,
                  color="white" if dark else "black")  # fmt: skip
    axes.set_xticks(range(len(tasks)), tasks, rotation=20, ha="right")
    axes.set_yticks(range(len(sources)), sources)
    axes.set_xlabel("accuracy (%) on")
    axes.set_ylabel("layers found on")
    axes.spines[:].set_visible(False)
    figure.suptitle(
        "blue: above the full model, red: below; bold: p < 0.05\n± half the 95 % interval",
        fontsize=9,
    )
    return figure
