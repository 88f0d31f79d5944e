"""How much of a search is chance: what repeated searches agree about, as a table and a figure."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Collection, Sequence

import numpy as np
from matplotlib.figure import Figure

from attention.files import BLUE, FAINT, ORANGE, VERMILION, Record
from tale_jax.units import Unit, halves_of

REPEAT_COLUMNS = (
    "size seed dropped bsba_dropped search_baseline search_best search_gain test_baseline "
    "test_best test_gain p_value".split()
)
SIZE_COLUMNS = (
    "size repeats jaccard dropped_mean search_gain_mean search_gain_sd test_gain_mean "
    "test_gain_sd".split()
)


def repeat_row(size: int, seed: int, summary: Record) -> Record:
    """What one search of a series found, with the keys of ``REPEAT_COLUMNS``."""
    base, best = summary["baseline"], summary["best"]
    row = {
        "size": size,
        "seed": seed,
        "dropped": best["dropped"],
        "bsba_dropped": summary["bsba"]["dropped"],
        "search_baseline": base["accuracy"],
        "search_best": best["accuracy"],
        "search_gain": best["accuracy"] - base["accuracy"],
    }
    if best["test"] is not None:
        own, other = best["test"], base["test"]
        row |= {
            "test_baseline": other["accuracy"],
            "test_best": own["accuracy"],
            "test_gain": own["accuracy"] - other["accuracy"],
            "p_value": own["p_value"],
        }
    return row


def jaccard(first: Collection[Unit], second: Collection[Unit]) -> float:
    """The overlap of what two models go without, ``|A ∩ B| / |A ∪ B|``; 1 if that is nothing."""
    one, other = set(first), set(second)
    return len(one & other) / len(one | other) if one | other else 1.0


def summarise_sizes(rows: Sequence[Record]) -> list[Record]:
    """What the searches of each size agree about, with the keys of ``SIZE_COLUMNS``.

    ``jaccard`` is the mean over all pairs of searches; None for one search.
    """
    found = []
    for size in dict.fromkeys(row["size"] for row in rows):
        own = [row for row in rows if row["size"] == size]
        pairs = itertools.combinations((row["dropped"] for row in own), 2)
        overlaps = [jaccard(*pair) for pair in pairs]
        line: Record = {"size": size, "repeats": len(own)}
        line["jaccard"] = statistics.mean(overlaps) if overlaps else None
        line["dropped_mean"] = statistics.mean(len(row["dropped"]) for row in own)
        for name in ("search_gain", "test_gain"):
            gains = [row[name] for row in own if name in row]
            line[f"{name}_mean"] = statistics.mean(gains) if gains else None
            line[f"{name}_sd"] = statistics.stdev(gains) if len(gains) > 1 else None
        found.append(line)
    return found


def count_drops(rows: Sequence[Record]) -> list[Record]:
    """How often BEST goes without each unit: rows with ``size, unit, count, of``."""
    found = []
    for size in dict.fromkeys(row["size"] for row in rows):
        own = [row for row in rows if row["size"] == size]
        counts: dict[Unit, int] = {}
        for unit in (unit for row in own for unit in row["dropped"]):
            counts[unit] = counts.get(unit, 0) + 1
        ranked = sorted(counts.items(), key=lambda item: (-item[1], halves_of(item[0])))
        found += [{"size": size, "unit": u, "count": n, "of": len(own)} for u, n in ranked]
    return found


def stability_figure(rows: Sequence[Record], num_layers: int) -> Figure:
    """How often each layer goes, by size; and the overlap and the gains over sizes."""
    sizes = summarise_sizes(rows)
    figure = Figure(figsize=(8, 5.4), layout="constrained")
    above, below = figure.subplots(2, height_ratios=(1, 1.2))
    shares = np.zeros((len(sizes), num_layers))
    for line, size in enumerate(sizes):
        for row in (row for row in rows if row["size"] == size["size"]):
            for layer in {halves_of(unit)[0][0] for unit in row["dropped"]}:
                shares[line, layer] += 1 / size["repeats"]
    image = above.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto", interpolation="none")
    above.set_yticks(range(len(sizes)), [str(size["size"]) for size in sizes])
    above.set_ylabel("search examples")
    above.set_xlabel("layer")
    above.spines[:].set_visible(False)
    figure.colorbar(image, ax=above, label="share of searches")
    places = range(len(sizes))
    for name, color, shift in (("search_gain", BLUE, -0.06), ("test_gain", VERMILION, 0.06)):
        for row in (row for row in rows if name in row):
            place = next(i for i in places if sizes[i]["size"] == row["size"])
            below.plot(place + shift, 100 * row[name], "o", color=color, markersize=4, alpha=0.6)
        means = [(i, size[f"{name}_mean"]) for i, size in enumerate(sizes)]
        known = [(i, 100 * mean) for i, mean in means if mean is not None]
        label = "search examples" if name == "search_gain" else "held out"
        below.plot([i + shift for i, _ in known], [y for _, y in known], color=color, label=label)
    below.axhline(0, color=FAINT, linewidth=1)
    below.set_xticks(places, [str(size["size"]) for size in sizes])
    below.set_xlim(-0.5, len(sizes) - 0.5)
    below.set_xlabel("search examples")
    below.set_ylabel("gain of BEST (points)")
    known = [(i, size["jaccard"]) for i, size in enumerate(sizes) if size["jaccard"] is not None]
    if known:
        beside = below.twinx()
        beside.plot(*zip(*known, strict=True), "s--", color=ORANGE, label="overlap (Jaccard)")
        beside.set_ylim(0, 1.02)
        beside.set_ylabel("overlap of what BEST drops")
        beside.legend(loc="lower right", fontsize=8)
    below.legend(loc="upper left", fontsize=8)
    return figure
