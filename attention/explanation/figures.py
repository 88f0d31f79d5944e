"""The figures of an explanation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from attention.explanation.layer_attention import DECOMPOSITIONS
from attention.explanation.rankings import RANKINGS
from attention.files import BLUE, GREY, INK

Records = list[dict[str, Any]]
MOST_LABELS = 32  # tokens; an axis with more has no labels


def draw_supports(records: Records) -> Figure:
    """Draw how many tokens have weight, as the mean over the rows of each head and decision."""
    figure = Figure(figsize=(6, 3.2), layout="constrained")
    axes = figure.subplots()
    heads = [row for record in records for row in record["heads"]]
    shown = {name: row for name, row in DECOMPOSITIONS.items() if not row.signed}
    axes.hist(
        [[row[f"support_{name}"] for row in heads] for name in shown],
        bins=16,
        label=[f"{name} ({row.description})" for name, row in shown.items()],
    )
    axes.set(xlabel="tokens with weight, mean over the rows of a head", ylabel="heads")
    axes.legend()
    return figure


def draw_flips(summary: Mapping[str, Any]) -> Figure:
    """Draw how many decisions each intervention flips, with bootstrap intervals."""
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.subplots()
    rows = list(summary["interventions"].items())[::-1]
    middle, low, high = (100 * np.array([row["flip"][i] for _, row in rows]) for i in range(3))
    spread = np.maximum(np.stack([middle - low, high - middle]), 0)
    colours = [GREY if row["exact"] else BLUE for _, row in rows]
    axes.barh([name for name, _ in rows], middle, xerr=spread, color=colours, ecolor=INK)
    axes.set(xlabel="decisions flipped (%); grey: same output by construction", xlim=(0, None))
    return figure


def draw_curves(summary: Mapping[str, Any]) -> Figure:
    """Draw sufficiency and comprehensiveness against the share of tokens."""
    figure = Figure(figsize=(8, 3.4), layout="constrained")
    better = {"sufficiency": "lower", "comprehensiveness": "higher"}
    both = figure.subplots(1, 2)
    for axes, key in zip(both, better, strict=True):
        for name in summary["aopc"]:
            rows = [row for row in summary["curves"] if row["ranking"] == name]
            shares = [100 * row["share"] for row in rows]
            style = "-" if RANKINGS[name].attention else "--"
            middle, low, high = ([row[key][i] for row in rows] for i in range(3))
            line = axes.plot(shares, middle, style, marker="o", ms=3, label=name)[0]
            axes.fill_between(shares, low, high, alpha=0.12, color=line.get_color(), linewidth=0)
        axes.set(xlabel="top tokens (%)", ylabel=f"{key} ({better[key]} is better)")
    both[1].legend(fontsize=7)
    return figure


def draw_attention(record: Mapping[str, Any]) -> Figure:
    """Draw every decomposition of the first head that is shown."""
    place, tokens = record["heads"][0], record["tokens"]
    row = record["layers"].index(place["layer"])
    names = list(record["attention"])
    figure = Figure(figsize=(3.7 * len(names), 3.7), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(names)), names, strict=True):
        matrix = np.array(record["attention"][name])[row, place["head"]]
        largest = np.abs(matrix).max() or 1
        signed = {"cmap": "RdBu_r", "vmin": -largest} if matrix.min() < 0 else {"cmap": "Reds"}
        image = axes.imshow(matrix, **{"vmin": 0, "vmax": largest, **signed})
        if len(tokens) <= MOST_LABELS:
            axes.set_xticks(range(len(tokens)), tokens, rotation=90, fontsize=6, parse_math=False)
            axes.set_yticks(range(len(tokens)), tokens, fontsize=6, parse_math=False)
        axes.set_title(f"{name}, layer {place['layer']}, head {place['head']}")
        figure.colorbar(image, ax=axes, shrink=0.7)
    return figure
