"""A race: which candidate to ask next, so that the best is found with the fewest examples; no JAX.

A candidate's *bound* is the number of its correct answers so far plus the number of examples that
it has not been asked.  The next to be asked is always the one with the highest bound, the first
among equals.  Once that one has been asked everything, no other can do better, and none that stands
before it can do as well: it is the one that counting all answers would have chosen.  This is A*: no
method that knows the bounds alone can ask a candidate less.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Sequence
from typing import TypeVar

Handle = TypeVar("Handle")


class AtMost(int):
    """A count that is only known not to be larger."""


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
    """Count the correct answers of candidates, as far as the choice among them needs it.

    The counts of the ``winners`` best (the first among equals) that reach the floor are exact.

    Args:
        candidates: how many there are.
        parts: number of examples of each part, in the order in which they are asked.
        ask: starts to ask a candidate a part, and does not wait.
        count: waits for what ``ask`` returned, and gives the number of correct answers.
        floor: candidates below it need no count.
        winners: how many of the best are wanted.
        ahead: how many are asked at the same time.  Results count in the order of asking, so that
            what is asked does not depend on anyone's speed.

    Returns:
        A count for each candidate; `AtMost` for those that were rejected before the end.
    """
    bounds = [sum(parts)] * candidates
    asked, counted = [0] * candidates, [0] * candidates
    under_way: collections.deque[tuple[int, int, Handle]] = collections.deque()
    while True:
        ranked = sorted(range(candidates), key=lambda c: -bounds[c])  # stable: first among equals
        ranked = [c for c in ranked if bounds[c] >= floor]
        if all(counted[c] == len(parts) for c in ranked[:winners]):
            break
        waiting = (c for c in ranked if asked[c] == counted[c] < len(parts))
        if len(under_way) < ahead and (chosen := next(waiting, None)) is not None:
            under_way.append((chosen, asked[chosen], ask(chosen, asked[chosen])))
            asked[chosen] += 1
            continue
        candidate, part, handle = under_way.popleft()
        bounds[candidate] -= parts[part] - count(handle)
        counted[candidate] += 1
    return [
        bound if done == len(parts) else AtMost(bound)
        for bound, done in zip(bounds, counted, strict=True)
    ]
