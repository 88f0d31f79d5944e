"""What a task found: rows of tables, and shares with their intervals."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from attention.language.ngrams import NgramModel
from attention.language.probing.opening import OpenedModel
from attention.language.probing.options import Asked
from attention.statistics import stratified_interval, wilson_interval
from attention.terminal import Steps, no_steps

TableRow = dict[str, Any]
WORDS = {1.0: "right", 0.5: "tie", 0.0: "wrong"}
PARADIGM_COLUMNS = "task phenomenon paradigm pairs correct ties accuracy low high chance".split()
PAIR_COLUMNS = "task paradigm id good bad verdict".split()
LAYER_COLUMNS = "task layer tokens accuracy low high control selectivity untrained majority".split()


@dataclasses.dataclass(frozen=True)
class Subject:
    """A model, what it is asked, and what stands beside it.

    Attributes:
        model: the model.
        asked: the options.
        floors: n-gram models by name.
        steps: shows progress.
    """

    model: OpenedModel
    asked: Asked
    floors: Mapping[str, NgramModel] = dataclasses.field(default_factory=dict)
    steps: Steps = no_steps


@dataclasses.dataclass
class Found:
    """The rows that a task adds to each table.

    Attributes:
        paradigms: ``PARADIGM_COLUMNS``; the accuracy counts half of the ties.
        floors: the same of each floor, which has its name in the column ``floor``.
        pairs: ``PAIR_COLUMNS``.
        layers: ``LAYER_COLUMNS``.
        regions: surprisals of regions, in nats.
        rule: how sentences were scored.
        notes: lines to tell the user.
    """

    paradigms: list[TableRow] = dataclasses.field(default_factory=list)
    floors: list[TableRow] = dataclasses.field(default_factory=list)
    pairs: list[TableRow] = dataclasses.field(default_factory=list)
    layers: list[TableRow] = dataclasses.field(default_factory=list)
    regions: list[TableRow] = dataclasses.field(default_factory=list)
    rule: str | None = None
    notes: list[str] = dataclasses.field(default_factory=list)


def paradigm_row(
    task: str,
    phenomenon: str,
    paradigm: str,
    points: Float[np.ndarray, " pairs"],
    chance: float = 0.5,
) -> TableRow:
    """Make the row of a paradigm.

    Args:
        task: name of the task.
        phenomenon: that the paradigm belongs to.
        paradigm: its name.
        points: 1 for a right pair, 0.5 for a tie, 0 for a wrong one.
        chance: the accuracy of a model that knows nothing.
    """
    total, pairs = float(np.sum(points)), len(points)
    low, high = wilson_interval(total, pairs)
    return {
        "task": task,
        "phenomenon": phenomenon,
        "paradigm": paradigm,
        "pairs": pairs,
        "correct": int(np.sum(points == 1)),
        "ties": int(np.sum(points == 0.5)),
        "accuracy": total / pairs,
        "low": low,
        "high": high,
        "chance": chance,
    }


def compare_scores(
    good: Float[np.ndarray, " pairs"], bad: Float[np.ndarray, " pairs"]
) -> Float[np.ndarray, " pairs"]:
    """Points of pairs: 1 where the good score is higher, 0.5 where both are equal, else 0."""
    return np.where(good > bad, 1.0, np.where(good == bad, 0.5, 0.0))


def macro_mean(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Average the accuracies of paradigms, each with the same weight.

    The interval holds for other pairs of the same paradigms
    (:func:`attention.statistics.stratified_interval`).

    Args:
        rows: of paradigms.
    """
    totals = [row["pairs"] for row in rows]
    low, high = stratified_interval([row["accuracy"] * row["pairs"] for row in rows], totals)
    return {
        "accuracy": math.fsum(row["accuracy"] for row in rows) / len(rows),
        "low": low,
        "high": high,
        "chance": math.fsum(row["chance"] for row in rows) / len(rows),
    }


def by(rows: Iterable[Mapping[str, Any]], *columns: str) -> dict[Any, list[Mapping[str, Any]]]:
    """Group rows by one or more columns, in the order of their first appearance."""
    found: dict[Any, list[Mapping[str, Any]]] = {}
    for row in rows:
        key = tuple(row[column] for column in columns)
        found.setdefault(key[0] if len(columns) == 1 else key, []).append(row)
    return found
