"""The report of ``attn explain``: figures, and one self-contained page."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from attention.explanation.distances import bootstrap
from attention.explanation.example import SHIFT_LIMIT
from attention.explanation.interventions import INTERVENTIONS

Records = list[dict[str, Any]]
NEARNESS = [
    f"attention_{key}" for key in ("jsd", "hellinger", "cosine", "kendall", "entropy", "support")
]


def write_report(
    out: Path, settings: Mapping[str, Any], labels: list[str], records: Records
) -> dict[str, Any]:
    """Write ``summary.json``, the figures and ``report.html``; returns the summary."""
    summary = summarise(settings, records)
    (out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    with matplotlib.rc_context(
        {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    ):
        figures = {
            "supports": supports(records),
            "flips": flips(summary),
            "curves": curves(summary),
        }
        if any("attention" in record for record in records):
            figures["heat_maps"] = heat_maps(records[0])
        for name, figure in figures.items():
            figure.savefig(out / f"{name}.png", dpi=110)
    pictures = {
        name: base64.b64encode((out / f"{name}.png").read_bytes()).decode()
        for name in ("flips", "curves", "supports")
    }
    shown = [r for r in records if "attention" in r]
    # </script> in a token must not end the script
    data = json.dumps({"labels": labels, "examples": shown}, allow_nan=False)
    data = data.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    environment = Environment(
        loader=PackageLoader("attention.explanation"), autoescape=True, undefined=StrictUndefined
    )
    page = environment.get_template("explain.html").render(
        summary=summary, settings=settings, data=data, pictures=pictures
    )
    (out / "report.html").write_text(page, encoding="utf-8")
    return summary


def summarise(settings: Mapping[str, Any], records: Records) -> dict[str, Any]:
    """Totals over examples, with bootstrap intervals, and the guarantees as they came out."""
    heads = [row for r in records for row in r["heads"]]
    mean = lambda key: float(np.mean([row[key] for row in heads]))  # noqa: E731
    total: dict[str, Any] = {
        "examples": len(records),
        "accuracy": float(np.mean([r["guess"] == r["label"] for r in records])),
        "heads": {key: mean(key) for key in heads[0] if key not in ("layer", "head")},
        "guarantees": {
            "output_error": max(max(h["output_error"], h["output_error_vertex"]) for h in heads),
            "least_entry": min(h["least_entry"] for h in heads),
            "sum_error": max(h["sum_error"] for h in heads),
            "effective_least_entry": min(h["effective_least_entry"] for h in heads),
            "effective_sum_error": max(h["effective_sum_error"] for h in heads),
            **{
                key: max((r["guarantees"][key] for r in records), default=0.0)
                for key in ("idempotent", "norm", "oracle")
            },
            "short": max(
                (r["guarantees"]["short"] for r in records if r["guarantees"]["short"] is not None),
                default=None,
            ),
        },
        "interventions": {},
        "agreement": {},
        "curves": [],
    }
    for name in dict.fromkeys(row["intervention"] for row in records[0]["interventions"]):
        rows = [[row for row in r["interventions"] if row["intervention"] == name] for r in records]
        per = lambda key, rows=rows: [float(np.mean([x[key] for x in row])) for row in rows]  # noqa: E731
        total["interventions"][name] = {
            "exact": name in INTERVENTIONS and INTERVENTIONS[name].exact,
            **{
                key: bootstrap(np.array(per(key)))
                for key in ("flip", "tvd", "jsd", "attention_tvd")
            },
            "accuracy": float(np.mean(per("correct"))),
            **{
                key: None if rows[0][0][key] is None else float(np.mean(per(key)))
                for key in NEARNESS
            },
            "logits_moved": max(x["logits_moved"] for row in rows for x in row),
        }
    for name, others in records[0]["agreement"].items():
        total["agreement"][name] = {
            other: bootstrap(np.array([r["agreement"][name][other] for r in records]))
            for other in others
        }
    for i, row in enumerate(records[0]["curves"]):
        total["curves"].append(
            {"ranking": row["ranking"], "share": row["share"]}
            | {
                key: bootstrap(np.array([r["curves"][i][key] for r in records]))
                for key in ("sufficiency", "comprehensiveness")
            }
        )
    total["aopc"] = aopc(records)
    total["lines"] = _lines(settings, total)
    return total


def aopc(records: Records) -> dict[str, dict[str, tuple[float, float, float]]]:
    """Area over the perturbation curve: the mean over shares, by ranking, with intervals.

    Of ``comprehensiveness`` the usual AOPC (top tokens deleted), of ``sufficiency`` the same of
    top tokens kept.
    """
    found: dict[str, dict[str, tuple[float, float, float]]] = {}
    for name in dict.fromkeys(row["ranking"] for row in records[0]["curves"]):
        found[name] = {}
        for key in ("comprehensiveness", "sufficiency"):
            means = [
                np.mean([row[key] for row in r["curves"] if row["ranking"] == name])
                for r in records
            ]
            found[name][key] = bootstrap(np.array(means))
    return found


def _lines(settings: Mapping[str, Any], total: Mapping[str, Any]) -> list[str]:
    """What a terminal shows."""
    heads, found = total["heads"], total["interventions"]
    limit = SHIFT_LIMIT[bool(settings["x64"])]
    moved = found["null shift"]["logits_moved"]
    lines = [
        f"{total['examples']} decision{'s' * (total['examples'] != 1)}, "
        f"{total['accuracy']:.1%} right; "
        f"{heads['tokens']:.0f} tokens",
        f"support of a row: {heads['support_raw']:.1f} raw, {heads['support_efficient']:.1f} "
        f"efficient, {heads['support_vertex']:.1f} vertex; TVD(raw, efficient) {heads['tvd']:.3f}",
        f"same output to {total['guarantees']['output_error']:.1e}; null-space shift moves logits "
        f"by {moved:.1e} (bound {limit:.0e}: {'kept' if moved <= limit else 'NOT KEPT'})",
        f"{'attention replaced by':24}{'flips':>8}{'TVD out':>10}{'TVD att.':>10}{'accuracy':>10}",
    ]
    for name, row in found.items():
        mark = " *" if row["exact"] else ""
        lines.append(
            f"{name + mark:24}{row['flip'][0]:>8.1%}{row['tvd'][0]:>10.4f}"
            f"{row['attention_tvd'][0]:>10.3f}{row['accuracy']:>10.1%}"
        )
    lines += ["* same output by construction: a check of the arithmetic, not evidence"]
    lines += [f"{'top tokens by':24}{'AOPC: deleted [95 %]':>24}{'kept':>24}"]
    for name, row in total["aopc"].items():
        parts = (row["comprehensiveness"], row["sufficiency"])
        said = [f"{middle:.3f} [{low:.3f}, {high:.3f}]" for middle, low, high in parts]
        lines.append(f"{name:24}" + "".join(f"{text:>24}" for text in said))
    return lines


def supports(records: Records) -> Figure:
    """Histogram of the mean support of a row, over heads and examples."""
    figure = Figure(figsize=(6, 3.2), layout="constrained")
    axes = figure.subplots()
    heads = [row for r in records for row in r["heads"]]
    parts = [[row[f"support_{kind}"] for row in heads] for kind in ("raw", "efficient", "vertex")]
    axes.hist(parts, bins=16, label=["raw", "efficient (least norm)", "vertex (least support)"])
    axes.set(xlabel="tokens with weight, mean over the rows of a head", ylabel="heads")
    axes.legend(frameon=False)
    return figure


def flips(summary: Mapping[str, Any]) -> Figure:
    """Decision flips by intervention, with bootstrap intervals."""
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.subplots()
    rows = list(summary["interventions"].items())[::-1]
    middle, low, high = (100 * np.array([row["flip"][i] for _, row in rows]) for i in range(3))
    colours = ["#999999" if row["exact"] else "#0072b2" for _, row in rows]
    spread = np.maximum(np.stack([middle - low, high - middle]), 0)
    axes.barh([name for name, _ in rows], middle, xerr=spread, color=colours)
    axes.set(xlabel="decisions flipped (%); grey: same output by construction", xlim=(0, None))
    return figure


def curves(summary: Mapping[str, Any]) -> Figure:
    """Sufficiency and comprehensiveness against the share of tokens."""
    figure = Figure(figsize=(8, 3.4), layout="constrained")
    both = figure.subplots(1, 2)
    for axes, key in zip(both, ("sufficiency", "comprehensiveness"), strict=True):
        for name in dict.fromkeys(row["ranking"] for row in summary["curves"]):
            rows = [row for row in summary["curves"] if row["ranking"] == name]
            shares = [100 * row["share"] for row in rows]
            line = axes.plot(shares, [row[key][0] for row in rows], marker="o", ms=3, label=name)[0]
            low, high = ([row[key][i] for row in rows] for i in (1, 2))
            axes.fill_between(shares, low, high, alpha=0.12, color=line.get_color(), linewidth=0)
        better = "lower" if key == "sufficiency" else "higher"
        axes.set(xlabel="top tokens (%)", ylabel=f"{key} ({better} is better)")
    both[1].legend(frameon=False, fontsize=7)
    return figure


def heat_maps(record: Mapping[str, Any]) -> Figure:
    """Raw, effective and efficient attention of the first head shown."""
    place = record["heads"][0]
    tokens = record["tokens"]
    figure = Figure(figsize=(11, 3.7), layout="constrained")
    for axes, name in zip(figure.subplots(1, 3), ("raw", "effective", "efficient"), strict=True):
        matrix = np.array(record["attention"][name])[place["layer"], place["head"]]
        largest = np.abs(matrix).max() or 1
        signed = {"cmap": "RdBu_r", "vmin": -largest} if matrix.min() < 0 else {"cmap": "Reds"}
        image = axes.imshow(matrix, **{"vmin": 0, "vmax": largest, **signed})
        if len(tokens) <= 32:
            axes.set_xticks(range(len(tokens)), tokens, rotation=90, fontsize=6, parse_math=False)
            axes.set_yticks(range(len(tokens)), tokens, fontsize=6, parse_math=False)
        axes.set_title(f"{name}, layer {place['layer']}, head {place['head']}")
        figure.colorbar(image, ax=axes, shrink=0.7)
    return figure
