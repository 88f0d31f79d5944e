"""Layers found on one task, scored on another: ``tale transfer``.

Writes ``transfer.csv`` and ``transfer.svg``/``.png``; a journal lets it go on after a kill.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from attention.errors import InputError
from attention.files import save_figure, write_table
from attention.statistics import mcnemar_p_value
from tale_jax.opening import chosen_layers, reopen_model, reopen_scorer
from tale_jax.runs import FinishedRun, Run, Terminal, measure
from tale_jax.units import Dropped

FULL = "full model"
COLUMNS = "found_on dropped scored_on split correct total accuracy low high change p_value".split()


def transfer(
    runs: Sequence[str | Path],
    out: str | Path,
    *,
    pick: str = "best",
    model: str | None = None,
    limit: int | None = None,
    resume: bool = False,
    quiet: bool = True,
) -> list[dict[str, Any]]:
    """The table tasks × tasks: accuracy on each task without the layers found on each.

    Args:
        runs: directories of finished searches of one model, each on a task of its own.
        out: directory to make.
        pick: which layers of each run: ``best`` or ``bsba``.
        model: where the searched checkpoint is now, if it moved.
        limit: score on the first so many examples of each task; None: on all.
        resume: go on with the table in ``out``.
        quiet: show nothing.

    Returns:
        The rows of ``transfer.csv``: accuracy on the test split (the search split where there is
        no other) with its Wilson interval, the change against the full model and its exact McNemar
        p-value.

    Raises:
        InputError: fewer than two runs, of several models, or twice on one task.
    """
    found = [chosen_layers(run, pick) for run in runs]
    searches = [run for run, _ in found]
    _check(searches)
    opened, terminal = reopen_model(searches[0], model), Terminal(quiet)
    drops: dict[str, Dropped] = {FULL: ()}
    drops |= {_task(run): dropped for run, dropped in found}
    settings = {
        "fingerprint": searches[0].settings["fingerprint"],
        "pick": pick,
        "tasks": [run.settings["task_fingerprint"] for run in searches],
        "drops": [list(dropped) for dropped in drops.values()],
    }
    if limit is not None:
        settings["limit"] = limit
    rows = []
    with Run(out, "tale transfer", settings, resume=resume) as table:
        for run in searches:
            scorer = reopen_scorer(run, opened, terminal, limit)
            split = "test" if "test" in scorer.examples else "search"
            full: list[bool] = []
            for source, dropped in drops.items():
                answers = table.evaluate(
                    f"{_task(run)}: {split}",
                    dropped,
                    lambda d=dropped, scorer=scorer, split=split: scorer.answers(split, d),
                )
                right = [answer.correct for answer in answers]
                full = full or right
                measured = measure(sum(right), len(right))
                rows.append(
                    {"found_on": source, "dropped": dropped, "scored_on": _task(run)}
                    | {"split": split, **measured, "p_value": mcnemar_p_value(full, right)}
                    | {"change": measured["accuracy"] - sum(full) / len(full)}
                )
            terminal.message(f"{_task(run)}: done")
    files = [Path(out) / f"transfer.{kind}" for kind in ("csv", "svg", "png")]
    write_table(files[0], rows, COLUMNS)
    save_figure(lambda: transfer_figure(rows), *files[1:])
    terminal.table(
        f"accuracy (%) on the {'test' if _tested(rows) else 'test or search'} split, {pick.upper()}"
        "; * p < 0.05 against the full model",
        ["layers found on", *dict.fromkeys(row["scored_on"] for row in rows)],
        [[source, *(_cell(row) for row in rows if row["found_on"] == source)] for source in drops],
    )
    terminal.message(f"written: {', '.join(map(str, files))}")
    return rows


def _task(run: FinishedRun) -> str:
    return str(run.settings["task"])


def _check(runs: Sequence[FinishedRun]) -> None:
    if len(runs) < 2:
        raise InputError("a transfer table takes at least two runs")
    if len({run.settings["fingerprint"] for run in runs}) > 1:
        raise InputError("the runs searched different models; transfer is between tasks of one")
    if len({_task(run) for run in runs}) < len(runs):
        raise InputError("two of the runs are of one task; give each task once")


def _tested(rows: Sequence[Mapping[str, Any]]) -> bool:
    return all(row["split"] == "test" for row in rows)


def _cell(row: Mapping[str, Any]) -> str:
    star = "*" if row["p_value"] < 0.05 else ""
    return f"{100 * row['accuracy']:.1f} [{100 * row['low']:.0f}, {100 * row['high']:.0f}]{star}"


def transfer_figure(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Points above or below the full model, source of the layers by task."""
    sources = list(dict.fromkeys(row["found_on"] for row in rows))
    tasks = list(dict.fromkeys(row["scored_on"] for row in rows))
    points = np.zeros((len(sources), len(tasks)))
    for row in rows:
        place = sources.index(row["found_on"]), tasks.index(row["scored_on"])
        points[place] = 100 * row["change"]
    size = (max(5.6, 2.6 + 1.1 * len(tasks)), 2 + 0.55 * len(sources))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    reach = max(5.0, float(np.percentile(np.abs(points), 90)))
    axes.imshow(points, cmap="RdBu", norm=Normalize(-reach, reach), aspect="auto")
    for row in rows:
        y, x = sources.index(row["found_on"]), tasks.index(row["scored_on"])
        spread = 50 * (row["high"] - row["low"])
        text = f"{100 * row['accuracy']:.1f} ± {spread:.1f}"
        dark = abs(points[y, x]) > 0.6 * reach
        weight = "bold" if row["p_value"] < 0.05 else "normal"
        axes.text(x, y, text, ha="center", va="center", fontsize=8, fontweight=weight,
                  color="white" if dark else "black")  # fmt: skip
    axes.set_xticks(range(len(tasks)), tasks, rotation=20, ha="right")
    axes.set_yticks(range(len(sources)), sources)
    axes.set_xlabel("accuracy (%) on")
    axes.set_ylabel("layers found on")
    axes.spines[:].set_visible(False)
    figure.suptitle(
        "blue: above the full model, red: below; bold: p < 0.05\n± half the 95 % interval",
        fontsize=9,
    )
    return figure
