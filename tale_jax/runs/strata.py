"""Measurements over several tasks: of each, and of what the objective makes of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from attention.files import Record
from attention.statistics import (
    mcnemar_p_value,
    stratified_interval,
    stratified_p_value,
    wilson_interval,
)
from tale_jax.elimination import Joint


def measure(correct: int, total: int) -> Record:
    """An accuracy with its 95 % Wilson interval: `{correct, total, accuracy, low, high}`."""
    low, high = wilson_interval(correct, total)
    return {
        "correct": correct,
        "total": total,
        "accuracy": correct / total,
        "low": low,
        "high": high,
    }


def measure_answers(
    right: Sequence[bool], reference: Sequence[bool] | None = None, strata: Strata | None = None
) -> Record:
    """The accuracy of a model from its verdicts.

    Args:
        right: whether each example is answered correctly.
        reference: the verdicts about another model; the record then has the ``p_value`` of the
            exact McNemar test against it.
        strata: the tasks that the examples are of, if there are several.
    """
    if strata is not None:
        return strata.measure_answers(right, reference)
    found = measure(sum(right), len(right))
    if reference is not None:
        found["p_value"] = mcnemar_p_value(reference, right)
    return found


@dataclasses.dataclass(frozen=True)
class Strata:
    """The tasks of a joint search in one of its splits.

    Attributes:
        sizes: number of examples of each task, by its name.
        objective: what is made of their accuracies.
    """

    sizes: Mapping[str, int]
    objective: str

    @property
    def joint(self) -> Joint:
        """How the counts become one."""
        return Joint(tuple(self.sizes.values()), self.objective)

    def measure(self, counts: Sequence[int]) -> Record:
        """The accuracy of a model from its correct answers by task.

        Returns:
            As :func:`measure`, of the objective, and ``tasks``, which has the same of each task.
            The interval of a mean is stratified.  That of another objective is what it makes of
            the lower and of the upper ends of the tasks' Wilson intervals: for a minimum, from the
            lowest lower end to the lowest upper end.
        """
        pairs = list(zip(counts, self.sizes.values(), strict=True))
        tasks = {name: measure(*pair) for name, pair in zip(self.sizes, pairs, strict=True)}
        value, total = self.joint.value(counts), self.joint.total
        if self.objective == "mean":
            low, high = stratified_interval(*zip(*pairs, strict=True))
        else:
            most = self.joint.combine([1] * len(tasks))
            ends: Any = [[task[end] for task in tasks.values()] for end in ("low", "high")]
            low, high = (self.joint.combine(end) / most for end in ends)
        found = {"correct": value, "total": total, "accuracy": value / total}
        return {**found, "low": low, "high": high, "tasks": tasks}

    def measure_answers(
        self, right: Sequence[bool], reference: Sequence[bool] | None = None
    ) -> Record:
        """As :meth:`measure`, from verdicts; against a reference also p-values.

        Those of tasks are of the exact McNemar test.  The joint one is of the permutation test of
        the mean accuracy within tasks (:func:`attention.statistics.stratified_p_value`), whatever
        the objective.
        """
        parts = self.joint.divide(right)
        found = self.measure([sum(part) for part in parts])
        if reference is not None:
            others = self.joint.divide(reference)
            found["p_value"] = stratified_p_value(others, parts)
            for name, one, other in zip(self.sizes, others, parts, strict=True):
                found["tasks"][name]["p_value"] = mcnemar_p_value(one, other)
        return found


def strata_of(settings: Record, split: str) -> Strata | None:
    """The tasks of a split by the settings of a run; None: the search was for one task."""
    sizes = settings.get("sizes")
    return None if sizes is None else Strata(sizes[split], settings["objective"])
