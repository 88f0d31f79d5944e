"""The results of a probing: tables, a summary, figures and one page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attention.files import (
    figure_to_svg,
    render_page,
    save_figure,
    write_json,
    write_table,
    write_text,
)
from attention.language.probing.figures import draw_layers, draw_phenomena
from attention.language.probing.measured import (
    LAYER_COLUMNS,
    PAIR_COLUMNS,
    PARADIGM_COLUMNS,
    Found,
    by,
    macro_mean,
)
from attention.language.probing.tasks import PROBES

Summary = dict[str, Any]


def write_report(out: Path, settings: Mapping[str, Any], found: Mapping[str, Found]) -> Summary:
    """Write the tables, ``summary.json``, the figures and ``report.html``.

    Args:
        out: directory of the results.
        settings: of the probing.
        found: by task.

    Returns:
        The summary.
    """
    tables = {
        "paradigms.csv": PARADIGM_COLUMNS,
        "floors.csv": ["floor", *PARADIGM_COLUMNS],
        "pairs.csv.gz": PAIR_COLUMNS,
        "layers.csv": LAYER_COLUMNS,
        "regions.csv.gz": "task paradigm id condition region surprisal".split(),
    }
    for name, columns in tables.items():
        rows = [row for each in found.values() for row in getattr(each, name.partition(".")[0])]
        if rows:
            write_table(out / name, rows, columns)
    summary = summarise(settings, found)
    write_json(out / "summary.json", summary)
    figures = {}
    for task, each in found.items():
        if each.paradigms:
            figures[task] = (_drawn(task, each), f"Accuracy on {task} by phenomenon")
    layers = [row for each in found.values() for row in each.layers]
    if layers:
        figures["layers"] = (lambda: draw_layers(layers), "Accuracy of probes by layer")
    for name, (draw, _) in figures.items():
        save_figure(draw, out / f"{name}.png")
    page = render_page(
        "attention.language.probing",
        "probe.html",
        summary=summary,
        settings=settings,
        found=found,
        probes=PROBES,
        pictures={name: figure_to_svg(*each) for name, each in figures.items()},
    )
    write_text(out / "report.html", page)
    return summary


def _drawn(task: str, found: Found):
    return lambda: draw_phenomena(task, found.paradigms, found.floors)


def summarise(settings: Mapping[str, Any], found: Mapping[str, Found]) -> Summary:
    """Average over paradigms, over phenomena, and over the paradigms of each floor."""
    tasks = {task: _task(each) for task, each in found.items() if each.paradigms}
    layers = {task: _best_layers(each.layers) for task, each in found.items() if each.layers}
    return {
        "model": settings["model"],
        "limit": settings["limit"],
        "tasks": tasks,
        "layers": {label: row for rows in layers.values() for label, row in rows.items()},
        "notes": [note for each in found.values() for note in each.notes],
    }


def _task(found: Found) -> Summary:
    phenomena = {name: macro_mean(rows) for name, rows in by(found.paradigms, "phenomenon").items()}
    means = [each["accuracy"] for each in phenomena.values()]
    return {
        "rule": found.rule,
        "paradigms": len(found.paradigms),
        "pairs": sum(row["pairs"] for row in found.paradigms),
        "ties": sum(row["ties"] for row in found.paradigms),
        **macro_mean(found.paradigms),
        "mean_of_phenomena": sum(means) / len(means),
        "phenomena": phenomena,
        "floors": {name: macro_mean(rows) for name, rows in by(found.floors, "floor").items()},
    }


def _best_layers(rows: Sequence[Mapping[str, Any]]) -> dict[str, Summary]:
    """The layer that each label is read best from."""
    return {
        label: dict(max(each, key=lambda row: row["accuracy"]))
        for label, each in by(rows, "task").items()
    }
