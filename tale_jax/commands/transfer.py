"""``tale transfer``: layers found on one task, scored on another.

A journal in the directory lets the table go on after a kill.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from attention.command_line import Repeated, Result, command
from attention.files import Record
from attention.options import Display
from attention.terminal import Terminal, plain_table
from tale_jax import analysis, opening, runs
from tale_jax.options import Reopening


@command(renamed={"runs": "--run DIR --run DIR"})
def transfer(
    run: Annotated[tuple[Path, ...], Repeated(metavar="DIR")],
    out: Path,
    *,
    pick: Literal["best", "bsba"] = "best",
    resume: bool = False,
    reopening: Reopening = Reopening(),
    display: Display = Display(),
) -> Result:
    """Score the layers found on each task on every other one: a table of tasks by tasks.

    Writes transfer.csv, transfer.svg and transfer.png.

    Args:
        run: directory of a finished search; all are of one model
        out: directory of the table; must be new unless --resume
        pick: best: most accurate; bsba: shortest with at least baseline accuracy
        resume: go on with the table in --out

    Returns:
        ``rows``: for each pair of tasks what :func:`tale_jax.analysis.score_drops` gives.
        ``files``: what was written.

    Raises:
        InputError: there are fewer than two runs, of several models, or two on one task.
    """
    searches = [runs.load_run(directory) for directory in run]
    drops = analysis.drops_by_task(searches, pick)
    opened, terminal = opening.reopen_model(searches[0], reopening), Terminal(display.quiet)
    settings = {
        "fingerprint": searches[0].settings.get("fingerprint"),
        "pick": pick,
        "tasks": [search.settings.get("task_fingerprint") for search in searches],
        "drops": list(drops.values()),
        "limit": reopening.limit,
    }
    rows = []
    with runs.Run(out, "tale transfer", settings, resume=resume) as table:
        for search in searches:
            task = str(search.settings["task"])
            scorer = opening.reopen_scorer(search, opened, reopening, terminal)
            rows += analysis.score_drops(table, task, scorer, drops)
            terminal.message(f"{task}: done")
        files = analysis.write_rows(
            out, "transfer", rows, analysis.TRANSFER_COLUMNS, lambda: analysis.transfer_figure(rows)
        )
    tested = all(row["split"] == "test" for row in rows)
    columns = ["layers found on", *dict.fromkeys(row["scored_on"] for row in rows)]
    lines = [
        [source, *(_cell(row) for row in rows if row["found_on"] == source)] for source in drops
    ]
    return Result(
        {"rows": rows, "files": files},
        f"accuracy (%) on the {'test' if tested else 'test or search'} split, {pick.upper()}; "
        "* p < 0.05 against the full model",
        plain_table(columns, lines, words=1),
        f"written: {', '.join(map(str, files))}",
    )


def _cell(row: Record) -> str:
    star = "*" if row["p_value"] < 0.05 else ""
    return f"{100 * row['accuracy']:.1f} [{100 * row['low']:.0f}, {100 * row['high']:.0f}]{star}"
