"""What the commands do, as functions: ``from tale_jax import search, evaluate, export``."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import shlex
import time
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from attention.errors import InputError
from tale_jax.calibration import calibration_rows
from tale_jax.chat import render
from tale_jax.control import NullControl, compare_gains
from tale_jax.criteria import Criterion, Greedy, make_criterion
from tale_jax.elimination import Floor, Result, check_layers, exact_epsilon
from tale_jax.latency import speed_ups
from tale_jax.models import Model, fingerprint, load_model
from tale_jax.options import Options
from tale_jax.runs import Answer, Run
from tale_jax.scoring import Scorer
from tale_jax.significance import PICKS, mcnemar_p_value, measure
from tale_jax.strategies import search_layers
from tale_jax.tasks import Task, load_task
from tale_jax.terminal import Terminal


def read_task(name: str, options: Options) -> Task:
    """The task with its shots in front of every prompt."""
    sources = ("test", "train", "holdout", "data", "limit", "shots", "seed")
    return load_task(name, **{source: getattr(options, source) for source in sources})


def open_model(name: str, options: Options) -> Model:
    """The model, as the options say."""
    return load_model(
        name,
        dtype=options.dtype,
        revision=options.revision,
        model_parallel=options.model_parallel,
    )


def open_scorer(loaded: Model, task: Task, options: Options, terminal: Terminal) -> Scorer:
    """The model, ready to be scored on a task."""
    if options.batch_tokens < 1:
        raise InputError(f"a batch needs at least 1 token, not {options.batch_tokens}")
    for note in task.notes:
        terminal.message(note)
    scorer = Scorer(
        loaded.config,
        loaded.params,
        loaded.tokenizer,
        render(task, loaded.tokenizer, options.template),
        protocol=options.protocol,
        batch_tokens=options.batch_tokens,
        max_new_tokens=options.max_new_tokens,
        cache_gib=options.cache_gib,
        batch_sharding=loaded.batch_sharding,
        on_message=terminal.message,
    )
    if scorer.too_long:
        terminal.message(
            f"{scorer.too_long} examples are longer than the model's "
            f"{loaded.config.max_position_embeddings} positions and are left out"
        )
    return scorer


def identify(loaded: Model, options: Options) -> dict[str, Any]:
    """What tells a model from another, in the settings of a run."""
    return {
        "model": loaded.name,
        "revision": options.revision,
        "fingerprint": fingerprint(loaded.folder),
        "num_layers": loaded.config.num_hidden_layers,
        "dtype": options.dtype,
        "precision": loaded.config.precision,
    }


def search(
    model: str,
    task: str,
    out: str | Path,
    *,
    epsilon: float | str | Decimal = 0.08,
    floor: Floor = "baseline",
    max_drops: int | None = None,
    initial: Sequence[int] = (),
    criterion: str = "accuracy",
    calibration: str | None = None,
    null_control: int = 0,
    strategy: str = "greedy",
    exhaustive: bool = False,
    resume: bool = False,
    quiet: bool = True,
    **options: Any,
) -> dict[str, Any]:
    """Eliminate layers of a model for a task, greedily by accuracy, without retraining.

    Writes ``out``: see ``tale_jax.runs`` for the files.  BEST is the most accurate model met,
    BSBA the shortest with at least the baseline's accuracy; both are scored again on the test
    split if the task has one.  Source: TELL-TALE, arXiv 2510.22767.

    Args:
        model: a local folder, a hub id, or ``demo``.
        task: a JSONL file or a name (``tale tasks``).
        out: directory of the run.
        epsilon: accuracy, in absolute terms, that may be lost before the search stops.
        floor: ``baseline``: the loss counts from the full model (the authors' program);
            ``current``: from the last accepted one (Algorithm 1 as printed).
        max_drops: stop after so many layers.
        initial: layers dropped from the start.
        criterion: what picks the layer to drop (``tale_jax.criteria``); whether it may go is
            decided by accuracy whatever the criterion.
        calibration: text file for perplexity and cosine; None: the prompts of the search split.
        null_control: repeat the search so many times on shuffled answers, no deeper than the
            real one went (``tale_jax.control``).
        strategy: ``greedy``, ``beam:K`` (the K best models of every depth go on) or ``floating``
            (layers are put back when that helps).
        exhaustive: score every candidate on every example; the choice is the same.
        resume: go on with the run in ``out``, if there is one.
        quiet: show no progress.
        options: fields of :class:`tale_jax.options.Options`.

    Returns:
        The contents of ``summary.json``.

    Raises:
        InputError: for everything that the user can mend.
    """
    chosen = Options(**options)
    exact_epsilon(epsilon)
    if null_control < 0 or (null_control and criterion == "loglikelihood"):
        raise InputError(
            "a null control is a number of searches from 0 up, and goes with criteria other than "
            "loglikelihood, which looks at the answers themselves"
        )
    loaded = read_task(task, chosen)
    terminal = Terminal(quiet)
    start = time.monotonic()
    opened = open_model(model, chosen)
    scorer = open_scorer(opened, loaded, chosen, terminal)
    check_layers(initial, opened.config.num_hidden_layers)
    settings = identify(opened, chosen) | {
        "task": task,
        "task_fingerprint": task_fingerprint(scorer),
        "protocol": scorer.protocol.name,
        "new_tokens": scorer.protocol.new_tokens,
        "examples": len(scorer.examples["search"]),
        "epsilon": float(epsilon),
        "floor": floor,
        "max_drops": max_drops,
        "initial": sorted(set(initial)),
        "criterion": criterion,
        "calibration": calibration,
        "strategy": strategy,
        "exhaustive": exhaustive,
        "limit": chosen.limit,
        "template": chosen.template,
        "shots": chosen.shots,
        "seed": chosen.seed,
    }
    if criterion != "accuracy" and strategy != "greedy":
        raise InputError(f"the strategy {strategy} goes with the criterion accuracy alone")
    chooser = _chooser(criterion, calibration, opened, scorer, chosen.seed)
    with Run(out, settings, resume) as run:
        if isinstance(chooser, Greedy):
            chooser.known = run.losses(criterion)
            chooser.on_loss = functools.partial(run.loss, criterion)
        steps: dict[str, Any] = {}
        if chooser is not None:
            steps["next_layers"] = lambda dropped: [chooser.next_layer(dropped)]
        look = functools.partial(
            search_layers,
            strategy,
            num_layers=settings["num_layers"],
            total=settings["examples"],
            epsilon=str(epsilon),
            floor=floor,
            initial=initial,
            **steps,
        )
        if not run.known:  # a model whose logits are NaN is refused before anything is written
            scorer.answers("search", ())
        with terminal.progress(run, settings) as progress:
            result = look(
                scorer.count,
                max_drops=max_drops,
                known=run.known,
                race=None if exhaustive or chooser is not None else scorer.race,
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
                        unparsed[pick] = _unparsed(answers)
            control = NullControl(
                functools.partial(scorer.answers, "search"),
                scorer.examples["search"],
                functools.partial(look, max_drops=max(1, len(result.steps))),
            )
            controls = run.controls(null_control, control.run, progress.shuffles)
        summary = run.finish(
            result,
            _command_lines(
                model,
                task,
                chosen,
                epsilon=str(epsilon),
                floor=floor,
                max_drops=max_drops,
                initial=",".join(map(str, initial)) or None,
                criterion=criterion,
                calibration=calibration,
                null_control=len(controls),
                strategy=strategy,
                exhaustive=exhaustive,
            ),
            criterion=criterion,
            options=dataclasses.asdict(chosen),
            null_control=_compared(result, controls),
            too_long=scorer.too_long,
            unparsed=unparsed,
            notes=list(loaded.notes),
            compilations=scorer.compilations,
            seconds=round(time.monotonic() - start, 3),
        )
    if not quiet:
        picks = [tuple(summary[pick]["dropped"]) for pick in PICKS]
        terminal.summary(summary, speed_ups(scorer, picks), Path(out))
    return summary


def evaluate(
    model: str,
    task: str,
    *,
    drop: Sequence[int] = (),
    quiet: bool = True,
    **options: Any,
) -> dict[str, Any]:
    """Accuracy of a model without the layers ``drop``, on every split of a task.

    Args:
        model: a local folder, a hub id, or ``demo``.
        task: a JSONL file or a name.
        drop: layers to leave out, 0-based.
        quiet: print nothing.
        options: fields of :class:`tale_jax.options.Options`.

    Returns:
        ``model, task, protocol, dropped, too_long, notes`` and, for each of ``search``, ``test``
        and, where these are halves of one split, ``all``, None or ``{correct, total, accuracy, low,
        high, unparsed}`` (Wilson 95 % interval).  With layers dropped each also has ``p_value``
        (exact McNemar) and ``full``, the correct answers of the full model.
    """
    chosen = Options(**options)
    loaded = read_task(task, chosen)
    terminal = Terminal(quiet)
    opened = open_model(model, chosen)
    scorer = open_scorer(opened, loaded, chosen, terminal)
    dropped = check_layers(drop, opened.config.num_hidden_layers)
    found: dict[str, Any] = {
        "model": model,
        "task": task,
        "protocol": scorer.protocol.name,
        "dropped": list(dropped),
        "too_long": scorer.too_long,
        "notes": list(loaded.notes),
        "search": None,
        "test": None,
        "all": None,
    }
    whole: tuple[list[Answer], list[Answer]] = ([], [])
    for split in scorer.examples:
        full = scorer.answers(split, ())
        answers = scorer.answers(split, dropped) if dropped else full
        found[split] = _measured(full, answers, compared=bool(dropped))
        whole[0].extend(full)
        whole[1].extend(answers)
    if loaded.halves:
        found["all"] = _measured(*whole, compared=bool(dropped))
    terminal.evaluation(found)
    return found


def _measured(full: Sequence[Answer], answers: Sequence[Answer], compared: bool) -> dict[str, Any]:
    """The figures of some answers, beside those of the full model if layers are dropped."""
    found = measure(_count(answers), len(answers)) | {"unparsed": _unparsed(answers)}
    if compared:
        right = [[a.correct for a in given] for given in (full, answers)]
        found |= {"full": _count(full), "p_value": mcnemar_p_value(*right)}
    return found


def task_fingerprint(scorer: Scorer) -> str:
    """Tells the examples of a task, with their shots, from any others."""
    examples = {
        split: [dataclasses.astuple(example) for example in given]
        for split, given in scorer.examples.items()
    }
    return hashlib.blake2b(json.dumps(examples).encode(), digest_size=8).hexdigest()


def _count(answers: Iterable[Answer]) -> int:
    return sum(answer.correct for answer in answers)


def _unparsed(answers: Iterable[Answer]) -> int:
    return sum(answer.prediction is None for answer in answers)


def _chooser(
    criterion: str, calibration: str | None, model: Model, scorer: Scorer, seed: int
) -> Criterion | None:
    """What proposes the next layer; None: every layer is tried, which is accuracy's way."""
    if criterion == "accuracy":
        return None
    text = calibration_rows(
        model.tokenizer,
        scorer.examples["search"],
        model.config.max_position_embeddings,
        calibration,
    )
    return make_criterion(criterion, model, scorer, text, seed=seed)


def _compared(result: Result, controls: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    if not controls:
        return None
    return compare_gains(result.best.correct - result.baseline.correct, result.total, controls)


def _command_lines(model: str, task: str, options: Options, **given: Any) -> list[str]:
    """Command lines that reproduce a search; the directory is the reader's own."""
    words = ["tale", "search", "--model", model, "--task", task, "--out", "RUN"]
    usual = dataclasses.asdict(Options()) | {
        "epsilon": "0.08",
        "floor": "baseline",
        "criterion": "accuracy",
        "null_control": 0,
        "strategy": "greedy",
    }
    for name, value in (dataclasses.asdict(options) | given).items():
        if value is not None and value is not False and value != usual.get(name):
            words += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
    return [shlex.join(words), "tale export --run RUN --pick best --out MODEL"]
