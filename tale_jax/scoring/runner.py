"""One candidate on one batch: which programs it goes through, and which states it takes up."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from attention.likelihood import Arrays, Batch
from tale_jax.scoring.programs import Beginning, Programs
from tale_jax.scoring.states import States
from tale_jax.units import Keep

SHARED = -1  # the text that all rows begin with, as a part of the search split


class Runner:
    """Runs candidates, in several threads if need be.

    Attributes:
        programs: of the model.
        layers_run: token-layers of padded batches run so far.
        cache_bytes: of states that may be kept, from the next ``forget`` on.
    """

    def __init__(
        self, programs: Programs, cache_bytes: float, *, writes: bool, compile_ahead: bool
    ):
        """Keep nothing yet.

        Args:
            programs: of the model.
            cache_bytes: of states that may be kept.
            writes: candidates write, and have no states that others could take up.
            compile_ahead: begin to compile before there are states, the layout of which must then
                be known: that of one device.
        """
        self.programs, self.layers_run = programs, 0
        self.cache_bytes, self._writes, self._compile_ahead = cache_bytes, writes, compile_ahead
        self._lock = threading.Lock()
        self.forget()

    def forget(self) -> None:
        """Batches have changed: no state fits them."""
        self._states = States(self.cache_bytes)
        self._begun: dict[int, tuple[Beginning, Beginning | None]] = {}  # of each part

    def rearrange(self, old: Sequence[Batch], new: Sequence[Batch]) -> None:
        """Rows of the search split have changed places, and take their states with them."""
        self._begun = {}
        self._states.rearrange([batch.rows for batch in old], [batch.rows for batch in new])

    def set_references(self, references: Iterable[Keep]) -> None:
        """The models that the next candidates are made from."""
        self._states.set_references(references)

    def __call__(self, keep: Keep, arrays: Arrays, part: int | None = None) -> Any:
        """What the protocol makes of the batch; does not wait.

        States are taken up and kept where it is a ``part`` of the search split.
        """
        if self._writes:
            return self.programs("write", arrays, np.array(keep))
        if self._compile_ahead:
            self.programs.compile_reading(arrays)
        last = max((i for i, halves in enumerate(keep) if any(halves)), default=0)
        own, text = self._begin(part, arrays)
        hidden, first = None, 0
        if part is not None:
            hidden, first = self._states.nearest(part, keep, last)
        hidden = own.hidden if hidden is None else hidden
        before = self._keys_before(text, keep, first, last)
        for layer in _kept_layers(keep, first, last):
            how = np.array(keep[layer]), np.int32(layer), before.get(layer)
            hidden = self.programs("advance", arrays, own._replace(hidden=hidden), *how)
            with self._lock:
                self.layers_run += arrays.tokens.size
            if part is not None:
                self._states.put(part, keep[: layer + 1], hidden)
        how = np.array(keep[last]), np.int32(last), before.get(last)
        return self.programs("finish", arrays, own._replace(hidden=hidden), *how)

    def _begin(self, part: int | None, arrays: Arrays) -> tuple[Beginning, Beginning | None]:
        if part is None:
            return self.programs.begin(arrays)
        if part not in self._begun:
            self._begun[part] = self.programs.begin(arrays)
        return self._begun[part]

    def _keys_before(
        self, text: Beginning | None, keep: Keep, first: int, last: int
    ) -> dict[int, Any]:
        """Keys and values, by layer, of the text that all rows begin with."""
        if text is None:
            return {}
        wanted = [*_kept_layers(keep, first, last), last]
        found = {i: self._states.get(SHARED, keep[: i + 1]) for i in wanted}
        missing = next((i for i in wanted if found[i] is None), None)
        if missing is not None:
            state, at = self._states.nearest(SHARED, keep, missing)
            hidden = text.hidden if state is None else state[0]
            for layer in [*_kept_layers(keep, at, last), last]:
                how = np.array(keep[layer]), np.int32(layer)
                begun = text._replace(hidden=hidden)
                found[layer] = self.programs("share", self.programs.shared, begun, *how)
                if any(keep[layer]):
                    self._states.put(SHARED, keep[: layer + 1], found[layer])
                hidden = found[layer][0]
        return {layer: state[1] for layer, state in found.items() if state is not None}


def _kept_layers(keep: Keep, first: int, end: int) -> list[int]:
    return [layer for layer in range(first, end) if any(keep[layer])]
