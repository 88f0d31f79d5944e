"""The report of a search: one self-contained page, the same bytes for the same run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from attention.files import Record, figure_to_svg, render_page, short_name, without_paths
from tale_jax.runs import figures
from tale_jax.runs.verdicts import (
    LABELS,
    PICKS,
    damage_rows,
    interval,
    layer_list,
    p_text,
    percent,
    verdict,
)


def render_report(
    summary: Record,
    trajectory: Sequence[Record],
    candidates: Sequence[Record],
    information: Sequence[Record] | None = None,
) -> str:
    """Render the page as HTML, without scripts, addresses or times.

    Args:
        summary: contents of ``summary.json``.
        trajectory: lines of ``trajectory.jsonl``.
        candidates: rows of ``candidates.csv``, and whether ``correct`` is a ``bound``.
        information: rows of ``information.csv``, if there is one.
    """
    found = (summary, trajectory, candidates)
    pictures = {
        "curve": (
            partial(figures.accuracy_curve, *found),
            "Accuracy against the number of dropped layers",
        )
    }
    if candidates:
        pictures["heat_map"] = (
            partial(figures.candidate_map, *found),
            "Accuracy of every candidate of every iteration",
        )
    if control := summary.get("null_control"):
        pictures["control"] = partial(figures.control_figure, control), "Gains by selection alone"
    if information:
        pictures["information"] = (
            partial(figures.information_figure, information),
            "Bits about the answer after each layer",
        )
    names = ("curve", "heat_map", "control", "information")
    drawn = dict.fromkeys(names) | {name: figure_to_svg(*given) for name, given in pictures.items()}
    return render_page(
        "tale_jax.runs",
        "report.html",
        summary=summary,
        verdict=verdict(summary),
        damage=damage_rows(summary["damage"]) if summary.get("damage") else (),
        labels=list(LABELS.values()),
        test_examples=_examples(summary["baseline"]["test"]),
        tasks=_task_rows(summary),
        picks=[(LABELS[name], summary[name]) for name in PICKS],
        steps=trajectory,
        commands=summary.get("commands", ()),
        percent=percent,
        p_text=p_text,
        layer_list=layer_list,
        short_name=short_name,
        without_paths=without_paths,
        changed=list(_changed(summary)),
        **drawn,
    )


def _examples(found: Record | None) -> int:
    """How many examples an accuracy is of; of a joint one those of all tasks."""
    if found is None:
        return 0
    return sum(task["total"] for task in (found.get("tasks") or {"": found}).values())


def _task_rows(summary: Record) -> list[list[str]]:
    """A label and the picks' accuracies for each task and split, of a search for several."""
    rows = []
    for split in ("search", "test"):
        parts = {n: summary[n] if split == "search" else summary[n]["test"] or {} for n in PICKS}
        for task in parts["baseline"].get("tasks") or ():
            cells = []
            for name in PICKS:
                found = parts[name]["tasks"][task]
                p_value = found.get("p_value") if name != "baseline" else None
                cells.append(interval(found) + (f", {p_text(p_value)}" if p_value else ""))
            rows.append([f"{task} ({split})", *cells])
    return rows


def _changed(summary: Record) -> Iterator[tuple[str, str, int, int, list[Record]]]:
    """For each pick that changes answers: name, split, how many are gained and lost, which."""
    for each in summary.get("changed", ()):
        if each["gained"] or each["lost"]:
            yield LABELS[each["pick"]], each["split"], each["gained"], each["lost"], each["shown"]
