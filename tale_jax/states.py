"""States between layers, kept for other candidates.

The states that leave a layer depend on the layers run so far and on nothing above: two candidates
share them up to the first layer at which they differ.  So the candidates of a round share those of
the model that they are made from; and where the round before tried without layer k and then dropped
layer j > k, this round's candidate without both begins at j.  What does not fit the budget is
computed again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import jax

from tale_jax.units import Keep


def path_of(keep: Keep, layer: int) -> Keep:
    """What was run of a model before ``layer``: each layer's halves, up to the last one kept."""
    while layer and not any(keep[layer - 1]):
        layer -= 1
    return keep[:layer]


class States:
    """States by batch and by what was run.

    Attributes:
        budget: bytes that may be kept.
        used: bytes that are kept.
    """

    def __init__(self, budget: float):
        self.budget, self.used = budget, 0
        self._references: tuple[Keep, ...] = ()
        self._kept: dict[tuple[Any, Keep], Any] = {}

    def set_references(self, references: Iterable[Keep]) -> None:
        """From now on candidates differ from these in one layer; what they cannot share goes."""
        self._references = tuple(references)
        for key in [key for key in self._kept if self._differences(key[1]) > 1]:
            self._drop(key)

    def nearest(self, batch: Any, keep: Keep, layer: int) -> tuple[Any, int]:
        """``(states, layer that they enter)``, as far up as any are kept, but not above ``layer``.

        None and 0 if there are none.
        """
        while layer:
            path = path_of(keep, layer)
            if (batch, path) in self._kept:
                return self._kept[batch, path], layer
            layer = len(path) - 1 if path else 0
        return self._kept.get((batch, ())), 0

    def get(self, batch: Any, path: Keep) -> Any:
        """States that are kept, or None."""
        return self._kept.get((batch, path))

    def put(self, batch: Any, path: Keep, states: Any) -> None:
        """Keep the states if they fit; those of a reference push out those of candidates."""
        key, size = (batch, path), _size(states)
        if key in self._kept:
            return
        if not self._differences(path):
            others = iter([key for key in self._kept if self._differences(key[1])])
            while self.used + size > self.budget and (other := next(others, None)) is not None:
                self._drop(other)
        if self.used + size <= self.budget:
            self._kept[key] = states
            self.used += size

    def _drop(self, key: tuple[Any, Keep]) -> None:
        self.used -= _size(self._kept.pop(key))

    def _differences(self, path: Keep) -> int:
        """In how many layers a path differs from the nearest of the references."""
        counts = (sum(a != b for a, b in zip(path, r, strict=False)) for r in self._references)
        return min(counts, default=0)


def _size(states: Any) -> int:
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(states))
