"""``tale search``: which layers a task does not need."""

from __future__ import annotations

import dataclasses
import functools
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from rich.text import Text

from attention import processes
from attention.command_line import Between, Commas, OneOf, Result, command
from attention.errors import InputError
from attention.files import Record
from attention.options import Display
from attention.terminal import Terminal, plain_table
from attention.words import written
from tale_jax import analysis, criteria, models, opening, runs, searches
from tale_jax.criteria import RankingOptions
from tale_jax.elimination import OBJECTIVES, SearchOptions
from tale_jax.options import RENAMED, DamageOptions, Options

if TYPE_CHECKING:  # the rooms are imported when the command runs
    from tale_jax.searches import Job, OpenedJob


@command(renamed=RENAMED)
def search(
    model: str,
    task: Annotated[tuple[str, ...], Commas(metavar="NAME,NAME")],
    out: Path,
    *,
    objective: Annotated[str, OneOf(OBJECTIVES)] = "mean",
    layers: SearchOptions = SearchOptions(),
    ranking: RankingOptions = RankingOptions(),
    null_control: Annotated[int, Between(ge=0)] = 0,
    damage: DamageOptions = DamageOptions(),
    dry_run: bool = False,
    repeats: Annotated[int, Between(ge=1)] = 1,
    sizes: Annotated[tuple[int, ...], Commas(metavar="50,100"), Between(ge=1)] = (),
    resume: bool = False,
    options: Options = Options(),
    display: Display = Display(),
) -> Result:
    """Eliminate layers of a model for a task, without retraining.

    BEST is the most accurate model met, BSBA the shortest with at least the baseline's accuracy.
    Both are scored again on the test split if the task has one.  The directory then holds
    summary.json, trajectory.jsonl, candidates.csv, predictions.jsonl and report.html.

    Args:
        model: local folder, hub id, or "demo" (the bundled model)
        task: JSONL file, or a name that "tale tasks" lists; or several, for one search for all
        out: directory of the run; must be new unless --resume
        objective: of several tasks: the mean or the min of their accuracies, each task counting the
            same; or each, a search for every task, in OUT/TASK
        null_control: number of searches on shuffled answers, no deeper than the real one, which
            show what luck alone gains
        dry_run: say what the search would ask, hold and take, and write nothing
        repeats: search so often, on rows and shots that other seeds draw, and say what the searches
            agree about; each has a directory of its own in OUT
        sizes: numbers of search examples to draw, --repeats searches of each; by default half of
            what there is
        resume: go on with the run in --out

    Returns:
        The contents of ``summary.json``, among them ``baseline``, ``best`` and ``bsba``.  With the
        objective each: ``tasks``, which has them by the name of each task.

    Raises:
        InputError: a model, a task or an option is not possible; the message says why.
    """
    criteria.check_criterion(ranking.criterion, layers, null_control)
    start, terminal = time.monotonic(), Terminal(display.quiet)
    out = processes.own_folder(out)
    names = tuple(dict.fromkeys(task))
    if not names:
        raise InputError("give at least one task")
    damage.check(names)
    asked = {name: opening.read_task(name, options) for name in names}
    with terminal.waiting(f"loading {model}"):
        opened = models.load_model(model, options)
    check = searches.open_check(opened, damage.damage_text, damage.untouched, options)
    job = searches.Job(opened, asked, objective, layers, ranking, null_control, options, check)
    if (repeats > 1 or sizes) and not dry_run:
        return _repeated(job, out, repeats, sizes, damage, terminal, resume)
    places = {name: out / folder for name, folder in _folders(names).items()}
    each = len(names) > 1 and OBJECTIVES.pick(objective).combine is None
    jobs = _single(job, places) if each else [(out, job)]
    found, shown = {}, []
    for place, one in jobs:
        ready = searches.open_job(one, place, terminal)
        if dry_run:
            found[next(iter(one.tasks))] = forecast = searches.foresee(ready)
            shown += searches.describe_forecast(forecast)
            continue
        commands = functools.partial(_commands, ready, damage=damage)
        summary, result = searches.run_job(
            ready, place, commands, terminal, resume=resume, start=start
        )
        found[next(iter(one.tasks))] = summary
        picks = [getattr(result, pick).dropped for pick in runs.PICKS]
        speeds = None if display.quiet else analysis.speed_ups(ready.scorer, picks)
        shown += [f"\n{summary['task']}"] if each else []
        shown += [*runs.describe_search(summary, speeds)]
        shown.append(f"Stopped: {result.stop_reason}. Report: {place / 'report.html'}")
        start = time.monotonic()
    values = {"model": model, "tasks": found} if each else next(iter(found.values()))
    figure = None if each or dry_run else functools.partial(runs.search_figure, out)
    return Result(values, *shown, figure=figure)


