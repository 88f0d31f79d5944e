"""What finished searches say of the paper's claims."""

from __future__ import annotations

import json
from collections.abc import Sequence

from rich.table import Table

from attention.files import Record
from attention.statistics import holm
from attention.terminal import plain_table
from tale_paper.tables import DATA


def judged(found: Sequence[Record]) -> list[Record]:
    """A row for each finished search: whether it is informative, and what it shows."""
    rows = []
    for each in found:
        held_out = each["baseline"]["test"] or each["baseline"]
        rows.append(each | {"informative": held_out["low"] > each["majority"]})
    known = [row for row in rows if row["informative"] and row["best"]["test"]]
    p_values = holm([row["best"]["test"]["p_value"] for row in known])
    for row, p in zip(known, p_values, strict=True):
        row["corrected_p"] = float(p)
    return rows


def verdicts(rows: Sequence[Record]) -> list[str]:
    """What may be said of the claims that searches alone decide."""
    known = [row for row in rows if "corrected_p" in row]
    if not known:
        return ["No task is informative: the whole model does not beat the most frequent answer."]
    gains = [r["best"]["test"]["accuracy"] - r["baseline"]["test"]["accuracy"] for r in known]
    sure = sum(r["corrected_p"] < 0.05 and gain > 0 for r, gain in zip(known, gains, strict=True))
    up = sum(gain > 0 for gain in gains)
    sets = {tuple(row["best"]["dropped"]) for row in known}
    return [
        f"Consistent gains? Held out, BEST gains on {up} of {len(known)} informative tasks, "
        f"beyond noise on {sure} (p < 0.05, Holm); {100 * sum(gains) / len(gains):+.1f} points on "
        "average.",
        f"Task-specific sets? {len(sets)} different sets over {len(known)} searches.",
    ]


def table_of(rows: Sequence[Record], title: str | None) -> Table:
    """Searches with the published columns beside them."""
    file = DATA / "published.json"
    published = json.loads(file.read_text(encoding="utf-8"))["tasks"]
    lines = []
    for row in rows:
        base, best, bsba = (row[pick]["test"] or row[pick] for pick in ("baseline", "best", "bsba"))
        paper = published.get(row["task"], {}).get(title, {}) if row["shots"] == 0 else {}
        theirs = f"{paper.get('best', paper.get('gain', ''))} #{paper['dropped']}" if paper else "–"
        change = f"{100 * (best['accuracy'] - base['accuracy']):+.1f}"
        p = f"{row['corrected_p']:.2g}" if "corrected_p" in row else "uninformative"
        counts = f"{len(row['best']['dropped'])}/{len(row['bsba']['dropped'])}"
        speed = f"{100 * (bsba['accuracy'] - base['accuracy']):+.1f}"
        name = f"{row['task']} {row['shots']}"
        lines.append([name, f"{100 * base['accuracy']:.1f}", change, p, speed, counts, theirs])
    columns = ["task, shots", "baseline", "BEST", "p", "BSBA", "dropped", "paper"]
    return plain_table(columns, lines, words=1)
