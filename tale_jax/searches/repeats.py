"""The same search on other rows: repeated with other seeds, and on more and fewer examples."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path

from attention.errors import InputError
from attention.files import Record, RunDirectory
from attention.terminal import Terminal
from tale_jax import analysis, opening
from tale_jax.searches.job import Job, OpenedJob, open_job
from tale_jax.searches.one_search import run_job
from tale_jax.searches.stability import (
    REPEAT_COLUMNS,
    count_drops,
    repeat_row,
    stability_figure,
    summarise_sizes,
)

COMMAND = "tale search --repeats"
Commands = Callable[[OpenedJob, int], Sequence[str]]


def run_repeats(
    job: Job,
    out: Path,
    repeats: int,
    sizes: Sequence[int],
    commands: Commands,
    terminal: Terminal,
    *,
    resume: bool = False,
) -> Record:
    """Search again and again, on rows that other seeds draw.

    Each search has a directory of its own, ``OUT/examples-SIZE/seed-SEED``, which every command
    opens.  Shots are drawn anew too.  The test examples stay.

    Args:
        job: the search.
        out: directory of the series.
        repeats: searches of each size; their seeds follow that of the job.
        sizes: numbers of search examples; empty: half of what each task has.
        commands: command lines for the report of a search, given it and its number of controls.
        terminal: shows the searches.
        resume: go on with a series that is there.

    Returns:
        ``rows``, ``sizes``, ``units`` (how often each goes) and ``files``.

    Raises:
        InputError: a task has fewer examples than are to be drawn, or the directory cannot be used.
    """
    have = min(len(task.search) for task in job.tasks.values())
    wanted = tuple(dict.fromkeys(sizes)) or (max(1, have // 2),)
    if max(wanted) > have:
        raise InputError(f"--sizes: {max(wanted)} examples of {have}; give fewer, or a larger task")
    plan = [(size, job.options.seed + i) for size in wanted for i in range(repeats)]
    names = tuple(job.tasks)
    settings = opening.identify(job.model, job.options) | job.layers.as_settings()
    settings |= {"task": ",".join(names), "objective": job.objective}
    settings |= {"criterion": job.ranking.criterion, "shots": job.options.shots}
    rows: list[Record] = []
    with RunDirectory(out, COMMAND, settings, resume=resume):
        for number, (size, seed) in enumerate(plan, 1):
            terminal.message(f"search {number} of {len(plan)}: {size} examples, seed {seed}")
            options = dataclasses.replace(job.options, draw=size, seed=seed)
            tasks = {name: opening.read_task(name, options) for name in names}
            place = out / f"examples-{size}" / f"seed-{seed}"
            again = dataclasses.replace(job, tasks=tasks, options=options)
            ready = open_job(again, place, terminal)
            told = functools.partial(commands, ready)
            summary, _ = run_job(ready, place, told, terminal, resume=True)
            rows.append(repeat_row(size, seed, summary))
        draw = functools.partial(stability_figure, rows, job.model.config.num_hidden_layers)
        files = analysis.write_rows(out, "repeats", rows, REPEAT_COLUMNS, draw)
    found = {"rows": rows, "sizes": summarise_sizes(rows), "units": count_drops(rows)}
    return {**found, "files": files}
