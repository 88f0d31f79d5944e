"""The information curve, for its own file and for the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tale_jax.runs.figures import BLUE, VERMILION

CURVES = ("same_states", "cross_validated", "low", "high")


def information_figure(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Bits against the layer: biased curves dashed, cross-validated ones with their intervals."""
    figure = Figure(figsize=(8, 3.8), layout="constrained")
    axes = figure.subplots()
    names = list(dict.fromkeys(row["model"] for row in rows))
    for name, color in zip(names, (BLUE, VERMILION), strict=False):
        _curve(axes, [row for row in rows if row["model"] == name], color)
    entropy_bits = float(rows[0]["entropy"])
    axes.axhline(entropy_bits, color=rcParams["text.color"], linewidth=0.8, linestyle=":",
                 label="entropy of the answer")  # fmt: skip
    axes.axhline(0, color=rcParams["text.color"], linewidth=0.5)
    low = min(float(row["cross_validated"]) for row in rows)
    axes.set_ylim(bottom=min(-0.05, 1.3 * low))  # wide intervals of bad probes are cut off
    axes.set_xlabel("after layer (−1: before the first)")
    axes.set_ylabel("bits about the answer")
    figure.legend(loc="outside upper center", ncols=3, fontsize=9)
    return figure


def _curve(axes: Axes, rows: Sequence[Mapping[str, Any]], color: str) -> None:
    layers = [int(row["layer"]) for row in rows]
    columns = {n: [float(row[n]) for row in rows] for n in CURVES}
    name = rows[0]["model"]
    axes.plot(layers, columns["same_states"], color=color, linestyle="--", linewidth=1.2,
              label=f"{name}, same states (biased)")  # fmt: skip
    axes.plot(layers, columns["cross_validated"], color=color, marker="o", markersize=4,
              label=f"{name}, cross-validated")  # fmt: skip
    axes.fill_between(layers, columns["low"], columns["high"], color=color, alpha=0.15, linewidth=0)
