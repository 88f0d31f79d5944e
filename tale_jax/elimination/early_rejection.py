"""Early rejection: find the best candidate with as few examples as possible; no JAX.

A candidate's *bound* is the number of its correct answers so far plus the number of examples that
it has not been asked.  The candidate with the highest bound is asked next; of equals it is the
first.  Once this candidate has been asked everything, no other can do better, and none before it
can do as well.  So it is the candidate that counting all answers would choose.  This is A*: a
method that knows only the bounds cannot ask a candidate less.

Several tasks have a bound each, and the candidate's is what their objective makes of them.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

Handle = TypeVar("Handle")


class AtMost(int):
    """An upper bound of a count."""


class Part(NamedTuple):
    """Examples that are asked together.

    Attributes:
        task: its number, from 0.
        examples: how many there are.
    """

    task: int
    examples: int


def race(
    candidates: int,
    parts: Sequence[int],
    ask: Callable[[int, int], Handle],
    count: Callable[[Handle], int],
    *,
    floor: int = 0,
    winners: int = 1,
    ahead: int = 3,
) -> list[int]:
    """Count the correct answers of candidates only as far as the choice among them needs it.

    The counts of the ``winners`` best (the first among equals) that reach the floor are exact.

    Args:
        candidates: number of candidates.
        parts: number of examples of each part, in the order in which they are asked.
        ask: starts to ask a candidate a part, and does not wait.
        count: waits for what ``ask`` returned, and gives the number of correct answers.
        floor: candidates with fewer correct answers need no exact count.
        winners: number of best candidates that are wanted.
        ahead: number of questions under way.  Results are counted in the order of asking, so that
            the questions do not depend on the speed of the machine.

    Returns:
        A count for each candidate; an `AtMost` for candidates that were rejected early.
    """
    asked = [Part(0, examples) for examples in parts]
    found = race_by_task(
        candidates, asked, ask, count, sum, floor=floor, winners=winners, ahead=ahead
    )
    return [counts[0] for counts in found]


def race_by_task(
    candidates: int,
    parts: Sequence[Part],
    ask: Callable[[int, int], Handle],
    count: Callable[[Handle], int],
    value: Callable[[Sequence[int]], int],
    *,
    floor: int = 0,
    winners: int = 1,
    ahead: int = 3,
) -> list[list[int]]:
    """As :func:`race`, for several tasks.

    Args:
        candidates: number of candidates.
        parts: in the order in which they are asked.
        ask: starts to ask a candidate a part, and does not wait.
        count: waits for what ``ask`` returned, and gives the number of correct answers.
        value: what is maximised, of the correct answers of each task; it falls with none of them.
        floor: candidates with a lower value need no exact count.
        winners: number of best candidates that are wanted.
        ahead: number of questions under way.

    Returns:
        The counts of each candidate by task; an `AtMost` for a task that it was not asked whole.
    """
    tasks = range(1 + max((part.task for part in parts), default=0))
    sizes = [sum(part.examples for part in parts if part.task == task) for task in tasks]
    bounds = [list(sizes) for _ in range(candidates)]
    values = [value(sizes)] * candidates
    asked, counted = [0] * candidates, [0] * candidates
    under_way: collections.deque[tuple[int, int, Handle]] = collections.deque()
    while True:
        ranked = sorted(range(candidates), key=lambda c: -values[c])  # stable: first among equals
        ranked = [c for c in ranked if values[c] >= floor]
        if all(counted[c] == len(parts) for c in ranked[:winners]):
            break
        waiting = (c for c in ranked if asked[c] == counted[c] < len(parts))
        if len(under_way) < ahead and (chosen := next(waiting, None)) is not None:
            under_way.append((chosen, asked[chosen], ask(chosen, asked[chosen])))
            asked[chosen] += 1
            continue
        candidate, number, handle = under_way.popleft()
        task, examples = parts[number]
        bounds[candidate][task] -= examples - count(handle)
        values[candidate] = value(bounds[candidate])
        counted[candidate] += 1
    open_tasks = [{part.task for part in parts[done:]} for done in counted]
    return [
        [AtMost(n) if task in left else n for task, n in enumerate(found)]
        for found, left in zip(bounds, open_tasks, strict=True)
    ]
