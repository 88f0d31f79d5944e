"""States between layers, kept from one candidate to the next.

Dropping a layer leaves the states below it as they were.  For a model that a search has reached,
its
*reference*, the states that enter every layer are kept for every batch; a candidate starts from the
last of them that it shares.  What does not fit the budget is computed again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from tale_jax.units import Keep


class States:
    """States of references, by batch and layer.

    Attributes:
        budget: bytes that may be kept.
        used: bytes that are kept.
    """

    def __init__(
        self, depth: int, budget: float, advance: Callable[[int, Any, Keep, int, int], Any]
    ):
        """Keep nothing yet.

        Args:
            depth: number of layers.
            budget: bytes that may be kept.
            advance: ``advance(batch, states, keep, first, end)`` → states that enter layer ``end``;
                ``states`` None: from the tokens.
        """
        self.budget, self.used = budget, 0
        self._depth, self._advance = depth, advance
        self._kept: dict[tuple[Keep, int], dict[int, Any]] = {}

    def set_references(self, references: Iterable[Keep]) -> None:
        """From now on these models are those that candidates are made from.

        States that a new reference shares with an old one are taken over.
        """
        old, self._kept, self.used = self._kept, {}, 0
        for reference in references:
            for (model, batch), states in old.items():
                shared = shared_layers(model, reference)  # what enters this layer is still the same
                for layer in [x for x in sorted(states) if x <= shared]:
                    self._put(reference, batch, layer, states[layer])

    def enter(self, batch: int, layer: int, reference: Keep) -> tuple[Any, int]:
        """States of a reference that enter ``layer``, or a layer below it if memory is short.

        Returns:
            ``(states, layer that they enter)``.
        """
        # What enters a layer behind one that is dropped is what enters the dropped one.
        stops = [x for x in range(layer + 1) if x == 0 or any(reference[x - 1])]
        states = self._kept.get((reference, batch), {})
        at = max((x for x in states if x <= layer), default=None)
        if at is None:
            hidden, at = self._advance(batch, None, reference, 0, 0), 0
            self._put(reference, batch, 0, hidden)
        else:
            hidden = states[at]
        for stop in [x for x in stops if x > at]:
            nearer = self._advance(batch, hidden, reference, at, stop)
            if not self._put(reference, batch, stop, nearer):
                break
            hidden, at = nearer, stop
        return hidden, at

    def _put(self, reference: Keep, batch: int, layer: int, states: Any) -> bool:
        """Keep the states if they fit."""
        size = int(np.prod(states.shape)) * states.dtype.itemsize
        place = self._kept.setdefault((reference, batch), {})
        if layer in place:
            return True
        if self.used + size > self.budget:
            return False
        place[layer] = states
        self.used += size
        return True


def shared_layers(first: Keep, second: Keep) -> int:
    """The lowest layer at which two models differ; states entering it are the same."""
    return next(
        (i for i, (a, b) in enumerate(zip(first, second, strict=True)) if a != b), len(first)
    )
