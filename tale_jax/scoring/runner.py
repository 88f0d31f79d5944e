"""One candidate on one batch: which programs it goes through, and which states it takes up."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import threading
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from attention.likelihood import Arrays, Batch
from attention.transformer import KeyValues
from tale_jax.scoring.programs import Beginning, Programs
from tale_jax.scoring.states import States
from tale_jax.units import Keep

READ_TOGETHER = 8  # layers
FRONT = "front"  # stands for the text before every row, where states are kept by batch


class Asked(NamedTuple):
    """A model that is being asked: batches, and what the programs will have made of each."""

    batches: Sequence[Batch]
    outputs: Sequence[concurrent.futures.Future[Any]]


@dataclasses.dataclass(frozen=True)
class Heat:
    """What a race asks of candidates on the search split.

    Attributes:
        sizes: number of examples of each part.
        ask: begins to ask a candidate a part, by their numbers.
        count: waits for what ``ask`` returned, and counts the correct answers.
    """

    sizes: list[int]
    ask: Callable[[int, int], Any]
    count: Callable[[Any], int]


class Runner:
    """Runs candidates, in several threads if need be.

    Args:
        programs: of the model.
        cache_bytes: of states that may be kept on each device.
        one_device: wait for what has been begun, so that the threads share the work evenly, and
            compile before there are states, whose layout must be known for that.

    Attributes:
        programs: of the model.
        cache_bytes: of states that may be kept on each device.
        layers_run: token-layers of padded batches run so far.
    """

    def __init__(self, programs: Programs, cache_bytes: float, *, one_device: bool):
        self.programs, self.layers_run = programs, 0
        self._one_device = one_device
        self._lock = threading.Lock()
        self.forget(cache_bytes)

    def forget(self, cache_bytes: float) -> None:
        """Keep no state of before: batches have changed."""
        self.cache_bytes = cache_bytes
        self._states = States(cache_bytes)
        self._beginnings: dict[int, tuple[Beginning, Beginning | None]] = {}  # of each part

    def rearrange(self, old: Sequence[Batch], new: Sequence[Batch]) -> None:
        """Rows of the search split have changed places, and take their states with them."""
        self._beginnings = {}
        self._states.rearrange([batch.rows for batch in old], [batch.rows for batch in new])

    def set_references(self, references: Iterable[Keep]) -> None:
        """Set the models that the next candidates are made from."""
        self._states.set_references(references)

    def __call__(self, keep: Keep, arrays: Arrays, part: int | None = None) -> Any:
        """What the protocol makes of a batch.

        Args:
            keep: the halves of layers that run.
            arrays: of the batch.
            part: number of the batch in the search split; its states are taken up and kept.
        """
        if self._one_device:
            self.programs.compile_all(arrays)
        last = max((i for i, halves in enumerate(keep) if any(halves)), default=0)
        run = self._write if self.programs.writes else self._read
        output = run(keep, last, arrays, part)
        return jax.block_until_ready(output) if self._one_device else output

    def _read(self, keep: Keep, last: int, arrays: Arrays, part: int | None) -> Any:
        own, front = self._beginning(arrays, part)
        hidden, first = own.hidden, 0
        if part is not None:
            kept, first = self._states.nearest(part, keep, last)
            hidden = own.hidden if kept is None else kept
        before = self._keys_before(front, keep, first, last)
        for layer in _kept_layers(keep, first, last):
            how = np.array(keep[layer]), np.int32(layer), before.get(layer)
            hidden = self.programs("advance", arrays, own._replace(hidden=hidden), *how)
            with self._lock:
                self.layers_run += arrays.tokens.size
            if part is not None:
                self._states.put(part, keep[: layer + 1], hidden)
        how = np.array(keep[last]), np.int32(last), before.get(last)
        return self.programs("finish", arrays, own._replace(hidden=hidden), *how)

    def _write(self, keep: Keep, last: int, arrays: Arrays, part: int | None) -> Any:
        own, front = self._beginning(arrays, part)
        before = self._keys_before(front, keep, 0, last)
        found = self._shared(part, arrays, own, keep, _layers_to(keep, 0, last), before)
        # What stands for a layer that is dropped is never looked at.
        kept = [found.get(layer, found[last])[1] for layer in range(len(keep))]
        fronts = [before.get(layer, before[last]) for layer in range(len(keep))] if before else None
        return self.programs("write", arrays, found[last][0], np.array(keep), kept, fronts)

    def after_each(self, arrays: Arrays, keep: Keep) -> list[Any]:
        """What the protocol makes of a batch, read before the first layer and after each one kept.

        Every layer runs once; nothing is kept. Several layers are read together, because the head
        is a product that is faster on many states.

        Args:
            arrays: of the batch.
            keep: the halves of layers that run; a layer without either is passed over.
        """
        layers = _kept_layers(keep, 0, len(keep))
        own, front = self.programs.begin(arrays)
        before = self._keys_before(front, keep, 0, max(layers, default=0))
        together = READ_TOGETHER if self._one_device else 1  # devices share the rows
        waiting, outputs = [own.hidden], []
        for layer in [*layers, None]:
            if len(waiting) == together or layer is None:
                filled = [*waiting, *waiting[-1:] * (together - len(waiting))]
                outputs += self.programs("read", arrays, filled)[: len(waiting)]
                hidden, waiting = waiting[-1], []
            else:
                hidden = waiting[-1]
            if layer is not None:
                how = np.array(keep[layer]), np.int32(layer), before.get(layer)
                waiting.append(self.programs("advance", arrays, own._replace(hidden=hidden), *how))
                with self._lock:
                    self.layers_run += arrays.tokens.size
        return jax.block_until_ready(outputs) if self._one_device else outputs

    def _beginning(self, arrays: Arrays, part: int | None) -> tuple[Beginning, Beginning | None]:
        """What every candidate begins with, of a batch and of the text before it."""
        found = None if part is None else self._beginnings.get(part)
        if found is None:
            found = self.programs.begin(arrays)
            if part is not None:
                self._beginnings[part] = found
        return found

    def _keys_before(
        self, front: Beginning | None, keep: Keep, first: int, last: int
    ) -> Mapping[int, KeyValues]:
        """Keys and values, by layer, of the text before every row."""
        if front is None or self.programs.front is None:
            return {}
        given = self.programs.front, front, keep, _layers_to(keep, first, last), {}
        return {layer: state[1] for layer, state in self._shared(FRONT, *given).items()}

    def _shared(
        self,
        batch: Hashable | None,
        arrays: Arrays,
        own: Beginning,
        keep: Keep,
        layers: Sequence[int],
        before: Mapping[int, KeyValues],
    ) -> dict[int, tuple[jax.Array, KeyValues]]:
        """What leaves each of some layers, with the layer's keys and values.

        Args:
            batch: by which states are kept; None: they are not.
            arrays: of the batch.
            own: its beginning.
            keep: the halves of layers that run.
            layers: numbers, ascending; all that are kept between the first and the last.
            before: keys and values of the front, by layer.
        """
        found = {}
        if batch is not None:
            states = {i: self._states.get(batch, keep[: i + 1]) for i in layers if any(keep[i])}
            found = {i: state for i, state in states.items() if state is not None}
        missing = next((i for i in layers if i not in found), None)
        if missing is None:
            return found
        state, at = (None, 0) if batch is None else self._states.nearest(batch, keep, missing)
        hidden = own.hidden if state is None else state[0]
        for layer in _layers_to(keep, at, layers[-1]):
            how = np.array(keep[layer]), np.int32(layer), before.get(layer)
            found[layer] = self.programs("share", arrays, own._replace(hidden=hidden), *how)
            with self._lock:
                self.layers_run += arrays.tokens.size
            if batch is not None and any(keep[layer]):
                self._states.put(batch, keep[: layer + 1], found[layer])
            hidden = found[layer][0]
        return found


def _layers_to(keep: Keep, first: int, last: int) -> list[int]:
    """The layers that are kept below ``last``, and ``last``."""
    return [*_kept_layers(keep, first, last), last]


def _kept_layers(keep: Keep, first: int, end: int) -> list[int]:
    return [layer for layer in range(first, end) if any(keep[layer])]


Program = Callable[[Runner, Arrays], Any]
"""What is run for each batch."""
