"""States between layers, kept for other candidates.

The states that leave a layer depend on the layers run so far and on nothing above: two candidates
share them up to the first layer at which they differ.  So the candidates of a round share those of
the model that they are made from; and where the round before tried without layer k and then dropped
layer j > k, this round's candidate without both begins at j.  What does not fit the budget is
computed again.
"""

from __future__ import annotations

import functools
import math
import threading
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tale_jax.units import Keep


def path_of(keep: Keep, layer: int) -> Keep:
    """What was run of a model before ``layer``: each layer's halves, up to the last one kept."""
    while layer and not any(keep[layer - 1]):
        layer -= 1
    return keep[:layer]


class States:
    """States by batch and by what was run, which candidates in several threads may share.

    Args:
        budget: bytes that may be kept on each device.

    Attributes:
        budget: as given.
        used: bytes that are kept on each device.
    """

    def __init__(self, budget: float):
        self.budget, self.used = budget, 0
        self._references: tuple[Keep, ...] = ()
        self._kept: dict[tuple[Hashable, Keep], Any] = {}
        self._lock = threading.RLock()  # every method takes it

    def set_references(self, references: Iterable[Keep]) -> None:
        """From now on candidates differ from these in one layer; what they cannot share goes."""
        with self._lock:
            self._references = tuple(references)
            for key in [key for key in self._kept if self._differences(key[1]) > 1]:
                self._pop(key)

    def nearest(self, batch: Hashable, keep: Keep, layer: int) -> tuple[Any, int]:
        """``(states, layer that they enter)``, as far up as any are kept, but not above ``layer``.

        None and 0 if there are none.
        """
        with self._lock:
            while layer:
                path = path_of(keep, layer)
                if (states := self.get(batch, path)) is not None:
                    return states, layer
                layer = len(path) - 1 if path else 0
            return self.get(batch, ()), 0

    def get(self, batch: Hashable, path: Keep) -> Any:
        """States that are kept, or None."""
        with self._lock:
            return self._kept.get((batch, path))

    def put(self, batch: Hashable, path: Keep, states: Any) -> None:
        """Keep the states if they fit; those of a reference push out those of candidates."""
        key, size = (batch, path), _size(states)
        with self._lock:
            if key in self._kept:
                return
            if self.used + size > self.budget and not self._differences(path):
                others = iter([key for key in self._kept if self._differences(key[1])])
                while self.used + size > self.budget and (other := next(others, None)) is not None:
                    self._pop(other)
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
        homes = [np.array([home[row] for row in rows]) for rows in new]
        with self._lock:
            keys = [key for key in self._kept if key[0] in range(len(old))]
            for path in dict.fromkeys(path for _, path in keys):
                every = {batch: self._pop((batch, p)) for batch, p in keys if p == path}
                for shape in {_shapes(states) for states in every.values()}:
                    here = {batch: kept for batch, kept in every.items() if _shapes(kept) == shape}
                    count = shape[0][0]  # rows
                    first = {batch: i * count for i, batch in enumerate(here)}  # one after another
                    places = {  # a row of padding is never looked at: the first row will do
                        batch: np.resize([first[source] + i for source, i in of], count)
                        for batch, of in enumerate(homes)
                        if all(source in here for source, _ in of)
                    }
                    for batch, moved in zip(places, _gathered(here, places), strict=True):
                        self.put(batch, path, moved)

    def _pop(self, key: tuple[Hashable, Keep]) -> Any:
        states = self._kept.pop(key)
        self.used -= _size(states)
        return states

    def _differences(self, path: Keep) -> int:
        """In how many layers a path differs from the nearest of the references."""
        counts = (sum(a != b for a, b in zip(path, r, strict=False)) for r in self._references)
        return min(counts, default=0)


def _gathered(states: Mapping[Hashable, Any], places: Mapping[int, np.ndarray]) -> list[Any]:
    """Rows of all states together, by batch, where the states are; one program a shape."""
    leaves, tree = jax.tree.flatten(next(iter(states.values())))
    layout = tree, tuple(leaf.sharding for leaf in leaves)
    return _gather(*layout, len(places))(list(states.values()), list(places.values()))


@functools.cache
def _gather(
    tree: Any, shardings: tuple[jax.sharding.Sharding, ...], count: int
) -> Callable[..., list[Any]]:
    def gather(states: list[Any], places: list[jax.Array]) -> list[Any]:
        rows = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *states)
        return [jax.tree.map(lambda leaf, each=each: leaf[each], rows) for each in places]

    return jax.jit(gather, out_shardings=[tree.unflatten(shardings)] * count)


def _shapes(states: Any) -> tuple[tuple[int, ...], ...]:
    return tuple(leaf.shape for leaf in jax.tree.leaves(states))


def _size(states: Any) -> int:
    """Bytes on the device that holds most; several devices have a part of the rows each."""

    def held(leaf: Any) -> int:
        shape = leaf.sharding.shard_shape(leaf.shape) if isinstance(leaf, jax.Array) else leaf.shape
        return math.prod(shape) * leaf.dtype.itemsize

    return sum(map(held, jax.tree.leaves(states)))
