"""``icl roots``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from attention import files
from attention.command_line import Between, Repeated, Result, command
from attention.errors import InputError
from attention.files import Record
from attention.options import Seed
from attention.terminal import Terminal, plain_table
from icl import analysis, tasks, training

if TYPE_CHECKING:
    from rich.table import Table

    from icl.training import Trained

MEASURED = ("unanswered", "median_distance", "within_0.1", "coverage")


@command
def roots(
    *,
    run: Path,
    out: Path | None = None,
    functions: str | None = None,
    sweep: Annotated[tuple[str, ...], Repeated(metavar="NAME=VALUES")] = (),
    seed: Seed = 0,
    count: Annotated[int, Between(ge=1)] = 256,
    low: float = -3.0,
    high: float = 3.0,
) -> Result:
    """Measure how near a model comes to a root of the function that it is shown.

    A run with --inverse is asked for the x of the value 0 ("swap"). Any other run is asked for f
    over a grid, and the answers are where f changes sign ("scan"); the one nearest to 0 is judged.

    Args:
        run: directory of icl train, or zoo:NAME; each of its seeds is a row
        out: directory for roots.csv
        functions: class of functions, or CLASS@DISTRIBUTION; by default that of the run
        sweep: what varies: degree=2:5, sigma=1:3, inputs=1,2 or points=21,41
        seed: draws functions and inputs
        count: number of functions
        low: smallest root that counts
        high: largest root that counts

    Returns:
        ``roots``: a row for each setting and model, and one for always answering 0.

    Raises:
        InputError: the range is empty, or the run learned another kind of task.
    """
    if not low < high:
        raise InputError("--low must be less than --high")
    if out is not None:
        files.check_folder(out)
    files.use_compilation_cache()
    models = training.load_all(run)
    learned = tasks.require_functions(next(iter(models.values())).task)
    task = tasks.task_asked(tasks.PromptOptions(functions=functions), learned)
    settings, rows = list(task.settings(sweep)), []
    with Terminal().steps("settings", len(settings)) as advance:
        for setting in settings:
            rows += rows_of_models(
                models, task, setting, count=count, seed=seed, low=low, high=high
            )
            advance()
    return Result({"roots": rows}, *root_table(rows, out))


def rows_of_models(
    models: Mapping[str, Trained],
    task: tasks.Task,
    setting: tasks.Setting,
    *,
    count: int,
    seed: int,
    low: float = -3.0,
    high: float = 3.0,
) -> Iterator[Record]:
    """A row for always answering 0, and one for each model."""
    for i, (name, trained) in enumerate(models.items()):
        found = analysis.approximate(
            trained, setting, asked=task, count=count, seed=seed, low=low, high=high
        )
        reading = "swap" if trained.experiment.inverse else "scan"
        yield from [] if i else [zero_row(found, setting, reading)]
        yield row_of(found, setting, reading, name)


def row_of(found: Mapping[str, float], setting: tasks.Setting, reading: str, name: str) -> Record:
    """The scores of a predictor as a row of the table."""
    asked = {axis: setting[axis] for axis in tasks.ROOT_AXES}
    counts = {of: found[of] for of in ("functions", "without_root")}
    return {"reading": reading, "predictor": name, **asked, **counts} | {
        of: found[of] for of in MEASURED
    }


def zero_row(found: Mapping[str, float], setting: tasks.Setting, reading: str) -> Record:
    """The row of always answering 0."""
    zero = {of: found[f"{of}_of_zero"] for of in MEASURED[1:]}
    return row_of({**found, "unanswered": 0, **zero}, setting, reading, "always 0")


def root_table(rows: Sequence[Record], out: Path | None) -> list[str | Table]:
    """The table for the terminal; the file roots.csv is written if there is a directory."""
    varying = [a for a in tasks.ROOT_AXES if len({str(row[a]) for row in rows}) > 1]
    columns = ["reading", "predictor", *varying, "functions", *MEASURED]
    cells = [[tasks.shown(row[column]) for column in columns] for row in rows]
    heads = [column.replace("median_distance", "distance").replace("_", " ") for column in columns]
    told = "median distance to the nearest root, over functions with a root in the range\n"
    lines: list[str | Table] = [told, plain_table(heads, cells, words=2)]
    if out is not None:
        files.write_table(out / "roots.csv", rows)
        lines.append(f"\n{out / 'roots.csv'}")
    return lines
