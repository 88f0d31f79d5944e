"""One search from its baseline to the files of its directory."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from attention.files import Record
from attention.terminal import Terminal
from tale_jax import analysis, criteria, elimination, runs
from tale_jax.elimination import Candidate, Gauges, PartTimes
from tale_jax.runs import Run
from tale_jax.scoring import JointScorer, scorers_of
from tale_jax.searches.damage import measure_damage
from tale_jax.searches.job import OpenedJob
from tale_jax.tasks import asked_by_letter, fixed_answer_right


def run_job(
    opened: OpenedJob,
    out: Path,
    commands: Callable[[int], Sequence[str]],
    terminal: Terminal,
    *,
    resume: bool = False,
    start: float | None = None,
) -> tuple[Record, elimination.Result]:
    """Search, and write the directory.

    Args:
        opened: what is searched.
        out: directory of the run.
        commands: command lines for the report, given how many controls there are.
        terminal: shows the search.
        resume: go on with a run that is there.
        start: when the work began, by the monotonic clock; None: now.

    Returns:
        The contents of ``summary.json``, and the result of the search.

    Raises:
        InputError: the directory cannot be used, or the model's logits are not numbers.
    """
    start = time.monotonic() if start is None else start
    job, scorer = opened.job, opened.scorer
    with runs.Run(out, runs.SEARCH, opened.settings, resume=resume) as run:
        found, controls = _search(run, opened, terminal)
        criterion, lost = job.ranking.criterion, {}
        if job.damage is not None:
            lost["damage"] = measure_damage(run, job.model, found, job.damage, terminal)
        summary = runs.finish(
            run,
            found,
            commands(len(controls)),
            {split: [each.prompt for each in rows] for split, rows in scorer.examples.items()},
            criterion=criterion,
            ranked_by=criteria.CRITERIA.pick(criterion).description,
            granularity=job.layers.granularity,
            options=job.options.as_json(),
            null_control=elimination.compare_gains(found, controls),
            too_long=scorer.too_long,
            **lost,
            notes=[note for task in job.tasks.values() for note in task.notes],
            compilations=scorer.compilations,
            seconds=round(time.monotonic() - start, 3),
        )
    return summary, found


def _search(
    run: Run, opened: OpenedJob, terminal: Terminal
) -> tuple[elimination.Result, list[Record]]:
    """Run the search and its controls, and put the answers of the picks into the journal."""
    job, scorer, basis = opened.job, opened.scorer, opened.basis
    criterion, propose = job.ranking.criterion, None
    if not criteria.CRITERIA.pick(criterion).tries_all:
        known, keep = run.losses(criterion), functools.partial(run.loss, criterion)
        propose = criteria.propose_by(criterion, basis, known, keep)
    find = functools.partial(
        elimination.eliminate,
        num_layers=basis.units.num_layers,
        total=scorer.total,
        missing=basis.units.missing,
        propose=propose,
    )
    with runs.show_search(run, terminal) as progress:
        if not run.known:  # a model whose logits are NaN is refused before anything is written
            scorer.answers("search", ())

        def on_candidate(candidate: Candidate) -> None:
            if isinstance(scorer, JointScorer) and run.by_task(candidate) is None:
                counts = scorer.by_task(candidate.dropped)
                assert counts is not None
                run.count_tasks(candidate, counts)
            progress.candidate(candidate)
            if candidate.layer is None:
                _warn_of_chance(opened, run.by_task(candidate) or [candidate.correct], terminal)
                keep_time(candidate)

        def on_accepted(candidate: Candidate) -> None:
            progress.accepted(candidate)
            keep_time(candidate)

        def keep_time(candidate: Candidate) -> None:
            if job.layers.max_hours is not None:
                run.keep_time(candidate.iteration)

        found = find(
            scorer.count,
            options=job.layers,
            known=run.known,
            race=scorer.race if propose is None else None,
            gauges=_gauges(run, opened),
            on_candidate=on_candidate,
            on_accepted=on_accepted,
        )
        for pick in (found.baseline, found.best, found.bsba):
            for split in scorer.examples:
                run.evaluate(
                    split, pick.dropped, functools.partial(scorer.answers, split, pick.dropped)
                )
        control = elimination.NullControl(
            functools.partial(scorer.answers, "search"),
            scorer.examples["search"],
            functools.partial(find, options=job.layers.no_deeper(len(found.steps))),
            scorer.joint if isinstance(scorer, JointScorer) else None,
        )
        return found, run.controls(job.null_control, control.run, progress.shuffles)


def _warn_of_chance(opened: OpenedJob, correct: Sequence[int], terminal: Terminal) -> None:
    """Tell that a search follows noise, where the whole model answers no better than by chance.

    Args:
        opened: the search.
        correct: answers of the whole model, by task.
        terminal: shows the line.
    """
    for (name, scorer), count in zip(scorers_of(opened.scorer).items(), correct, strict=True):
        rows = scorer.examples["search"]
        asked = len(rows), fixed_answer_right(rows), asked_by_letter(rows)
        if (line := runs.beside_chance(count, *asked)) is not None:
            start = f"baseline, {name}" if name else "baseline"
            terminal.message(f"{start}: {line}; what is found may be noise")


def _gauges(run: Run, opened: OpenedJob) -> Gauges:
    """What the stop rules read; parts are timed only if a rule asks for it."""
    if opened.job.layers.target_speedup is None:
        return Gauges(None, run.elapsed)
    units = opened.basis.units
    measured = run.part_times(lambda: analysis.time_parts(opened.scorer, units))
    times = PartTimes(**measured, num_layers=units.num_layers, missing=units.missing)
    return Gauges(times.speed_up, run.elapsed)
