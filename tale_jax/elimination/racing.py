"""Which candidate to score next, so that the best is found with the fewest examples; no JAX.

A candidate's *bound* is the number of its correct answers so far plus that of the examples it has
not been asked.  The next to be asked is always the one with the highest bound, the first among
equals. Once the candidate with the highest bound has been asked everything, no other can do better,
and none that stands before it can do as well: it is the one that counting all would have chosen.
This is A*; a candidate is asked no more than any method must ask that knows the bounds alone.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Sequence
from typing import Any


class AtMost(int):
    """A count that is only known not to be larger."""


def race(
    candidates: int,
    parts: Sequence[int],
    ask: Callable[[int, int], Any],
    count: Callable[[Any], int],
    *,
    floor: int = 0,
    winners: int = 1,
    ahead: int = 3,
) -> list[int]:
    """Correct answers of each candidate; `AtMost` for those that were rejected before the end.

    Exact are the `winners` best (the first among equals), as far as they reach the floor.

    Args:
        candidates: how many there are.
        parts: number of examples of each part, in the order in which they are asked.
        ask: starts to ask a candidate a part, and does not wait.
        count: waits for what `ask` returned: correct answers.
        floor: candidates below it need no count.
        winners: how many of the best are wanted.
        ahead: how many are asked at the same time; results count in the order of asking, so that
            what is asked does not depend on anyone's speed.
    """
    bounds = [sum(parts)] * candidates
    asked, counted = [0] * candidates, [0] * candidates
    under_way: collections.deque[tuple[int, int, Any]] = collections.deque()
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
