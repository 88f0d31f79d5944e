"""What the commands do, as functions: ``from tale_jax import elimination, evaluate, export``."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shlex
import time
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from attention.errors import InputError
from tale_jax.elimination import Floor, check_layers, exact_epsilon
from tale_jax.latency import speed_ups
from tale_jax.models import fingerprint, load_model
from tale_jax.options import Options
from tale_jax.prompts import with_shots
from tale_jax.runs import Answer, Run
from tale_jax.scoring import Scorer
from tale_jax.significance import PICKS, mcnemar_p_value, measure
from tale_jax.strategies import search_layers
from tale_jax.tasks import Task, load_task
from tale_jax.terminal import Terminal


def _load_task(name: str, options: Options) -> Task:
    """The task with its shots in front of every prompt."""
    sources = ("test", "train", "holdout", "data", "limit")
    task = load_task(name, **{source: getattr(options, source) for source in sources})
    return with_shots(task, options.shots, options.seed)


def _scorer(
    model: str, task: Task, options: Options, terminal: Terminal
) -> tuple[Scorer, dict[str, Any]]:
    """The model, ready to be scored, and what identifies it."""
    if options.batch_tokens < 1:
        raise InputError(f"a batch needs at least 1 token, not {options.batch_tokens}")
    loaded = load_model(
        model,
        dtype=options.dtype,
        revision=options.revision,
        model_parallel=options.model_parallel,
    )
    scorer = Scorer(
        loaded.config,
        loaded.params,
        loaded.tokenizer,
        task,
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
    identity = {
        "model": model,
        "revision": options.revision,
        "fingerprint": fingerprint(loaded.folder),
        "num_layers": loaded.config.num_hidden_layers,
        "dtype": options.dtype,
        "precision": loaded.config.precision,
    }
    return scorer, identity


def search(
    model: str,
    task: str,
    out: str | Path,
    *,
    epsilon: float | str | Decimal = 0.08,
    floor: Floor = "baseline",
    max_drops: int | None = None,
    initial: Sequence[int] = (),
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
    loaded = _load_task(task, chosen)
    terminal = Terminal(quiet)
    start = time.monotonic()
    scorer, identity = _scorer(model, loaded, chosen, terminal)
    check_layers(initial, identity["num_layers"])
    settings = identity | {
        "task": task,
        "task_fingerprint": _task_fingerprint(scorer),
        "protocol": scorer.protocol.name,
        "new_tokens": scorer.protocol.new_tokens,
        "examples": len(scorer.examples["search"]),
        "epsilon": float(epsilon),
        "floor": floor,
        "max_drops": max_drops,
        "initial": sorted(set(initial)),
        "strategy": strategy,
        "exhaustive": exhaustive,
        "limit": chosen.limit,
        "shots": chosen.shots,
        "seed": chosen.seed,
    }
    with Run(out, settings, resume) as run:
        if not run.known:  # a model whose logits are NaN is refused before anything is written
            scorer.answers("search", ())
        with terminal.progress(run, settings) as progress:
            result = search_layers(
                strategy,
                scorer.count,
                settings["num_layers"],
                settings["examples"],
                epsilon=str(epsilon),
                floor=floor,
                max_drops=max_drops,
                initial=initial,
                known=run.known,
                race=None if exhaustive else scorer.race,
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
        summary = run.finish(
            result,
            _command_lines(model, task, chosen, epsilon, floor, max_drops, initial, strategy, exhaustive),
            too_long=scorer.too_long,
            unparsed=unparsed,
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
        ``model, task, protocol, dropped, too_long`` and, for each of ``search`` and ``test``,
        None or ``{correct, total, accuracy, low, high, unparsed}`` (Wilson 95 % interval).  With
        layers dropped each split also has ``p_value`` (exact McNemar) and ``full``, the correct
        answers of the full model.
    """
    chosen = Options(**options)
    loaded = _load_task(task, chosen)
    terminal = Terminal(quiet)
    scorer, identity = _scorer(model, loaded, chosen, terminal)
    dropped = check_layers(drop, identity["num_layers"])
    found: dict[str, Any] = {
        "model": model,
        "task": task,
        "protocol": scorer.protocol.name,
        "dropped": list(dropped),
        "too_long": scorer.too_long,
        "search": None,
        "test": None,
    }
    for split, examples in scorer.examples.items():
        full = scorer.answers(split, ())
        answers = scorer.answers(split, dropped) if dropped else full
        found[split] = measure(_count(answers), len(examples)) | {"unparsed": _unparsed(answers)}
        if dropped:
            right = [[a.correct for a in given] for given in (full, answers)]
            found[split] |= {"full": _count(full), "p_value": mcnemar_p_value(*right)}
    terminal.evaluation(found)
    return found


def _task_fingerprint(scorer: Scorer) -> str:
    examples = {
        split: [dataclasses.astuple(example) for example in given]
        for split, given in scorer.examples.items()
    }
    return hashlib.blake2b(json.dumps(examples).encode(), digest_size=8).hexdigest()


def _count(answers: Iterable[Answer]) -> int:
    return sum(answer.correct for answer in answers)


def _unparsed(answers: Iterable[Answer]) -> int:
    return sum(answer.prediction is None for answer in answers)


def _command_lines(
    model: str,
    task: str,
    options: Options,
    epsilon: Any,
    floor: str,
    max_drops: int | None,
    initial: Sequence[int],
    strategy: str,
    exhaustive: bool,
) -> list[str]:
    """Command lines that reproduce a search; the directory is the reader's own."""
    words = ["tale", "search", "--model", model, "--task", task, "--out", "RUN"]
    usual = {**dataclasses.asdict(Options()), "epsilon": "0.08", "floor": "baseline", "strategy": "greedy"}
    given = {
        **dataclasses.asdict(options),
        "epsilon": str(epsilon),
        "floor": floor,
        "max_drops": max_drops,
        "strategy": strategy,
        "initial": ",".join(map(str, initial)) or None,
    }
    for name, value in given.items():
        if value is not None and value != usual.get(name):
            words += [f"--{name.replace('_', '-')}", str(value)]
    if exhaustive:
        words.append("--exhaustive")
    return [shlex.join(words), "tale export --run RUN --pick best --out MODEL"]
