"""What a search for several tasks at once maximises, in whole numbers.

With n_t examples of task t and L the least common multiple of all n_t, a correct answer of task t
counts L / n_t.  Every task can then reach L, however many examples it has.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Sequence
from typing import TypeVar

from attention.choices import Choices
from attention.errors import InputError
from tale_jax.elimination.early_rejection import AtMost

Item = TypeVar("Item")
MOST = 2**53
"""The largest count: up to it a float is exact."""


@dataclasses.dataclass(frozen=True)
class Objective:
    """What is made of the shares of correct answers of several tasks.

    Attributes:
        description: in one line.
        combine: makes one number of the weighted counts of all tasks, and rises with each of them;
            None: each task is searched by itself.
    """

    description: str
    combine: Callable[[Sequence[int]], int] | None


OBJECTIVES = Choices(
    "objective",
    {
        "mean": Objective("the mean of the tasks' accuracies", sum),
        "min": Objective("the accuracy of the task that has the lowest", min),
        "each": Objective("a search for every task, one after another", None),
    },
)


@dataclasses.dataclass(frozen=True)
class Joint:
    """How the counts of several tasks become one.

    Attributes:
        sizes: number of examples of each task.
        objective: a key of `OBJECTIVES` that combines tasks.

    Raises:
        InputError: the least common multiple of the sizes is too large.
    """

    sizes: tuple[int, ...]
    objective: str = "mean"

    def __post_init__(self) -> None:
        if math.lcm(*self.sizes) * len(self.sizes) > MOST:
            sizes = ", ".join(map(str, self.sizes))
            raise InputError(
                f"the tasks have {sizes} examples, whose common multiple is too large to count "
                "with: give all of them the same number by --limit"
            )

    @property
    def weights(self) -> tuple[int, ...]:
        """What a correct answer of each task counts: L / n_t."""
        level = math.lcm(*self.sizes)
        return tuple(level // size for size in self.sizes)

    @property
    def total(self) -> int:
        """The count of a model that answers everything correctly."""
        return self.value(self.sizes)

    def combine(self, weighted: Sequence[int]) -> int:
        """One number of the weighted counts."""
        combine = OBJECTIVES.pick(self.objective).combine
        assert combine is not None
        return combine(weighted)

    def value(self, counts: Sequence[int]) -> int:
        """One number of the correct answers of each task; an `AtMost` if one of them is."""
        found = self.combine([n * weight for n, weight in zip(counts, self.weights, strict=True)])
        return AtMost(found) if any(isinstance(n, AtMost) for n in counts) else found

    def divide(self, items: Sequence[Item]) -> list[Sequence[Item]]:
        """Items of all tasks, one task after another, as those of each task."""
        edges = itertools.accumulate(self.sizes, initial=0)
        return [items[start:end] for start, end in itertools.pairwise(edges)]

    def verdicts(self, right: Sequence[bool]) -> int:
        """One number of the verdicts about all examples, one task after another."""
        return self.value([sum(part) for part in self.divide(right)])
