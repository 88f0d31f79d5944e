"""Compares criteria at equal depth: the accuracy along the path of layers that each drops."""

from __future__ import annotations

import functools
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from attention.files import CYCLE, GREY
from attention.statistics import mcnemar_p_value
from tale_jax.runs import Run, measure
from tale_jax.scoring import Scorer
from tale_jax.units import Dropped, Unit, add

COMPARISON_COLUMNS = (
    "criterion draw depth layer dropped split correct total accuracy low high p_value".split()
)


def follow_criterion(
    run: Run,
    scorer: Scorer,
    split: str,
    depth: int,
    propose: Callable[[Dropped], Sequence[Unit]],
) -> list[dict[str, Any]]:
    """Drop one unit after another, and measure every model on the way.

    Args:
        run: keeps the answers.
        scorer: the model, ready to be scored on the task.
        split: one that it has.
        depth: how many units are dropped.
        propose: gives the unit to drop after those that are dropped.

    Returns:
        For each depth from 0 on ``depth``, ``layer`` (the last one dropped), ``dropped``,
        ``split``, ``correct, total, accuracy, low, high``, and ``answers``: which are right.
    """
    dropped: Dropped = ()
    layer: Unit | None = None
    rows = []
    for step in range(depth + 1):
        if step:
            [layer] = propose(dropped)
            dropped = add(dropped, layer)
        answers = run.evaluate(split, dropped, functools.partial(scorer.answers, split, dropped))
        right = [answer.correct for answer in answers]
        row = {"depth": step, "layer": layer, "dropped": dropped, "split": split}
        rows.append(row | measure(sum(right), len(right)) | {"answers": right})
    return rows


def add_p_values(rows: Sequence[dict[str, Any]]) -> None:
    """Test each row against the first one of its depth, in place of its ``answers``.

    ``p_value`` is that of the exact McNemar test.
    """
    first: dict[int, Any] = {}
    for row in rows:
        right = row.pop("answers")
        row["p_value"] = mcnemar_p_value(first.setdefault(row["depth"], right), right)


def comparison_figure(rows: Sequence[Mapping[str, Any]], title: str) -> Figure:
    """Draw accuracy in per cent against the number of dropped layers, with a line a criterion.

    A criterion that was drawn several times has its mean and its range, the others have 95 %
    intervals.

    Args:
        rows: of the comparison.
        title: of the figure.
    """
    figure = Figure(figsize=(7.2, 4), layout="constrained")
    axes = figure.subplots()
    names = list(dict.fromkeys(row["criterion"] for row in rows))
    depths = list(range(max(row["depth"] for row in rows) + 1))
    for number, name in enumerate(names):
        mine = [row for row in rows if row["criterion"] == name]
        at = [[100 * row["accuracy"] for row in mine if row["depth"] == d] for d in depths]
        draws = len(at[0])
        color = CYCLE[number % len(CYCLE)] if draws == 1 else GREY
        middle = [statistics.fmean(accuracies) for accuracies in at]
        if draws > 1:
            low, high = list(map(min, at)), list(map(max, at))
            axes.fill_between(depths, low, high, color=color, alpha=0.2, linewidth=0)
            label = f"{name} (mean and range of {draws})"
            axes.plot(depths, middle, color=color, label=label)
            continue
        spans = [
            [abs(100 * row[end] - m) for row, m in zip(mine, middle, strict=True)]
            for end in ("low", "high")
        ]
        shift = 0.04 * (number - len(names) / 2)  # intervals that would hide one another
        axes.errorbar(
            [d + shift for d in depths], middle, yerr=spans, color=color, marker="o",
            markersize=4, linewidth=1.6, elinewidth=0.8, label=name,
        )  # fmt: skip
    axes.set_xlabel("layers dropped")
    axes.set_ylabel("accuracy (%), 95 % intervals")
    axes.set_title(title, loc="left", fontsize=10)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y", alpha=0.25)
    figure.legend(loc="outside right upper")
    return figure
