"""Do the layers that TALE drops tell less about the answer, change less, or attend in vain?

    python scripts/compare_layer_measures.py --runs runs/smollm2     # minutes to an hour each
    tale search --model demo --task demo:boolean --out runs/boolean  # a minute, and a minute:
    python scripts/compare_layer_measures.py --runs runs/boolean --limit 100

For each finished search the table has a line a layer of the whole model: what is lost without it,
and what ``tale_jax.analysis.measure_layers`` measures, on the examples of the search.

Below it, for each measure: the rank correlation with ``lost`` over layers, and the chance that a
dropped layer has a smaller value than a kept one (1 if the measure tells them apart, 0.5 if not at
all), with 95 % bootstrap intervals over layers.  A unit is a search and a limit, a file of
docs/results/data/across with a figure beside; a finished one is read.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from rich.table import Table

from attention import files
from attention.command_line import Commas, Result, command, run_script
from attention.files import BLUE, VERMILION, Record
from attention.options import Count
from attention.statistics import rank_correlation
from attention.terminal import Terminal, plain_table
from tale_jax import analysis, opening
from tale_jax.options import Reopening
from tale_jax.runs import FinishedRun, load_run

DATA = Path("docs/results/data/across")
MEASURES = ("lost", "answer", "perplexity", "influence", "attention", "information")
DRAWS = 2000


def examine(run: FinishedRun, limit: int | None, terminal: Terminal) -> list[Record]:
    """The measures of each layer, and whether BEST and BSBA go without it."""
    model = opening.reopen_model(run)
    scorer = opening.reopen_scorer(run, model, Reopening(limit=limit), terminal)
    found = analysis.measure_layers(model, scorer, run.tasks[0], terminal.steps)
    return [
        {"layer": i, "examples": len(scorer.examples["search"])}
        | {name: column[i].item() for name, column in found.items()}
        | {pick: i in run.dropped(pick) for pick in ("best", "bsba")}
        for i in range(model.config.num_hidden_layers)
    ]


def with_interval(
    rows: Sequence[Record], statistic: Callable[[Sequence[Record]], float]
) -> tuple[float, float, float]:
    """A statistic of layers, and the 95 % interval of its bootstrap over layers."""
    rng, drawn = np.random.default_rng(0), []
    for _ in range(DRAWS):
        value = statistic([rows[i] for i in rng.integers(len(rows), size=len(rows))])
        drawn += [] if np.isnan(value) else [value]
    low, high = np.quantile(drawn, (0.025, 0.975)) if drawn else (np.nan, np.nan)
    return statistic(rows), float(low), float(high)


def correlation(rows: Sequence[Record], name: str) -> float:
    """Spearman's rank correlation of a measure with ``lost``; NaN if one has a single value."""
    return rank_correlation(np.array([[row[name], row["lost"]] for row in rows]))


def told_apart(rows: Sequence[Record], name: str) -> float:
    """The chance that a layer that BSBA drops has less of a measure than one that it keeps."""
    gone = np.array([row[name] for row in rows if row["bsba"]])[:, None]
    kept = np.array([row[name] for row in rows if not row["bsba"]])
    if not gone.size or not kept.size:
        return np.nan
    return float(np.mean((gone < kept) + 0.5 * (gone == kept)))


def tables(rows: Sequence[Record]) -> list[Table]:
    """A line for each layer (* BEST goes without it, + BSBA), and the relations of measures."""
    lines = [
        [f"{row['layer']}{'*' * row['best']}{'+' * row['bsba']}", str(row["lost"])]
        + [f"{row[name]:.3g}" for name in MEASURES[1:]]
        for row in rows
    ]
    related = []
    for name in MEASURES:
        of = [functools.partial(statistic, name=name) for statistic in (correlation, told_apart)]
        each = [with_interval(rows, statistic) for statistic in of]
        related.append([name, *(f"{x:.2f} [{low:.2f}, {high:.2f}]" for x, low, high in each)])
    titles = ["measure", "rank correlation with lost", "less in layers that BSBA drops"]
    return [plain_table(["layer", *MEASURES], lines), plain_table(titles, related, words=1)]


def drawing(rows: Sequence[Record]) -> Figure:
    """A panel for each measure, a bar for each layer; those that BSBA drops stand out.

    One layer is often worth a thousand others: beyond the median size the axis is logarithmic.
    """
    figure = Figure(figsize=(8, 4.6), layout="constrained")
    for axes, name in zip(figure.subplots(2, 3, sharex=True).flat, MEASURES, strict=True):
        colors = [VERMILION if row["bsba"] else BLUE for row in rows]
        values = [row[name] for row in rows]
        axes.bar([row["layer"] for row in rows], values, color=colors)
        middle = float(np.median(np.abs(values)))
        if middle > 0 and max(map(abs, values)) > 30 * middle:
            axes.set_yscale("symlog", linthresh=middle)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_title(name)
        axes.axhline(0, color="black", linewidth=0.6)
    figure.supxlabel("layer; those that BSBA drops in red")
    return figure


@command
def main(
    runs: Annotated[tuple[Path, ...], Commas(Path, "RUN,RUN")],
    *,
    data: Path = DATA,
    limit: Count | None = None,
) -> Result:
    """Compare what can be measured of layers with what a search drops.

    Args:
        runs: directories of finished searches, each for one task
        data: folder of the finished units and figures
        limit: use so few examples
    """
    shown, values = [], {}
    for path in runs:
        run, unit = load_run(path), data / f"layers-{path.name}-{limit or 'all'}.json"
        values[path.name] = files.finished(unit, functools.partial(examine, run, limit, Terminal()))
        files.save_figure(functools.partial(drawing, values[path.name]), unit.with_suffix(".png"))
        shown += [f"{path.name}: {run.tasks[0]}", *tables(values[path.name]), ""]
    return Result(values, *shown)


if __name__ == "__main__":
    run_script(main)
