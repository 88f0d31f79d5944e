"""Elimination of layers for a task, from names to files: ``from tale_jax import search``."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from attention import command_line
from attention.command_line import command
from attention.options import Display
from tale_jax.analysis import speed_ups
from tale_jax.criteria import Criterion, Greedy, calibration_rows, make_criterion
from tale_jax.elimination import NullControl, Result, compare_gains, eliminate
from tale_jax.models import Model
from tale_jax.opening import identify, open_model, open_scorer, read_task, task_fingerprint
from tale_jax.options import RENAMED, Options
from tale_jax.plans import Plan, command_lines
from tale_jax.runs import PICKS, SEARCH, Run, Terminal, finish
from tale_jax.scoring import Scorer
from tale_jax.tasks import count_unparsed
from tale_jax.units import ordered


@command(renamed=RENAMED)
def search(
    model: str,
    task: str,
    out: Path,
    *,
    plan: Plan = Plan(),
    resume: bool = False,
    options: Options = Options(),
    display: Display = Display(),
) -> command_line.Result:
    """Eliminate layers of a model for a task, greedily by accuracy, without retraining.

    BEST is the most accurate model met, BSBA the shortest with at least the baseline's accuracy.
    Both are scored again on the test split if the task has one.  Source: TELL-TALE, arXiv
    2510.22767.

    Args:
        model: local folder, hub id, or "demo" (the bundled model)
        task: JSONL file, or a name that "tale tasks" lists
        out: directory of the run; must be new unless --resume
        resume: go on with the run in --out

    Returns:
        The contents of ``summary.json``.

    Raises:
        InputError: for everything that the user can mend.
    """
    plan = dataclasses.replace(plan, initial=ordered(plan.initial))
    plan.check()
    chosen, quiet, terminal = options, display.quiet, Terminal(display.quiet)
    criterion, granularity, start = plan.criterion, plan.granularity, time.monotonic()
    loaded = read_task(task, chosen)
    opened = open_model(model, chosen)
    scorer = open_scorer(opened, loaded, chosen, terminal)
    plan.units(opened.config.num_hidden_layers, opened.missing)
    chooser = _chooser(plan, opened, scorer, chosen.seed)
    settings = _settings(opened, task, scorer, plan, chosen)
    with Run(out, SEARCH, settings, resume=resume) as run:
        look = _look(plan, opened, chooser, run)
        if not run.known:  # a model whose logits are NaN is refused before anything is written
            scorer.answers("search", ())
        result, unparsed, controls = _searched(plan, look, chooser, run, scorer, terminal)
        summary = finish(
            run,
            result,
            command_lines(
                model, task, chosen, dataclasses.replace(plan, null_control=len(controls))
            ),
            criterion=criterion,
            options=chosen.as_json(),
            null_control=_compared(result, controls),
            too_long=scorer.too_long,
            unparsed=unparsed,
            notes=list(loaded.notes),
            **({} if granularity == "layer" else {"granularity": granularity}),
            compilations=scorer.compilations,
            seconds=round(time.monotonic() - start, 3),
        )
    if not quiet:
        picks = [tuple(summary[pick]["dropped"]) for pick in PICKS]
        terminal.summary(summary, speed_ups(scorer, picks), Path(out))
    return command_line.Result(summary, "")


def _chooser(plan: Plan, model: Model, scorer: Scorer, seed: int) -> Criterion | None:
    """What proposes the next layer; None: every layer is tried, which is accuracy's way."""
    if plan.criterion == "accuracy":
        return None
    text = calibration_rows(
        model.tokenizer,
        scorer.examples["search"],
        model.config.max_position_embeddings,
        plan.calibration,
    )
    granularity = plan.granularity
    return make_criterion(plan.criterion, model, scorer, text, seed=seed, granularity=granularity)


def _settings(
    model: Model, task: str, scorer: Scorer, plan: Plan, options: Options
) -> dict[str, Any]:
    """What must be the same in a run that is resumed."""
    planned = dataclasses.asdict(plan)
    del planned["null_control"]  # more of them may be asked for later
    if plan.granularity == "layer":  # as in runs of before there were others
        del planned["granularity"]
    return (
        identify(model, options)
        | {
            "task": task,
            "task_fingerprint": task_fingerprint(scorer),
            "protocol": scorer.protocol.name,
            "new_tokens": scorer.protocol.new_tokens,
            "examples": len(scorer.examples["search"]),
        }
        | planned
        | {name: getattr(options, name) for name in ("limit", "template", "shots", "seed")}
    )


def _look(plan: Plan, model: Model, chooser: Criterion | None, run: Run) -> Callable[..., Result]:
    """The search over a scoring callback, with other options if need be."""
    steps: dict[str, Any] = {}
    if isinstance(chooser, Greedy):
        chooser.known = run.losses(plan.criterion)
        chooser.on_loss = functools.partial(run.loss, plan.criterion)
    if chooser is not None:
        steps["propose"] = lambda dropped: [chooser.next_layer(dropped)]
    return functools.partial(
        eliminate,
        num_layers=model.config.num_hidden_layers,
        total=run.settings["examples"],
        missing=model.missing,
        **steps,
    )


def _searched(
    plan: Plan,
    look: Callable[..., Result],
    chooser: Criterion | None,
    run: Run,
    scorer: Scorer,
    terminal: Terminal,
) -> tuple[Result, dict[str, int], list[dict[str, Any]]]:
    """The result, each pick's unparsed answers, and the outcomes of the null control."""
    with terminal.progress(run, run.settings) as progress:
        result = look(
            scorer.count,
            options=plan,
            known=run.known,
            race=None if chooser is not None else scorer.race,
            on_candidate=progress.candidate,
            on_accepted=progress.accepted,
        )
        unparsed = {}
        for pick in PICKS:
            dropped = getattr(result, pick).dropped
            for split in scorer.examples:
                answers = run.evaluate(
                    split, dropped, lambda s=split, d=dropped: scorer.answers(s, d)
                )
                if split == "search":
                    unparsed[pick] = count_unparsed(answers)
        control = NullControl(
            functools.partial(scorer.answers, "search"),
            scorer.examples["search"],
            functools.partial(
                look, options=dataclasses.replace(plan, max_drops=max(1, len(result.steps)))
            ),
        )
        controls = run.controls(plan.null_control, control.run, progress.shuffles)
    return result, unparsed, controls


def _compared(result: Result, controls: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    if not controls:
        return None
    return compare_gains(result.best.correct - result.baseline.correct, result.total, controls)
