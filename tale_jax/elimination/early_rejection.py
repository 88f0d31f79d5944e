"""Early rejection: find the best candidate with as few examples as possible; no JAX.

A candidate's *bound* is the number of its correct answers so far plus the number of examples that
it has not been asked.  The candidate with the highest bound is asked next; of equals it is the
first.  Once this candidate has been asked everything, no other can do better, and none before it
can do as well.  So it is the candidate that counting all answers would choose.  This is A*: a
method that knows only the bounds cannot ask a candidate less.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Sequence
from typing import TypeVar

Handle = TypeVar("Handle")


class AtMost(int):
    """An upper bound of a count."""


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
