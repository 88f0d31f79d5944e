"""Choosing from what a search recorded, by accuracy, latency or depth: ``tale pick``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from attention.errors import InputError
from attention.statistics import mcnemar_p_value
from tale_jax.analysis import USUAL_WORK, Workload, measure_models
from tale_jax.exporting import described, export_layers, what_is_kept
from tale_jax.opening import reopen_model, reopen_scorer
from tale_jax.runs import (
    FinishedRun,
    Terminal,
    layer_list,
    load_run,
    measure,
    p_text,
    percent,
)
from tale_jax.units import count_layers

Point = dict[str, Any]  # a measurement on the search examples, with its `dropped` layers


def pareto_front(run: FinishedRun) -> list[Point]:
    """The recorded models that no other one beats both in depth and in search accuracy.

    Of several with the same depth and accuracy the one recorded first, so with the lowest layer,
    counts.  Shallowest last.  Candidates that the search gave up on have a bound in place of a
    count, and are left out.
    """
    models = {run.dropped("baseline"): run.summary["baseline"]["correct"]}
    for row in run.candidates:
        if not row["bound"]:
            models.setdefault(tuple(row["dropped"]), row["correct"])
    total = run.summary["examples"]
    front: list[Point] = []
    for dropped, correct in sorted(models.items(), key=lambda m: (-len(m[0]), -m[1])):
        if not front or correct > front[-1]["correct"]:
            front.append({"dropped": list(dropped), **measure(correct, total)})
    return front[::-1]


def pick(
    run: str | Path,
    out: str | Path | None = None,
    *,
    min_accuracy: float | None = None,
    max_latency_ratio: float | None = None,
    budget_layers: float | None = None,
    form: str = "huggingface",
    model: str | None = None,
    work: Workload = USUAL_WORK,
    quiet: bool = True,
) -> Point:
    """Choose a model from the Pareto front of a run, score it on the test split and export it.

    Exactly one of the three limits is given.

    Args:
        run: directory of a finished search.
        out: folder or file to export to; None: only say what was chosen.
        min_accuracy: the shallowest model with at least this accuracy on the search examples.
        max_latency_ratio: the most accurate model that generates in at most this share of the
            baseline's time, measured here.
        budget_layers: the most accurate model of at most so many layers; a half is half a layer.
        form: ``huggingface``, ``tale``, ``mergekit`` or ``list``; see ``exporting.formats``.
        model: where the searched checkpoint is now, if it moved.
        work: what is generated for ``max_latency_ratio``.
        quiet: print nothing.

    Returns:
        ``dropped`` and its measurement on the search examples; ``test`` (with ``p_value`` against
        the baseline), or None without a test split; ``latency_ratio`` if it was measured.

    Raises:
        InputError: no model meets the limit; the message says what there is.
    """
    limits = (min_accuracy, max_latency_ratio, budget_layers)
    if sum(limit is not None for limit in limits) != 1:
        raise InputError(
            "give exactly one of --min-accuracy, --max-latency-ratio and --budget-layers"
        )
    found, terminal = load_run(run), Terminal(quiet)
    front = pareto_front(found)
    opened = reopen_model(found, model)
    depth = found.summary["num_layers"]
    if min_accuracy is not None:
        chosen = _first(
            [p for p in reversed(front) if p["accuracy"] >= min_accuracy],
            f"no recorded model reaches {min_accuracy}: the best has {front[0]['accuracy']:.4f}",
        )
    elif budget_layers is not None:
        chosen = _first(
            [p for p in front if depth - count_layers(p["dropped"]) <= budget_layers],
            f"no recorded model has {budget_layers:g} layers or fewer: the shallowest has "
            f"{depth - count_layers(front[-1]['dropped']):g}",
        )
    else:
        assert max_latency_ratio is not None
        base = found.dropped("baseline")

        def ratio(point: Point) -> float:
            models = [base, tuple(point["dropped"])]
            return measure_models(opened.config, opened.params, models, work)[1]["total_ratio"]

        even = found.summary.get("granularity") != "sublayer"  # all that is dropped is of one kind
        chosen = _fast_enough(front, max_latency_ratio, ratio, even)
    if out is not None:  # refused before anything is said
        what_is_kept(opened.folder, tuple(chosen["dropped"]), form)
    scorer = reopen_scorer(found, opened, terminal)
    chosen["test"] = None
    if "test" in scorer.examples:
        drops = (found.dropped("baseline"), tuple(chosen["dropped"]))
        pair = [[a.correct for a in scorer.answers("test", dropped)] for dropped in drops]
        chosen["test"] = measure(sum(pair[1]), len(pair[1]))
        chosen["test"]["p_value"] = mcnemar_p_value(*pair)
    for line in _sentences(chosen, depth):
        terminal.message(line)
    if out is not None:
        exported = export_layers(found, "tale pick", chosen, out, model=model, form=form)
        terminal.message(described(exported))
    return chosen


def _first(points: Sequence[Point], otherwise: str) -> Point:
    if not points:
        raise InputError(otherwise)
    return dict(points[0])


def _fast_enough(
    front: Sequence[Point], limit: float, ratio: Callable[[Point], float], even: bool = True
) -> Point:
    """The most accurate point within the limit.

    It is found by bisection, for fewer layers take less time; unless ``even``, one after another.
    """
    low, high, found, least = 0, len(front) - 1, None, 1.0
    while low <= high and (even or found is None):
        middle = (low + high) // 2 if even else low
        measured = 1.0 if not front[middle]["dropped"] else ratio(front[middle])
        if measured <= limit:
            found, high = {**front[middle], "latency_ratio": measured}, middle - 1
        else:
            least, low = min(least, measured), middle + 1
    if found is None:
        raise InputError(
            f"no recorded model runs in {limit} of the baseline's time: the shallowest, of "
            f"{len(front[-1]['dropped'])} drops, takes {least:.2f}"
        )
    return found


def _sentences(chosen: Point, depth: int) -> list[str]:
    lines = [
        f"without layers {layer_list(chosen['dropped'])} "
        f"({depth - count_layers(chosen['dropped']):g} of {depth} remain): "
        f"search accuracy {percent(chosen)}, which chose it"
    ]
    if chosen["test"] is not None:
        p_value = p_text(chosen["test"]["p_value"])
        lines.append(
            f"test accuracy {percent(chosen['test'])}; McNemar against the full model {p_value}"
        )
    if "latency_ratio" in chosen:
        lines.append(f"generates in {chosen['latency_ratio']:.2f} of the baseline's time")
    return lines
