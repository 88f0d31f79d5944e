"""``icl roots``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from attention import files
from attention.command_line import Between, Result, command
from attention.errors import InputError
from attention.files import Record
from attention.options import Seed
from attention.terminal import plain_table
from icl import analysis, tasks, training


@command
def roots(
    *,
    run: Path,
    out: Path | None = None,
    seed: Seed = 0,
    count: Annotated[int, Between(ge=1)] = 256,
    low: float = -3.0,
    high: float = 3.0,
) -> Result:
    """Measure how near a model comes to a root of the function that it is shown.

    A run with --inverse is asked for the x of the value 0 ("swap"). Any other run is asked for f
    over a grid, and the answer is where f changes sign ("scan").

    Args:
        run: directory of icl train; each of its seeds is a row
        out: directory for roots.csv
        seed: draws functions and inputs
        count: number of functions
        low: smallest root that counts
        high: largest root that counts

    Returns:
        ``roots``: a row for each model, and one for always answering 0.

    Raises:
        InputError: the range is empty, or the run learned another kind of task.
    """
    if not low < high:
        raise InputError("--low must be less than --high")
    if out is not None:
        files.check_folder(out)
    files.use_compilation_cache()
    rows: list[Record] = []
    told = ""
    for name, trained in training.load_all(run).items():
        found = analysis.approximate(trained, count=count, seed=seed, low=low, high=high)
        reading = "swap" if trained.experiment.inverse else "scan"
        measured = ("unanswered", "median_distance", "within_0.1")
        zero = {"unanswered": 0} | {of: found[f"{of}_of_zero"] for of in measured[1:]}
        rows += [] if rows else [{"reading": reading, "predictor": "always 0", **zero}]
        rows.append({"reading": reading, "predictor": name, **{of: found[of] for of in measured}})
        told = f"{reading}: {found['functions']} functions; {found['without_root']} without a root"
    columns = list(rows[0])[1:]
    cells = [[tasks.shown(row[column]) for column in columns] for row in rows]
    table = plain_table([column.replace("_", " ") for column in columns], cells, words=1)
    shown = [f"{told} in {low:g} to {high:g}\n", table]
    if out is not None:
        files.write_table(out / "roots.csv", rows)
        shown.append(f"\n{out / 'roots.csv'}")
    return Result({"roots": rows}, *shown)
