"""The strategies of a search: how its rounds follow one another.

All strategies share the loop of `loop.eliminate`.  A row says how many models of each depth go on,
and what is tried after each accepted drop.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

from attention.choices import Choices
from attention.errors import InputError
from tale_jax.elimination.results import Candidate

if TYPE_CHECKING:  # the loop looks up its strategy here
    from tale_jax.elimination.loop import Search


def put_back(search: Search, current: Candidate) -> Candidate:
    """Put layers back, one at a time, while that beats every earlier model of the same depth.

    The best count at a depth only rises, so the search ends.  Layers that were dropped from the
    start stay dropped.  Source: Pudil, Novovičová and Kittler, "Floating search methods in feature
    selection" (1994).

    Args:
        search: the search under way.
        current: the model that has just been accepted.

    Returns:
        The model to go on from.
    """
    start = search.baseline.dropped
    while (size := len(current.dropped) - 1) > len(start):
        met = [search.baseline, *search.steps]
        record = max(model.correct for model in met if len(model.dropped) == size)
        moves = [
            (unit, tuple(other for other in current.dropped if other != unit))
            for unit in current.dropped
            if unit not in start
        ]
        better = search.round(moves, [current], floor=record + 1)
        if not better:
            break
        current = search.accept(better[0])
    return current


@dataclasses.dataclass(frozen=True)
class Strategy:
    """A strategy: how a search goes on from one round to the next.

    Attributes:
        description: what it does, in one line.
        width: number of best models of each depth that go on; None: the K of ``NAME:K``.
        after_drop: called with the search and each accepted drop, if the width is 1.  It returns
            the model to go on from, which it has accepted (see `put_back`).
    """

    description: str
    width: int | None = 1
    after_drop: Callable[[Search, Candidate], Candidate] | None = None


def _with_width(row: Strategy, text: str) -> Strategy:
    """The row of ``beam:3``.

    Raises:
        InputError: the strategy takes no number, or the number is not a whole one above 0.
    """
    if row.width is not None or not text.isdecimal() or int(text) < 1:
        raise InputError("a strategy with a number is beam:K, such as beam:3")
    return dataclasses.replace(row, width=int(text))


def _own(value: Callable[[Search, Candidate], Candidate]) -> Strategy:
    """The row of a user's function, which becomes ``after_drop``."""
    return Strategy((value.__doc__ or "").partition("\n")[0], after_drop=value)


STRATEGIES = Choices(
    "strategy",
    {
        "greedy": Strategy("the best candidate of each round goes on"),
        "beam": Strategy("the K best models of every depth go on (beam:K)", width=None),
        "floating": Strategy("greedy, and layers come back where that helps", after_drop=put_back),
    },
    own=_own,
    parameters=_with_width,
)
