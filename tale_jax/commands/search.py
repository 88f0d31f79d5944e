"""``tale search``: which layers a task does not need."""

from __future__ import annotations

import dataclasses
import functools
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from attention.command_line import Between, Result, command
from attention.files import Record
from attention.options import Display
from attention.terminal import Terminal
from attention.words import written
from tale_jax import analysis, criteria, elimination, models, opening, runs
from tale_jax.criteria import RankingOptions
from tale_jax.elimination import SearchOptions
from tale_jax.options import RENAMED, Options

if TYPE_CHECKING:  # the rooms are imported when the command runs
    from tale_jax.criteria import Basis
    from tale_jax.runs import Run


@command(renamed=RENAMED)
def search(
    model: str,
    task: str,
    out: Path,
    *,
    layers: SearchOptions = SearchOptions(),
    ranking: RankingOptions = RankingOptions(),
    null_control: Annotated[int, Between(ge=0)] = 0,
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
        task: JSONL file, or a name that "tale tasks" lists
        out: directory of the run; must be new unless --resume
        null_control: number of searches on shuffled answers, no deeper than the real one, which
            show what luck alone gains
        resume: go on with the run in --out

    Returns:
        The contents of ``summary.json``, among them ``baseline``, ``best`` and ``bsba``.

    Raises:
        InputError: a model, a task or an option is not possible; the message says why.
    """
    criteria.check_criterion(ranking.criterion, layers, null_control)
    start, terminal = time.monotonic(), Terminal(display.quiet)
    asked = opening.read_task(task, options)
    opened = models.load_model(model, options)
    options = opening.dated(options, asked, opened, out)
    scorer = opening.open_scorer(opened, asked, options, terminal)
    units = layers.units(opened.config.num_hidden_layers, opened.missing)
    basis = criteria.Basis(opened, scorer, units, ranking.calibration, options.seed)
    settings = opening.identify(opened, options)
    settings |= opening.identify_task(task, asked, opened, scorer, options)
    settings |= dataclasses.asdict(layers) | {"criterion": ranking.criterion}
    settings["calibration"] = None if ranking.calibration is None else str(ranking.calibration)
    settings |= {name: getattr(options, name) for name in ("limit", "choices", "shots", "seed")}
    with runs.Run(out, runs.SEARCH, settings, resume=resume) as run:
        found, controls = _search(run, basis, layers, ranking.criterion, null_control, terminal)
        given = {"layers": layers, "ranking": ranking, "options": options, "model": model}
        given |= {"task": task, "out": "RUN", "null_control": len(controls)}
        export = "tale export --run RUN --pick best --out MODEL"
        halves = "" if layers.granularity == "layer" else " --format tale"
        summary = runs.finish(
            run,
            found,
            [written(search, runs.SEARCH, given), export + halves],
            criterion=ranking.criterion,
            ranked_by=criteria.CRITERIA.pick(ranking.criterion).description,
            granularity=layers.granularity,
            options=options.as_json(),
            null_control=elimination.compare_gains(found, controls),
            too_long=scorer.too_long,
            notes=list(asked.notes),
            compilations=scorer.compilations,
            seconds=round(time.monotonic() - start, 3),
        )
    speeds = None
    if not display.quiet:
        speeds = analysis.speed_ups(scorer, [getattr(found, pick).dropped for pick in runs.PICKS])
    end = f"Stopped: {found.stop_reason}. Report: {out / 'report.html'}"
    return Result(summary, *runs.describe_search(summary, speeds), end)


def _search(
    run: Run,
    basis: Basis,
    layers: SearchOptions,
    criterion: str,
    null_control: int,
    terminal: Terminal,
) -> tuple[elimination.Result, list[Record]]:
    """Run the search and its controls, and put the answers of the picks into the journal."""
    scorer, propose = basis.scorer, None
    if not criteria.CRITERIA.pick(criterion).tries_all:
        known, keep = run.losses(criterion), functools.partial(run.loss, criterion)
        propose = criteria.propose_by(criterion, basis, known, keep)
    find = functools.partial(
        elimination.eliminate,
        num_layers=basis.units.num_layers,
        total=len(scorer.examples["search"]),
        missing=basis.units.missing,
        propose=propose,
    )
    with runs.show_search(run, terminal) as progress:
        if not run.known:  # a model whose logits are NaN is refused before anything is written
            scorer.answers("search", ())
        found = find(
            scorer.count,
            options=layers,
            known=run.known,
            race=scorer.race if propose is None else None,
            on_candidate=progress.candidate,
            on_accepted=progress.accepted,
        )
        for pick in (found.baseline, found.best, found.bsba):
            for split in scorer.examples:
                run.evaluate(
                    split, pick.dropped, functools.partial(scorer.answers, split, pick.dropped)
                )
        no_deeper = dataclasses.replace(layers, max_drops=max(1, len(found.steps)))
        control = elimination.NullControl(
            functools.partial(scorer.answers, "search"),
            scorer.examples["search"],
            functools.partial(find, options=no_deeper),
        )
        return found, run.controls(null_control, control.run, progress.shuffles)
