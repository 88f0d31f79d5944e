"""The figure that fits a sweep: curves along one axis, or a heat map over two."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from attention.files import GREY
from icl.tasks import Measure, Row, Task, shown

Rows = Sequence[Row]
MAPS_ACROSS = 4  # then another row of them
LEAST = 1e-6  # that a logarithmic axis shows
Draw = Callable[[], Figure]


def draw(task: Task, rows: Rows, positions: Rows) -> tuple[Draw | None, str]:
    """Choose the figure of an evaluation.

    If nothing varies, the figure shows the error by position.  If one axis varies, it has a curve
    for each predictor.  If several vary, a curve runs along the axis with most values, and there is
    one for each predictor and value of the other axes.  A task whose measure is relative has a heat
    map over two axes of numbers instead, and no figure for more than two.

    Args:
        task: its ``measure`` is shown.
        rows: of ``errors.csv``.
        positions: of ``positions.csv``.

    Returns:
        A function that draws the figure, and an empty line; or None, and a line that says why.
    """
    measure = task.measure
    columns = list(positions[0])[1:-2]  # between the predictor, and position and error
    values = {name: {row.get(name) for row in rows} for name in columns}
    varying = [name for name in columns if len(values[name]) > 1]
    numbers = [name for name in varying if name in task.axes and not task.axes[name].words]
    if not varying:
        by_position = dataclasses.replace(measure, column="error", label="error", floor="")
        return lambda: curves(positions, "position", by_position), ""
    if measure.relative and len(varying) > 2:
        return None, f"no picture: {', '.join(varying)} vary, and a picture has two axes"
    if measure.relative and len(numbers) == 2:
        return lambda: heat_map(rows, numbers[0], numbers[1], measure), ""
    across = max(numbers if measure.relative and numbers else varying, key=lambda n: len(values[n]))
    others = [name for name in varying if name != across]
    named = [
        {**row, "predictor": ", ".join([row["predictor"], *(str(row[name]) for name in others)])}
        for row in rows
    ]
    if f"after_{across}" in rows[0]:  # a model that answers a deviant wrongly may be right after it
        after = f"{measure.label} after {across}"
        measure = dataclasses.replace(measure, column=f"after_{across}", label=after)
    return lambda: curves(named, across, measure), ""


def heat_map(rows: Rows, down: str, across: str, measure: Measure) -> Figure:
    """Draw a map for each predictor: the measure over two axes, in logarithmic colours."""
    names = list(dict.fromkeys(row["predictor"] for row in rows))
    ys, xs = (list(dict.fromkeys(row[axis] for row in rows)) for axis in (down, across))
    columns = min(len(names), MAPS_ACROSS)
    tall = max(1.2, min(3.6, 0.5 * len(ys) + 0.8))
    lines = -(-len(names) // columns)
    figure = Figure(figsize=(3.6 * columns, tall * lines), layout="constrained")
    axes = list(figure.subplots(lines, columns, squeeze=False).flat)
    image: Any = None
    for i, (ax, name) in enumerate(zip(axes, names, strict=False)):
        table = np.full((len(ys), len(xs)), np.nan)
        for row in rows:
            if row["predictor"] == name:
                place = ys.index(row[down]), xs.index(row[across])
                table[place] = max(row[measure.relative], 1e-4)
        image = ax.imshow(
            table, norm=LogNorm(1e-3, 2), origin="lower", aspect="auto", cmap="viridis"
        )
        first, last = i % columns == 0, i + columns >= len(names)
        ax.spines[:].set_visible(True)
        ax.set(title=name, xlabel=across if last else "", ylabel=down if first else "")
        ax.set_xticks(range(len(xs)), [shown(x) for x in xs])
        ax.set_yticks(range(len(ys)), [shown(y) if first else "" for y in ys])
    for ax in axes[len(names) :]:
        ax.set_visible(False)
    figure.colorbar(image, ax=axes, label="error / error of zero", extend="both")
    return figure


def curves(rows: Rows, across: str, measure: Measure) -> Figure:
    """Draw a measure of each predictor along one axis, with intervals and a constant answer."""
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    ax = figure.subplots()
    least = LEAST if measure.error else -np.inf
    for name in dict.fromkeys(row["predictor"] for row in rows):
        mine = [row for row in rows if row["predictor"] == name]
        xs, ys = [row[across] for row in mine], [max(row[measure.column], least) for row in mine]
        words = isinstance(xs[0], str)  # these stand side by side, numbers where they are
        (line,) = ax.plot(range(len(xs)) if words else xs, ys, "o-", label=name)
        if words:
            ax.set_xticks(range(len(xs)), xs, rotation=20)
        elif len(xs) <= 10:
            ax.set_xticks(xs, [shown(x) for x in xs])
        if "low" in mine[0]:
            low, high = ([max(row[end], least) for row in mine] for end in ("low", "high"))
            ax.fill_between(line.get_xdata(), low, high, color=line.get_color(), alpha=0.2)
    ax.set(xlabel=across, ylabel=measure.label)
    if measure.error:
        ax.set_yscale("log")
    if measure.floor:
        floor = max(row[f"{measure.floor}{measure.column}"] for row in rows)
        ax.axhline(floor, ls=":", color=GREY, label="a constant answer")
        ax.set_ylim(min(0.45, *(row[measure.column] for row in rows)) - 0.02, 1.02)
    ax.legend(fontsize=8)
    return figure
