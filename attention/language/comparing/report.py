"""A comparison as tables, figures and one page."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from attention.files import (
    BLUE,
    CYCLE,
    FAINT,
    GREY,
    RunDirectory,
    figure_to_svg,
    render_page,
    save_figure,
    write_json,
    write_table,
    write_text,
)
from attention.language.comparing.arms import Arm, read_arms
from attention.language.comparing.differences import (
    Difference,
    compare_arms,
    compare_paradigms,
    paired_seeds,
)
from attention.language.comparing.margins import margin_of

COLORS = {"better": "#009e73", "worse": "#d55e00", "equivalent": BLUE, "not settled": GREY}


def compare_runs(
    runs: Sequence[Path],
    out: Path,
    reference: str = "softmax",
    *,
    draws: int = 2000,
    seed: int = 0,
    resume: bool = False,
) -> dict[str, Any]:
    """Compare runs of several normalizers and seeds, and write what is found to a directory.

    Args:
        runs: directories of ``attn pretrain`` with their ``probe``.
        out: directory of the results.
        reference: normalizer that the others are compared with.
        draws: of the bootstrap.
        seed: of the bootstrap.
        resume: write the results in ``out`` anew.

    Returns:
        The values in ``summary.json``.

    Raises:
        InputError: the runs cannot be compared, or ``out`` cannot be used.
    """
    arms = read_arms(runs, reference)
    differences = compare_arms(arms, draws, seed)
    paradigms = compare_paradigms(arms)
    settings = {"runs": [str(run) for run in runs], "reference": reference, "seed": seed}
    with RunDirectory(out, "attn compare", settings | {"draws": draws}, resume=resume):
        rows = [row._asdict() for row in differences]
        write_table(out / "comparison.csv", rows, Difference._fields)
        if paradigms:
            write_table(out / "paradigms.csv", paradigms)
        summary = {
            "reference": reference,
            "seeds": {arm.name: paired_seeds(arms[0], arm) for arm in arms[1:]},
            "left_out": {arm.name: _unpaired(arms[0], arm) for arm in arms[1:]},
            "differences": rows,
            "paradigms": {
                arm.name: dict(Counter(r["verdict"] for r in paradigms if r["arm"] == arm.name))
                for arm in arms[1:]
            },
            "floors": _floors(arms),
            "sentences": sentences(differences, reference),
        }
        write_json(out / "summary.json", summary)
        figures = {"differences": lambda: draw_differences(differences, reference)}
        if paradigms:
            figures["paradigms"] = lambda: draw_paradigms(paradigms, reference)
        for name, draw in figures.items():
            save_figure(draw, out / f"{name}.png")
        page = render_page(
            "attention.language.comparing",
            "compare.html",
            summary=summary,
            paradigms=paradigms,
            margin_of=margin_of,
            finite=math.isfinite,
            pictures={name: figure_to_svg(draw, name) for name, draw in figures.items()},
        )
        write_text(out / "report.html", page)
    return summary


def sentences(rows: Sequence[Difference], reference: str) -> list[str]:
    """The verdicts on each arm in words, the settled ones first."""
    found = []
    for arm in dict.fromkeys(row.arm for row in rows):
        mine, parts = [row for row in rows if row.arm == arm], []
        for word in COLORS:
            titles = [margin_of(row.measure).title for row in mine if row.verdict == word]
            parts += [f"{word} in {', '.join(titles)}"] if titles else []
        alone = all(row.seeds < 2 for row in mine)
        hint = " (one seed settles nothing: give at least two)" if alone else ""
        found.append(f"{arm} against {reference}: {'; '.join(parts)}{hint}")
    return found


def _unpaired(reference: Arm, arm: Arm) -> list[int]:
    return sorted(set(reference.runs) ^ set(arm.runs))


def _floors(arms: Sequence[Arm]) -> dict[str, dict[str, float]]:
    """The floors of the run that has most of them."""
    return max((scores.floors for arm in arms for scores in arm.runs.values()), key=len)


def draw_differences(rows: Sequence[Difference], reference: str) -> Figure:
    """Each difference with its two intervals, beside the margin of its measure.

    Args:
        rows: of all arms and measures.
        reference: name of the arm that the others are compared with.
    """
    measures = list(dict.fromkeys(row.measure for row in rows))
    arms = list(dict.fromkeys(row.arm for row in rows))
    height = 0.9 + len(measures) * (0.45 + 0.28 * len(arms))
    figure = Figure(figsize=(7, height), layout="constrained")
    panels = figure.subplots(len(measures), 1, squeeze=False).ravel()
    for axes, measure in zip(panels, measures, strict=True):
        mine = [row for row in rows if row.measure == measure][::-1]
        for place, row in enumerate(mine):
            color = COLORS[row.verdict]
            if math.isfinite(row.t_high - row.t_low):
                axes.plot([row.t_low, row.t_high], [place] * 2, color=color, linewidth=1)
            axes.plot([row.low, row.high], [place] * 2, color=color, linewidth=4, alpha=0.5)
            axes.plot(row.difference, place, "o", color=color)
        margin = margin_of(measure)
        if margin.equal is not None:
            axes.axvspan(-margin.equal, margin.equal, color=FAINT, alpha=0.35, linewidth=0)
        axes.axvline(0, color=GREY, linewidth=0.8)
        axes.set_yticks(range(len(mine)), [row.arm for row in mine])
        axes.set_ylim(-0.6, len(mine) - 0.4)
        side = "lower is better" if margin.lower_is_better else "higher is better"
        axes.set_title(f"{margin.title} ({side})", fontsize=10, loc="left")
        axes.set_xlabel(f"difference to {reference} ({margin.unit})")
    return figure


def draw_paradigms(rows: Sequence[Mapping[str, Any]], reference: str) -> Figure:
    """All paradigms of each arm, in the order of their differences; settled ones are filled.

    Args:
        rows: of ``compare_paradigms``.
        reference: name of the arm that the others are compared with.
    """
    arms = list(dict.fromkeys(row["arm"] for row in rows))
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    figure = Figure(figsize=(7, 0.6 + 2.2 * len(arms)), layout="constrained")
    panels = figure.subplots(len(arms), 1, squeeze=False).ravel()
    most = max(5.0, 1.3 * float(np.max(np.abs([row["difference"] for row in rows]))))
    for axes, arm in zip(panels, arms, strict=True):
        mine = sorted((r for r in rows if r["arm"] == arm), key=lambda row: row["difference"])
        for place, row in enumerate(mine):
            color = CYCLE[tasks.index(row["task"]) % len(CYCLE)]
            settled = row["verdict"] != "not settled"
            if math.isfinite(row["high"] - row["low"]):
                axes.plot([place] * 2, [row["low"], row["high"]], color=color, alpha=0.35)
            face = color if settled else "none"
            axes.plot(place, row["difference"], "o", color=color, markersize=4, mfc=face)
        axes.axhline(0, color=GREY, linewidth=0.8)
        axes.set_ylim(-most, most)
        axes.set_title(f"{arm} against {reference}", fontsize=10, loc="left")
        axes.set_ylabel("points")
        axes.set_xticks([])
    for task in tasks:
        color = CYCLE[tasks.index(task) % len(CYCLE)]
        panels[0].plot([], [], "o", color=color, markersize=4, label=margin_of(task).title)
    figure.legend(loc="outside upper center", ncols=4)
    panels[-1].set_xlabel("paradigms, by their difference; filled: p < 0.05 after Holm")
    return figure
