"""States between layers, kept for other candidates.

The states that leave a layer depend on the layers run so far and on nothing above: two candidates
share them up to the first layer at which they differ.  So the candidates of a round share those of
the model that they are made from; and where the round before tried without layer k and then dropped
layer j > k, this round's candidate without both begins at j.  What does not fit the budget is
computed again.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import Any

import jax
import numpy as np

from tale_jax.units import Keep


def path_of(keep: Keep, layer: int) -> Keep:
    """What was run of a model before ``layer``: each layer's halves, up to the last one kept."""
    while layer and not any(keep[layer - 1]):
        layer -= 1
    return keep[:layer]


class States:
    """States by batch and by what was run; candidates in several threads may share them.

    Attributes:
        budget: bytes that may be kept.
        used: bytes that are kept.
    """

    def __init__(self, budget: float):
        self.budget, self.used = budget, 0
        self._references: tuple[Keep, ...] = ()
        self._kept: dict[tuple[Any, Keep], Any] = {}
        self._lock = threading.Lock()

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
            if (states := self.get(batch, path)) is not None:
                return states, layer
            layer = len(path) - 1 if path else 0
        return self.get(batch, ()), 0

    def get(self, batch: Any, path: Keep) -> Any:
        """States that are kept, or None."""
        return self._kept.get((batch, path))

    def put(self, batch: Any, path: Keep, states: Any) -> None:
        """Keep the states if they fit; those of a reference push out those of candidates."""
        key, size = (batch, path), _size(states)
        with self._lock:
            if key in self._kept:
                return
            if self.used + size > self.budget and not self._differences(path):
                others = iter([key for key in self._kept if self._differences(key[1])])
                while self.used + size > self.budget and (other := next(others, None)) is not None:
                    self._drop(other)
            if self.used + size <= self.budget:
                self._kept[key] = states
                self.used += size

    def rearrange(self, old: Sequence[np.ndarray], new: Sequence[np.ndarray]) -> None:
        """Rows of batches ``0, 1, …`` have changed places: their states move along.

        Args:
            old: the rows of each batch.
            new: those of each batch now, in batches of the same shapes.
        """
        home = {row: (batch, i) for batch, rows in enumerate(old) for i, row in enumerate(rows)}
        before = {key: self._kept.pop(key) for key in list(self._kept) if key[0] in range(len(old))}
        self.used -= sum(map(_size, before.values()))
        for path in dict.fromkeys(path for _, path in before):
            host = {batch: np.asarray(kept) for (batch, p), kept in before.items() if p == path}
            for batch, rows in enumerate(new):
                homes = [home[row] for row in rows]
                if all(source in host for source, _ in homes):
                    like = before[homes[0][0], path]
                    moved = np.zeros(like.shape, like.dtype)  # a row of padding is never looked at
                    moved[: len(rows)] = [host[source][i] for source, i in homes]
                    self.put(batch, path, jax.device_put(moved, like.sharding))

    def _drop(self, key: tuple[Any, Keep]) -> None:
        self.used -= _size(self._kept.pop(key))

    def _differences(self, path: Keep) -> int:
        """In how many layers a path differs from the nearest of the references."""
        counts = (sum(a != b for a, b in zip(path, r, strict=False)) for r in self._references)
        return min(counts, default=0)


def _size(states: Any) -> int:
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(states))
