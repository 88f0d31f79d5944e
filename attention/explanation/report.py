"""The results of a run: totals, tables, figures and one page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from attention.explanation.distances import DISTANCES, PROPERTIES
from attention.explanation.figures import (
    Records,
    draw_attention,
    draw_curves,
    draw_flips,
    draw_supports,
)
from attention.explanation.interventions import INTERVENTIONS
from attention.explanation.layer_attention import DECOMPOSITIONS
from attention.explanation.rankings import RANKINGS
from attention.explanation.supports import SETS
from attention.files import (
    figure_to_svg,
    render_page,
    save_figure,
    short_name,
    write_json,
    write_table,
    write_text,
)
from attention.statistics import bootstrap_interval, rank_correlation
from attention.terminal import plain_table

MOVE_LIMIT = {"float32": 1e-5, "float64": 1e-10}  # of max |logit|, by the model's dtype
TABLES = {
    "metrics": "heads",
    "interventions": "interventions",
    "curves": "curves",
    "supports": "supports",
}
CURVES = ("comprehensiveness", "sufficiency")
SUPPORTS = ("size", "tvd", "flip", "removed_tvd", "removed_flip", "necessary", "minimal")
RESAMPLES = 1000
NEAR = [f"attention_{name}" for name in (*DISTANCES, *PROPERTIES)]
Interval = tuple[float, float, float]  # a mean, and the ends of its 95 % interval
Summary = dict[str, Any]


def write_report(
    out: Path, settings: Mapping[str, Any], labels: list[str], records: Records
) -> Summary:
    """Write the tables, ``summary.json``, the figures and ``report.html``.

    Args:
        out: directory of the run.
        settings: of the run.
        labels: names of the labels.
        records: of the decisions, as ``measure_decision`` gives them.

    Returns:
        The summary.
    """
    for name, key in TABLES.items():
        rows = [{"example": r["example"], **row} for r in records for row in r[key]]
        write_table(out / f"{name}.csv", rows)
    summary = summarise(settings, records)
    write_json(out / "summary.json", summary)
    figures = {
        "flips": (lambda: draw_flips(summary), "Decisions flipped by each intervention"),
        "curves": (lambda: draw_curves(summary), "Sufficiency and comprehensiveness by share"),
        "supports": (lambda: draw_supports(records), "How many tokens have weight"),
    }
    shown = [record for record in records if "attention" in record]
    for name, (draw, _) in figures.items():
        save_figure(draw, out / f"{name}.png")
    if shown:
        save_figure(lambda: draw_attention(shown[0]), out / "heat_maps.png")
    page = render_page(
        "attention.explanation",
        "explain.html",
        summary=summary,
        settings=settings,
        short_name=short_name,
        data={
            "labels": labels,
            "examples": shown,
            "kinds": list(DECOMPOSITIONS),
            "others": [name for name, row in RANKINGS.items() if not row.attention],
        },
        pictures={name: figure_to_svg(*each) for name, each in figures.items()},
    )
    write_text(out / "report.html", page)
    return summary


def summarise(settings: Mapping[str, Any], records: Records) -> Summary:
    """Compute totals over decisions with bootstrap intervals, and the measured guarantees."""
    heads = [row for record in records for row in record["heads"]]
    return {
        "examples": len(records),
        "accuracy": float(np.mean([r["guess"] == r["label"] for r in records])),
        "heads": {
            name: float(np.mean([row[name] for row in heads]))
            for name in heads[0]
            if name not in ("layer", "head")
        },
        "guarantees": _guarantees(settings, heads, records),
        "interventions": {
            name: _intervention(name, [_named(record, name) for record in records])
            for name in dict.fromkeys(row["intervention"] for row in records[0]["interventions"])
        },
        "agreement": {
            name: {
                other: _interval(record["agreement"][name][other] for record in records)
                for other in others
            }
            for name, others in records[0]["agreement"].items()
        },
        "curves": [
            {"ranking": row["ranking"], "share": row["share"]}
            | {key: _interval(record["curves"][i][key] for record in records) for key in CURVES}
            for i, row in enumerate(records[0]["curves"])
        ],
        "aopc": _aopc(records),
        "supports": {
            name: {
                key: _interval(row[key] for record in records for row in record["supports"]
                               if row["set"] == name)
                for key in SUPPORTS
            }
            for name in SETS
        },
        "context": _context(records),
    }  # fmt: skip


def _context(records: Records) -> dict[str, Interval]:
    """The effect of shuffled context, and its rank correlation with that of uniform attention.

    The correlation is Spearman's over decisions; decisions are drawn with replacement for its
    interval.  It is NaN if one of the two does not vary.
    """
    effects = [np.mean([row["tvd"] for row in _named(record, "uniform")]) for record in records]
    needs = [record["context"]["shuffled_tvd"] for record in records]
    pairs_E2 = np.array([needs, effects]).T
    draw = np.random.default_rng(0)
    drawn = [pairs_E2[draw.integers(0, len(records), len(records))] for _ in range(RESAMPLES)]
    found = [value for value in map(rank_correlation, drawn) if np.isfinite(value)]
    ends = np.quantile(found, [0.025, 0.975]) if found else np.array([np.nan, np.nan])
    return {
        **{
            key: _interval(record["context"][key] for record in records)
            for key in ("shuffled_tvd", "shuffled_flip")
        },
        "rank_correlation": (rank_correlation(pairs_E2), float(ends[0]), float(ends[1])),
    }


def _interval(values: Iterable[float]) -> Interval:
    array = np.array(list(values), np.float64)
    return float(array.mean()), *bootstrap_interval(array)


def _named(record: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """The rows of one intervention, one for each draw."""
    return [row for row in record["interventions"] if row["intervention"] == name]


def _intervention(name: str, drawn: list[list[dict[str, Any]]]) -> dict[str, Any]:
    def means(key: str) -> list[float]:
        return [float(np.mean([row[key] for row in rows])) for rows in drawn]

    return {
        "exact": INTERVENTIONS[name].exact,
        "description": INTERVENTIONS[name].description,
        **{key: _interval(means(key)) for key in ("flip", "tvd", "jsd", "attention_tvd")},
        "accuracy": float(np.mean(means("correct"))),
        **{
            key: None if drawn[0][0][key] is None else float(np.mean(means(key)))
            for key in NEAR
            if key != "attention_tvd"
        },
        "logits_moved": max(row["logits_moved"] for rows in drawn for row in rows),
    }


def _guarantees(
    settings: Mapping[str, Any], heads: Records, records: Records
) -> dict[str, float | bool | None]:
    measured = [record["guarantees"] for record in records]
    moved = max(
        row["logits_moved"]
        for record in records
        for row in record["interventions"]
        if INTERVENTIONS[row["intervention"]].exact
    )
    limit = MOVE_LIMIT[settings["dtype"]]
    return {
        "output_error": max(max(h["output_error"], h["output_error_vertex"]) for h in heads),
        "least_entry": min(h["least_entry"] for h in heads),
        "sum_error": max(h["sum_error"] for h in heads),
        "effective_least_entry": min(h["effective_least_entry"] for h in heads),
        "effective_sum_error": max(h["effective_sum_error"] for h in heads),
        **{key: max(each[key] for each in measured) for key in ("idempotent", "norm", "oracle")},
        "short": max((m["short"] for m in measured if m["short"] is not None), default=None),
        "logits_moved": moved,
        "logits_limit": limit,
        "logits_kept": moved <= limit,
    }


def _aopc(records: Records) -> dict[str, dict[str, Interval]]:
    """Compute the area over the perturbation curve of each ranking: the mean over shares.

    ``comprehensiveness`` is the usual AOPC, with the top tokens deleted.  ``sufficiency`` is the
    same with only the top tokens kept.
    """
    names = dict.fromkeys(row["ranking"] for row in records[0]["curves"])
    return {
        name: {
            key: _interval(
                float(np.mean([row[key] for row in record["curves"] if row["ranking"] == name]))
                for record in records
            )
            for key in CURVES
        }
        for name in names
    }


def summary_texts(summary: Summary) -> list[str | Table]:
    """The parts of a summary for the terminal, in order."""
    heads, guarantees = summary["heads"], summary["guarantees"]
    kept = "kept" if guarantees["logits_kept"] else "NOT KEPT"
    replaced = [
        [
            name + " *" * row["exact"], f"{row['flip'][0]:.1%}", f"{row['tvd'][0]:.4f}",
            f"{row['attention_tvd'][0]:.3f}", f"{row['accuracy']:.1%}",
        ]
        for name, row in summary["interventions"].items()
    ]  # fmt: skip
    ranked = [
        [name, *("{:.3f} [{:.3f}, {:.3f}]".format(*row[key]) for key in CURVES)]
        for name, row in summary["aopc"].items()
    ]
    sets = [
        [
            name,
            *(f"{row[key][0]:.{digits}f}" for key, digits in zip(SUPPORTS, "1323222", strict=True)),
        ]
        for name, row in summary["supports"].items()
    ]
    context = summary["context"]
    moved = "shuffled context moves the output by a TVD of {:.3f} [{:.3f}, {:.3f}]"
    alike = "rank correlation with what uniform attention moves: {:.2f} [{:.2f}, {:.2f}]"
    correlated = context["rank_correlation"]
    return [
        f"{summary['examples']} decision{'s' * (summary['examples'] != 1)}, "
        f"{summary['accuracy']:.1%} right; {heads['tokens']:.0f} tokens",
        f"support of a row: {heads['support_raw']:.1f} raw, {heads['support_efficient']:.1f} "
        f"efficient, {heads['support_vertex']:.1f} vertex; TVD(raw, efficient) {heads['tvd']:.3f}",
        f"same output to {guarantees['output_error']:.1e}",
        f"the rows with * move logits by at most {guarantees['logits_moved']:.1e} "
        f"(bound {guarantees['logits_limit']:.0e}: {kept})",
        plain_table(
            ["attention replaced by", "flips", "TVD out", "TVD att.", "accuracy"], replaced, 1
        ),
        "* same output by construction: a check of the arithmetic, not evidence",
        plain_table(["top tokens by", "AOPC: deleted [95 %]", "kept"], ranked, 1),
        plain_table(
            ["only kept", "size", "TVD", "flips", "one less", "flips", "necessary", "minimal"],
            sets, 1,
        ),
        moved.format(*context["shuffled_tvd"]),
        *([alike.format(*correlated)] if np.isfinite(correlated).all() else []),
    ]  # fmt: skip
