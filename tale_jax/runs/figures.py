"""The figures of a search: accuracies, candidates, the null control, information by layer."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from attention.files import BLUE, FAINT, GREEN, INK, ORANGE, PURPLE, VERMILION, Record
from tale_jax.runs.verdicts import LABELS, PICKS
from tale_jax.units import Unit, Units, halves_of

Summary = Record
Rows = Sequence[Record]
HATCH = "#b0b6bd"
CURVES = ("same_states", "cross_validated", "low", "high")


def accuracy_curve(summary: Summary, steps: Rows, candidates: Rows) -> Figure:
    """Accuracy in per cent against the number of dropped layers, with floor, picks and tests."""
    baseline = summary["baseline"]
    start, epsilon = len(baseline["dropped"]), 100 * float(summary["epsilon"])
    depths = [start, *(len(step["dropped"]) for step in steps)]
    accuracies = [100 * step["correct"] / step["total"] for step in (baseline, *steps)]

    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.axhline(accuracies[0], color=INK, linewidth=1, linestyle="--", label="baseline level")
    # the floor that each further drop was held against
    references = accuracies if summary["floor"] == "current" else [accuracies[0]] * len(depths)
    floors = [max(0.0, reference - epsilon) for reference in references]
    edges = [depths[0] - 0.5, *(depth + 0.5 for depth in depths), depths[-1] + 1.5]
    axes.stairs(
        [floors[0], *floors],
        edges,
        baseline=None,
        color=PURPLE,
        linestyle=":",
        linewidth=1.6,
        label="floor",
    )
    axes.plot(depths, accuracies, color=BLUE, marker="o", markersize=4, label="accepted")
    refused = _refused(steps, candidates)
    if refused is not None:
        axes.plot(
            [depths[-1], depths[-1] + 1],
            [accuracies[-1], refused],
            color=BLUE,
            linewidth=0.8,
            linestyle="--",
            marker="o",
            markevery=[1],
            markerfacecolor="none",
            label="best refused",
            scaley=refused > min(floors) - 2 * epsilon,  # a broken model would flatten the rest
        )
    _mark_picks(axes, summary)
    if len(steps) <= 24:
        for depth, accuracy, step in zip(depths[1:], accuracies[1:], steps, strict=True):
            axes.annotate(
                _mark(step["layer"]),
                (depth, accuracy),
                (0, 9),
                textcoords="offset points",
                ha="center",
                fontsize=8,
            )
    axes.set_xlabel("layers dropped" if _whole(summary) else "half-layers dropped")
    axes.set_ylabel("accuracy (%)")
    axes.set_xlim(edges[0], edges[-1])
    axes.margins(y=0.12)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y", color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    figure.legend(loc="outside upper center", ncols=4)
    return figure


def _whole(summary: Summary) -> bool:
    """Whether the search dropped whole layers."""
    return summary.get("granularity", "layer") == "layer"


def _mark(unit: Unit) -> str:
    """A short name, for a figure: 7, 7a (attention) or 7m (MLP)."""
    layer, _, half = str(unit).partition(".")
    return layer + half[:1]


def _refused(steps: Rows, candidates: Rows) -> float | None:
    """Accuracy in per cent of the best candidate of the round that ended below the floor."""
    last = len(steps) + 1
    counts = [c["correct"] / c["total"] for c in candidates if c["iteration"] == last]
    return 100 * max(counts) if counts else None


def _mark_picks(axes: Axes, summary: Summary) -> None:
    """Mark BEST and BSBA on the search examples, and all picks with intervals on the test ones."""
    for name, marker, size, color in (("best", "*", 16, ORANGE), ("bsba", "D", 11, GREEN)):
        pick = summary[name]
        axes.plot(
            [len(pick["dropped"])],
            [100 * pick["accuracy"]],
            linestyle="none",
            marker=marker,
            markersize=size,
            markerfacecolor=color if name == "best" else "none",
            markeredgecolor=color,
            markeredgewidth=1.5,
            label=LABELS[name],
        )
    held_out = {
        len(summary[name]["dropped"]): summary[name]["test"]
        for name in PICKS
        if summary[name]["test"] is not None
    }
    if held_out:
        tests = list(held_out.values())
        middle = np.array([test["accuracy"] for test in tests])
        low, high = (np.array([test[end] for test in tests]) for end in ("low", "high"))
        axes.errorbar(
            np.array(list(held_out)) + 0.15,
            100 * middle,
            yerr=100 * np.clip([middle - low, high - middle], 0, None),
            color=VERMILION,
            linestyle="none",
            marker="s",
            markersize=5,
            capsize=3,
            linewidth=1,
            label="test, 95 % interval",
        )


def candidate_map(summary: Summary, steps: Rows, candidates: Rows) -> Figure:
    """Accuracy of every candidate, layer by iteration, in points above or below the baseline."""
    iterations = max(candidate["iteration"] for candidate in candidates)
    layers, granularity = summary["num_layers"], summary.get("granularity", "layer")
    every = Units(layers, granularity).every
    points = np.full((iterations, len(every)), np.nan)
    rejected = [c for c in candidates if c.get("bound")]
    for candidate in candidates:
        if candidate.get("bound"):
            continue  # how good it is was not measured: it has no colour
        accuracy = candidate["correct"] / candidate["total"]
        difference = 100 * (accuracy - summary["baseline"]["accuracy"])
        place = candidate["iteration"] - 1, every.index(candidate["layer"])
        points[place] = np.fmax(points[place], difference)  # of a beam the best with that layer

    rows, columns = points.shape
    figure = Figure(figsize=(8, 1.9 + min(0.22 * rows, 6)), layout="constrained")
    axes = figure.subplots()
    # colours resolve the neighbourhood of the floor; a broken model is as dark as a bad one
    reach = max(1.0, 200 * float(summary["epsilon"]), float(np.nanmax(points, initial=0.0)))
    colors = matplotlib.colormaps["RdBu"].resampled(65).with_extremes(bad=(0.5, 0.5, 0.5, 0.35))
    image = axes.imshow(
        points,
        cmap=colors,
        norm=Normalize(-reach, reach),
        aspect="auto",
        interpolation="none",
        extent=(-0.5, layers - 0.5, rows + 0.5, 0.5),
    )
    axes.scatter(
        [_position(step["layer"], granularity) for step in steps],
        [step["iteration"] for step in steps],
        s=min(60, 4000 / columns),
        marker="o",
        color="white",
        edgecolor="black",
        linewidth=1,
    )
    width = 0.5 if granularity == "sublayer" else 1.0
    _hatch(axes, rejected, granularity, width)
    axes.scatter(
        [_position(candidate["layer"], granularity) for candidate in rejected],
        [candidate["iteration"] for candidate in rejected],
        s=min(9, 600 / columns),
        marker=7,  # a caret that points down: at most this
        color="black",
        linewidth=0,
    )
    of_what = {"layer": "", "sublayer": " (left half: attention, right half: MLP)"}
    axes.set_xlabel("layer" + of_what.get(granularity, f" ({granularity} half)"))
    axes.set_ylabel("iteration")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(nbins="auto", integer=True, min_n_ticks=1))
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(image, location="top", shrink=0.6, aspect=40, pad=0.02, extend="min")
    bar.set_label("points above (blue) or below (red) the baseline")
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    return figure


def _hatch(axes: Axes, rejected: Rows, granularity: str, width: float) -> None:
    """Draw the cells of candidates whose accuracy was not measured, only bounded."""
    for candidate in rejected:
        middle = _position(candidate["layer"], granularity)
        corner = (middle - width / 2, candidate["iteration"] - 0.5)
        cell = Rectangle(corner, width, 1, facecolor="white", edgecolor=HATCH, hatch="////",
                         linewidth=0)  # fmt: skip
        axes.add_patch(cell)


def _position(unit: Unit, granularity: str) -> float:
    """Where a unit stands on the axis of layers: attention on the left of its layer, if both do."""
    layer, half = halves_of(unit)[0]
    return layer + (half - 0.5) / 2 if granularity == "sublayer" else layer


def control_figure(control: Record) -> Figure:
    """The real gain of BEST on the search examples, in points, among those on shuffled answers."""
    gains = [100 * gain for gain in control["gains"]]
    figure = Figure(figsize=(8, 1.5), layout="constrained")
    axes = figure.subplots()
    heights: dict[float, int] = {}
    for gain in sorted(gains):  # equal gains are piled up
        heights[gain] = heights.get(gain, 0) + 1
        label = "shuffled answers" if gain == min(gains) and heights[gain] == 1 else None
        axes.plot(gain, heights[gain], "o", color=VERMILION, alpha=0.7, label=label)
    axes.axvline(100 * control["gain"], color=BLUE, linewidth=2, label="the search itself")
    axes.set_ylim(0, max(heights.values()) + 1)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_xlim(left=min(0.0, *gains) - 0.3)
    axes.set_xlabel("gain of BEST over the baseline on the search examples (points)")
    figure.legend(loc="outside right center")
    return figure


def information_figure(rows: Rows) -> Figure:
    """Bits against the layer: biased curves dashed, cross-validated ones with their intervals."""
    figure = Figure(figsize=(8, 3.8), layout="constrained")
    axes = figure.subplots()
    names = list(dict.fromkeys(row["model"] for row in rows))
    for name, color in zip(names, (BLUE, VERMILION), strict=False):
        _curve(axes, [row for row in rows if row["model"] == name], color)
    entropy_bits = float(rows[0]["entropy"])
    ink = matplotlib.rcParams["text.color"]
    right = rows[0].get("question") == "right"
    what = "whether a choice is right" if right else "the answer"
    label = f"entropy of {what}"
    axes.axhline(entropy_bits, color=ink, linewidth=0.8, linestyle=":", label=label)
    axes.axhline(0, color=ink, linewidth=0.5)
    low = min(float(row["cross_validated"]) for row in rows)
    axes.set_ylim(bottom=min(-0.05, 1.3 * low))  # wide intervals of bad probes are cut off
    axes.set_xlabel("after layer (−1: before the first)")
    axes.set_ylabel(f"bits about {what}")
    figure.legend(loc="outside upper center", ncols=3, fontsize=9)
    return figure


def _curve(axes: Axes, rows: Rows, color: str) -> None:
    layers = [int(row["layer"]) for row in rows]
    columns = {n: [float(row[n]) for row in rows] for n in CURVES}
    name = rows[0]["model"]
    axes.plot(layers, columns["same_states"], color=color, linestyle="--", linewidth=1.2,
              label=f"{name}, same states (biased)")  # fmt: skip
    axes.plot(layers, columns["cross_validated"], color=color, marker="o", markersize=4,
              label=f"{name}, cross-validated")  # fmt: skip
    axes.fill_between(layers, columns["low"], columns["high"], color=color, alpha=0.15, linewidth=0)
