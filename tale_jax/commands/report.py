"""``tale report``: several searches on one page."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from attention import files
from attention.command_line import Between, Repeated, Result, command
from attention.errors import InputError
from attention.files import Record
from attention.options import Display
from attention.terminal import Terminal, plain_table
from tale_jax import analysis, opening, runs
from tale_jax.options import Reopening, Workload

if TYPE_CHECKING:
    from tale_jax.runs import FinishedRun, Run

PARETO_NOTE = (
    "Each point is a model of the Pareto front of a search, timed as a shorter model with a cache. "
    "Open circles: accuracy where the layers were chosen, which is optimistic. Squares: held out."
)


@command
def report(
    run: Annotated[tuple[Path, ...], Repeated(metavar="DIR")],
    out: Path,
    *,
    pareto: bool = False,
    points: Annotated[int, Between(ge=2)] = 8,
    work: Workload = Workload(),
    resume: bool = False,
    reopening: Reopening = Reopening(),
    display: Display = Display(),
) -> Result:
    """Draw the layers that several searches dropped, by task and by model, on one page.

    Writes report.html, overview.csv, overview.svg and overview.png; with --pareto also pareto.csv,
    pareto.svg and pareto.png.

    Args:
        run: directory of a finished search
        out: directory of the page; must be new unless --resume
        pareto: open the models, and score and time those on the Pareto front of each search
        points: models of each front
        resume: go on with the page in --out

    Returns:
        ``rows`` of overview.csv, ``pareto``: those of pareto.csv, and ``files``.

    Raises:
        InputError: a directory holds no finished search.
    """
    searches = [runs.load_run(directory) for directory in run]
    if not searches:
        raise InputError("give --run once or more")
    terminal = Terminal(display.quiet)
    settings = {
        "runs": [[found.settings["fingerprint"], found.settings["task"]] for found in searches],
        "picks": [[found.dropped(pick) for pick in runs.PICKS] for found in searches],
        "pareto": pareto,
        "points": points,
        "limit": reopening.limit,
    }
    measured, written, more = [], [], []
    rows = runs.overview_rows(searches)
    with runs.Run(out, "tale report", settings, resume=resume) as table:
        if pareto:
            for found in searches:
                measured += _front(table, found, reopening, work, points, terminal)
            draw = functools.partial(analysis.pareto_figure, measured)
            written += analysis.write_rows(out, "pareto", measured, analysis.PARETO_COLUMNS, draw)
            drawn = files.figure_to_svg(draw, "Accuracy against latency")
            more.append(("Accuracy and latency", drawn, PARETO_NOTE))
        draw = functools.partial(runs.overview_figure, searches)
        written += analysis.write_rows(out, "overview", rows, runs.OVERVIEW_COLUMNS, draw)
        files.write_text(out / "report.html", runs.render_overview(searches, more))
    shown = [plain_table(["task", "", "layers dropped", "test accuracy", "p"], _lines(rows), 3)]
    if measured:
        columns = ["task", "layers dropped", "search", "held out", "p", "time"]
        lines = [analysis.pareto_line(row) for row in measured]
        shown += ["", plain_table(columns, lines, words=2)]
    page = out / "report.html"
    values = {"rows": rows, "pareto": measured, "files": [page, *written]}
    return Result(values, *shown, f"Report: {page}")


def _front(
    table: Run,
    found: FinishedRun,
    reopening: Reopening,
    work: Workload,
    points: int,
    terminal: Terminal,
) -> list[Record]:
    """Measure the front of a search."""
    opened = opening.reopen_model(found, reopening)
    scorer = opening.reopen_scorer(found, opened, reopening, terminal)
    measured = analysis.measure_front(table, found, opened, scorer, work, points)
    terminal.message(f"{found.settings['task']}: {len(measured)} models measured")
    return measured


def _lines(rows: Sequence[Record]) -> list[list[str]]:
    """Lines of the table on the terminal."""
    lines = []
    for row in rows:
        held_out = ["no held-out data", ""]
        if "test_accuracy" in row:
            found = {name: row[f"test_{name}"] for name in ("accuracy", "low", "high")}
            held_out = [runs.interval(found), f"{row['p_value']:.2g}"]
        lines.append([row["task"], row["pick"], runs.layer_list(row["dropped"]), *held_out])
    return lines
