"""Figures of a probing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from attention.files import BLUE, CYCLE, FAINT, GREY, ORANGE, PURPLE, VERMILION
from attention.language.probing.measured import by, macro_mean

Rows = Sequence[Mapping[str, Any]]
FLOOR_MARKS = {"unigram": ("v", ORANGE), "bigram": ("s", PURPLE), "trigram": ("D", VERMILION)}


def draw_phenomena(task: str, paradigms: Rows, floors: Rows) -> Figure:
    """Accuracy by phenomenon with 95 % intervals, beside chance and the floors.

    Args:
        task: name of the task.
        paradigms: rows of ``paradigms.csv`` of that task.
        floors: rows of ``floors.csv`` of that task.
    """
    groups = by(paradigms, "phenomenon")
    means = {name: macro_mean(rows) for name, rows in groups.items()}
    means = {"all": macro_mean(paradigms)} | means
    names = list(means)[::-1]
    figure = Figure(figsize=(7, 1.6 + 0.3 * len(names)), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(names))
    for place, name in zip(places, names, strict=True):
        row = {key: 100 * value for key, value in means[name].items()}
        axes.plot([row["low"], row["high"]], [place, place], color=BLUE, linewidth=2)
        axes.plot(row["chance"], place, "|", color=GREY, markersize=12)
    accuracy = [100 * means[name]["accuracy"] for name in names]
    axes.plot(accuracy, places, "o", color=BLUE, label="model")
    for number, (floor, rows) in enumerate(by(floors, "floor").items()):
        mark, color = FLOOR_MARKS.get(floor, ("x", CYCLE[number % len(CYCLE)]))
        mine = {"all": macro_mean(rows)}
        mine |= {name: macro_mean(each) for name, each in by(rows, "phenomenon").items()}
        values = [100 * mine[name]["accuracy"] for name in names]
        axes.plot(values, places, mark, color=color, markersize=5, fillstyle="none", label=floor)
    axes.plot([], [], "|", color=GREY, markersize=12, linestyle="none", label="chance")
    axes.set_yticks(places, [name.replace("_", " ") for name in names])
    axes.set_xlabel(f"{task}: accuracy (%), 95 % intervals")
    axes.set_xlim(-2, 102)
    axes.grid(axis="x", color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    figure.legend(loc="outside upper center", ncols=5)
    return figure


def draw_layers(rows: Rows) -> Figure:
    """Accuracy of each probe against the layer, with its control and its floors.

    Args:
        rows: of ``layers.csv``.
    """
    groups = by(rows, "task")
    columns = min(3, len(groups))
    lines = -(-len(groups) // columns)
    figure = Figure(figsize=(7.2, 0.7 + 2.2 * lines), layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False, sharex=True).ravel()
    for axes in panels[len(groups) :]:
        axes.set_visible(False)
    for axes, (label, mine) in zip(panels, groups.items(), strict=False):
        layers = [row["layer"] for row in mine]
        low, high = ([100 * row[end] for row in mine] for end in ("low", "high"))
        axes.fill_between(layers, low, high, color=BLUE, alpha=0.15, linewidth=0)
        lines_of = {
            "accuracy": ("model", BLUE, "-"),
            "untrained": ("untrained model", ORANGE, "--"),
            "control": ("control task", VERMILION, ":"),
            "majority": ("most frequent label", GREY, "-."),
        }
        for column, (name, color, style) in lines_of.items():
            values = [100 * row[column] for row in mine]
            axes.plot(layers, values, style, color=color, label=name, marker=".", markersize=4)
        axes.set_title(label, fontsize=10)
        axes.grid(axis="y", color=FAINT, linewidth=0.6)
    for axes in panels[::columns]:
        axes.set_ylabel("accuracy (%)")
    for axes in panels[max(0, len(groups) - columns) : len(groups)]:
        axes.set_xlabel("layer (0: embedding)")
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=4)
    return figure
