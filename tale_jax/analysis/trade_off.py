"""Chooses among the models that a search scored: by accuracy, by latency or by depth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from attention.errors import InputError
from tale_jax.runs import FinishedRun
from tale_jax.units import count_layers

Point = dict[str, Any]
"""A measurement on the search examples, with the layers ``dropped``."""


def pareto_front(run: FinishedRun) -> list[Point]:
    """The models of a search that no other one beats both in depth and in search accuracy.

    If several have the same depth and accuracy, the one that was scored first counts, which is the
    one with the lowest layer. A candidate that was rejected early has a bound in place of a count,
    and is left out.

    Returns:
        The deepest model, the one that drops least, first.
    """
    known = ("correct", "total", "accuracy", "low", "high", "tasks")
    baseline = {
        key: run.summary["baseline"][key] for key in known if key in run.summary["baseline"]
    }
    models = {run.dropped("baseline"): baseline}
    for row in run.candidates:
        if not row["bound"]:
            models.setdefault(tuple(row["dropped"]), run.measure(row))
    front: list[Point] = []
    for dropped, found in sorted(models.items(), key=lambda m: (-len(m[0]), -m[1]["correct"])):
        if not front or found["correct"] > front[-1]["correct"]:
            front.append({"dropped": list(dropped), **found})
    return front[::-1]


def accurate_enough(front: Sequence[Point], accuracy: float) -> Point:
    """The shallowest point with at least this accuracy.

    Raises:
        InputError: there is none.
    """
    enough = [point for point in front if point["accuracy"] >= accuracy]
    if not enough:
        best = front[0]["accuracy"]
        raise InputError(f"no recorded model reaches {accuracy}: the best has {best:.4f}")
    return dict(enough[-1])


def small_enough(front: Sequence[Point], layers: float, num_layers: int) -> Point:
    """The most accurate point of at most so many layers; a half counts as half a layer.

    Args:
        front: the points, deepest first.
        layers: to keep at most.
        num_layers: of the full model.

    Raises:
        InputError: there is none.
    """
    kept = [num_layers - count_layers(point["dropped"]) for point in front]
    for point, count in zip(front, kept, strict=True):
        if count <= layers:
            return dict(point)
    raise InputError(
        f"no recorded model has {layers:g} layers or fewer: the shallowest has {kept[-1]:g}"
    )


def fast_enough(
    front: Sequence[Point], limit: float, ratio: Callable[[Point], float], even: bool = True
) -> Point:
    """The most accurate point that takes at most a share of the time of the full model.

    Args:
        front: the points, deepest first.
        limit: the share.
        ratio: measures the share that a point takes.
        even: fewer layers take less time, because all that is dropped is of one kind: the point is
            found by bisection, and not by measuring one after another.

    Returns:
        The point with its ``latency_ratio``.

    Raises:
        InputError: there is none.
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
