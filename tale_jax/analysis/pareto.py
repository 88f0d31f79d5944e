"""The models of a search between which accuracy and latency leave a choice, each held out."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from attention.files import BLUE, FAINT, VERMILION, Record
from tale_jax.analysis.latency import measure_models
from tale_jax.analysis.trade_off import pareto_front
from tale_jax.models import LoadedModel
from tale_jax.options import Workload
from tale_jax.runs import FinishedRun, Run, layer_list, measure_answers
from tale_jax.scoring import JointScorer, Scorer
from tale_jax.units import Dropped, count_layers

PARETO_COLUMNS = (
    "task dropped layers search_accuracy split accuracy low high p_value latency_ratio "
    "total_ms".split()
)


def measure_front(
    table: Run,
    run: FinishedRun,
    model: LoadedModel,
    scorer: Scorer | JointScorer,
    work: Workload,
    most: int,
) -> list[Record]:
    """Score the Pareto front of a search on held-out examples, and time it.

    Args:
        table: keeps the answers.
        run: the search.
        model: that was searched.
        scorer: of its task.
        work: what is written while it is timed.
        most: points; of more the ends and some between are taken.

    Returns:
        A row for each point, the baseline among them, the deepest model first, with the keys of
        ``PARETO_COLUMNS``.  Times are those of the whole answer, with a cache, as ratios to the
        baseline's.
    """
    front = pareto_front(run)
    if len(front) > most:
        front = [front[round(i * (len(front) - 1) / (most - 1))] for i in range(most)]
    if front[-1]["dropped"] != list(run.dropped("baseline")):  # shown even if others beat it
        start = run.summary["baseline"]
        front.append({"dropped": start["dropped"], "accuracy": start["accuracy"]})
    split = "test" if "test" in scorer.examples else "search"
    base, task = run.dropped("baseline"), str(run.settings["task"])

    def right(dropped: Dropped) -> list[bool]:
        ask = functools.partial(scorer.answers, split, dropped)
        return [answer.correct for answer in table.evaluate(f"{task}: {split}", dropped, ask)]

    reference = right(base)
    drops = [tuple(point["dropped"]) for point in front]
    timed = measure_models(model, [base, *drops], work)[1:]
    rows = []
    for point, dropped, times in zip(front, drops, timed, strict=True):
        measured = measure_answers(right(dropped), reference, scorer.strata(split))
        rows.append(
            {
                "task": task,
                "dropped": dropped,
                "layers": run.summary["num_layers"] - count_layers(dropped),
                "search_accuracy": point["accuracy"],
                "split": split,
                **{name: measured[name] for name in ("accuracy", "low", "high", "p_value")},
                "latency_ratio": times["total_ratio"],
                "total_ms": times["total_ms"],
            }
        )
    return rows


def pareto_figure(rows: Sequence[Record]) -> Figure:
    """Accuracy against latency: held out with intervals, and where the search chose."""
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    figure = Figure(figsize=(8, 3.4 * len(tasks) + 0.5), layout="constrained")
    grid = figure.subplots(len(tasks), squeeze=False)[:, 0]
    for axes, task in zip(grid, tasks, strict=True):
        own = [row for row in rows if row["task"] == task]
        times = [row["latency_ratio"] for row in own]
        middle = [100 * row["accuracy"] for row in own]
        reach = [
            [max(0.0, 100 * (row["accuracy"] - row["low"])) for row in own],
            [max(0.0, 100 * (row["high"] - row["accuracy"])) for row in own],
        ]
        axes.plot(
            times, [100 * row["search_accuracy"] for row in own], "o--", color=BLUE,
            markerfacecolor="none", linewidth=1, label="search examples, which chose",
        )  # fmt: skip
        axes.errorbar(
            times, middle, yerr=reach, fmt="s", color=VERMILION, capsize=3, linewidth=1,
            label=f"{own[0]['split']} examples, 95 % interval",
        )  # fmt: skip
        for row, x, y in zip(own, times, middle, strict=True):
            place: Any = {"xytext": (5, 5), "textcoords": "offset points", "fontsize": 8}
            axes.annotate(f"{row['layers']:g}", (x, y), **place)
        axes.set_title(f"{task} (numbers: layers left)", fontsize=10)
        axes.set_ylabel("accuracy (%)")
        axes.grid(axis="y", color=FAINT, linewidth=0.8)
    grid[-1].set_xlabel("time of an answer, as a share of the baseline's")
    grid[0].legend(fontsize=8)
    return figure


def pareto_line(row: Record) -> list[str]:
    """A line of the table on the terminal."""
    accuracy = f"{100 * row['accuracy']:.1f} [{100 * row['low']:.1f}, {100 * row['high']:.1f}]"
    search = f"{100 * row['search_accuracy']:.1f}"
    rest = [f"{row['p_value']:.2g}", f"{row['latency_ratio']:.2f}"]
    return [row["task"], layer_list(row["dropped"]), search, accuracy, *rest]