def _repeated(
    job: Job,
    out: Path,
    repeats: int,
    sizes: Sequence[int],
    damage: DamageOptions,
    terminal: Terminal,
    resume: bool,
) -> Result:
    """Search again and again, and describe what the searches agree about."""
    if len(job.tasks) > 1 and OBJECTIVES.pick(job.objective).combine is None:
        raise InputError("--repeats is of one search: give one task, or --objective mean or min")
    commands = functools.partial(_commands, damage=damage)
    found = searches.run_repeats(
        job, out, repeats, sizes, commands,
        terminal, resume=resume,
    )  # fmt: skip
    often = [
        f"{size['size']} examples: BEST goes without "
        + (", ".join(f"{u['unit']} ({u['count']} of {u['of']})" for u in units[:9]) or "nothing")
        for size in found["sizes"]
        if (units := [u for u in found["units"] if u["size"] == size["size"]]) is not None
    ]
    columns = ["search examples", "dropped", "overlap", "gain, search", "gain, held out"]
    return Result(
        found,
        plain_table(columns, [_size_line(size) for size in found["sizes"]], words=0),
        *map(Text, often),
        f"written: {', '.join(map(str, found['files']))}",
    )


def _size_line(size: Record) -> list[str]:
    """A line of the table of repeats; gains in points, mean ± standard deviation."""

    def gain(name: str) -> str:
        mean, spread = size[f"{name}_mean"], size[f"{name}_sd"]
        if mean is None:
            return "–"
        return f"{100 * mean:+.1f}" + ("" if spread is None else f" ± {100 * spread:.1f}")

    overlap = "–" if size["jaccard"] is None else f"{size['jaccard']:.2f}"
    gains = gain("search_gain"), gain("test_gain")
    return [str(size["size"]), f"{size['dropped_mean']:.1f}", overlap, *gains]


def _single(job: Job, places: dict[str, Path]) -> Iterator[tuple[Path, Job]]:
    """A job for every task, and its directory."""
    for name, place in places.items():
        yield place, dataclasses.replace(job, tasks={name: job.tasks[name]})


def _folders(names: Sequence[str]) -> dict[str, str]:
    """A folder for each task: its name without what a path cannot have.

    Raises:
        InputError: two tasks would have one folder.
    """
    folders = {name: re.sub(r"[^\w.-]+", "-", Path(name).name).strip("-.") for name in names}
    if len(set(folders.values())) < len(names):
        raise InputError("two of the tasks would have the same folder: rename a file")
    return folders


def _commands(ready: OpenedJob, controls: int, damage: DamageOptions) -> list[str]:
    """The command lines that make the run again, and export what it found."""
    job = ready.job
    given = {"layers": job.layers, "ranking": job.ranking, "options": job.options}
    given |= {"damage": damage, "model": job.model.name, "task": tuple(job.tasks), "out": "RUN"}
    if len(job.tasks) > 1:
        given["objective"] = job.objective
    again = written(search, runs.SEARCH, given | {"null_control": controls})
    halves = "" if job.layers.granularity == "layer" else " --format tale"
    return [again, f"tale export --run RUN --pick best --out MODEL{halves}"]
