"""Several finished searches on one page: which layers go, by task and by model."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from attention.files import BLUE, INK, ORANGE, Record, figure_to_svg, render_page
from tale_jax.runs.finished import FinishedRun
from tale_jax.runs.verdicts import interval, layer_list, p_text
from tale_jax.units import halves_of

OVERVIEW_COLUMNS = (
    "model task num_layers pick dropped search_accuracy test_accuracy test_low test_high "
    "test_change p_value".split()
)
SHOWN = {"best": "BEST", "bsba": "BSBA"}


def overview_rows(searches: Sequence[FinishedRun]) -> list[Record]:
    """A row for BEST and for BSBA of each search, with the keys of ``OVERVIEW_COLUMNS``."""
    rows = []
    for run in searches:
        base = run.summary["baseline"]
        for pick, label in SHOWN.items():
            found, test = run.summary[pick], run.summary[pick]["test"]
            row = {
                "model": run.settings["model"],
                "task": run.settings["task"],
                "num_layers": run.summary["num_layers"],
                "pick": label,
                "dropped": found["dropped"],
                "search_accuracy": found["accuracy"],
            }
            if test is not None:
                row |= {
                    "test_accuracy": test["accuracy"],
                    "test_low": test["low"],
                    "test_high": test["high"],
                    "test_change": test["accuracy"] - base["test"]["accuracy"],
                    "p_value": test["p_value"],
                }
            rows.append(row)
    return rows


def overview_figure(searches: Sequence[FinishedRun]) -> Figure:
    """Which layers go: a line for each search, a column for each layer."""
    depth = max(run.summary["num_layers"] for run in searches)
    went = np.full((len(searches), depth), np.nan)
    figure = Figure(figsize=(8, 1.6 + 0.34 * len(searches)), layout="constrained")
    axes = figure.subplots()
    for line, run in enumerate(searches):
        went[line, : run.summary["num_layers"]] = 0
        for pick, mark in (("bsba", 1), ("best", 2)):
            for unit in run.dropped(pick):
                for layer, _ in halves_of(unit):
                    went[line, layer] = max(went[line, layer], mark)
        for order, step in enumerate(run.trajectory, 1):
            layer = halves_of(step["layer"])[0][0]
            if went[line, layer] > 0 and step["layer"] in step["dropped"]:
                axes.text(layer, line, str(order), ha="center", va="center", fontsize=7, color=INK)
    colours = ListedColormap([(0.5, 0.5, 0.5, 0.12), BLUE, ORANGE])
    axes.imshow(went, cmap=colours, vmin=0, vmax=2, aspect="auto", interpolation="none")
    several = len({run.settings["model"] for run in searches}) > 1
    names = [
        f"{run.settings['task']}" + f" · {_short(run.settings['model'])}" * several
        for run in searches
    ]
    axes.set_yticks(range(len(searches)), names)
    axes.hlines(np.arange(1, len(searches)) - 0.5, -0.5, depth - 0.5, color="white", linewidth=3)
    axes.set_xlabel("layer")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.spines[:].set_visible(False)
    axes.set_title("orange: BEST goes without it; blue: BSBA does; numbers: the order", fontsize=9)
    return figure


def render_overview(searches: Sequence[FinishedRun], more: Sequence[tuple[str, str, str]]) -> str:
    """Render the page as HTML.

    Args:
        searches: finished ones.
        more: further sections: a heading, a figure as SVG, and a note below it.
    """
    lines = []
    for row in overview_rows(searches):
        held_out = ["no held-out data", "", ""]
        if "test_accuracy" in row:
            test = {name: row[f"test_{name}"] for name in ("accuracy", "low", "high")}
            held_out = [interval(test), f"{100 * row['test_change']:+.1f}", p_text(row["p_value"])]
        named = [row["model"], row["task"], row["pick"], layer_list(row["dropped"])]
        lines.append(named + held_out)
    return render_page(
        "tale_jax.runs",
        "overview.html",
        lines=lines,
        figure=figure_to_svg(partial(overview_figure, searches), "Dropped layers by task"),
        frequent=_frequent(searches),
        more=more,
    )


def _frequent(searches: Sequence[FinishedRun]) -> list[tuple[str, str]]:
    """Of each model searched for several tasks, the layers that BEST drops for most of them."""
    models = dict.fromkeys(run.settings["model"] for run in searches)
    found = []
    for model in models:
        own = [run for run in searches if run.settings["model"] == model]
        counts: dict[object, int] = {}
        for run in own:
            for unit in run.dropped("best"):
                counts[unit] = counts.get(unit, 0) + 1
        ranked = sorted(counts.items(), key=lambda item: -item[1])[:8]
        listed = ", ".join(f"{unit} ({count} of {len(own)})" for unit, count in ranked)
        if len(own) > 1:
            found.append((model, listed or "none"))
    return found


def _short(model: str) -> str:
    return model.rstrip("/").rpartition("/")[2].removeprefix("package:")
