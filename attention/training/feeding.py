"""Batches on their way to the devices: from a function, an iterator, or drawn on the devices."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, PyTree

from attention.errors import InputError
from attention.meshes import Placement, mesh_parts, put
from attention.training.sharding import batch_sharding


@runtime_checkable
class DataIterator(Protocol):
    """Batches with a position, which checkpoints save as JSON.

    This is an iterator, or an iterable whose position is that of its latest iterator, such as an
    ``IterableDataset`` of the library datasets.
    """

    def __iter__(self) -> Iterator[PyTree]: ...

    def state_dict(self) -> Any:
        """The position, as a JSON value."""
        ...

    def load_state_dict(self, state: Any) -> Any:
        """Go to a position."""
        ...


class Feed(NamedTuple):
    """How batches lie on the devices.

    Attributes:
        placement: the devices.
        axes: the first logical axes of every array of a batch.
        accumulate: microbatches of a step.
        local: whether each process gives its own rows alone, in place of all.
    """

    placement: Placement
    axes: tuple[str, ...] = ("batch",)
    accumulate: int = 1
    local: bool = False

    def put(self, arrays: PyTree) -> PyTree:
        """Bring a batch to the devices; of several processes, each brings the rows of its own.

        Raises:
            InputError: the rows do not divide.
        """
        sharding = batch_sharding(*self.placement, self.axes)
        count = jax.process_count()
        self.check(arrays, count if self.local else 1)
        if count == 1:
            numbers = all(isinstance(x, np.ndarray) for x in jax.tree.leaves(arrays))
            if numbers and self.placement.mesh.size == 1:
                return arrays  # the step takes them along, in less time
            return jax.device_put(arrays, sharding)
        if self.local:
            make = functools.partial(jax.make_array_from_process_local_data, sharding)
            return jax.tree.map(make, arrays)
        return jax.tree.map(lambda x: put(np.asarray(x), sharding), arrays)

    def check(self, arrays: PyTree, processes: int = 1) -> None:
        """Check that a batch divides over the devices.

        Raises:
            InputError: it does not.
        """
        devices = mesh_parts(self.placement, "batch")
        for rows in {jnp.shape(x)[0] * processes for x in jax.tree.leaves(arrays)}:
            if rows % (self.accumulate * devices):
                raise InputError(
                    f"a batch of {rows} rows does not divide into {self.accumulate} "
                    f"microbatch(es) on {devices} device(s)"
                )


def batches_of(
    data: Callable[[int], PyTree] | DataIterator | None, feed: Feed
) -> Callable[[int], PyTree]:
    """Get the batch of a step and put it on its devices; an iterator gives its next one.

    Args:
        data: see ``fit``; None gives no batches.
        feed: how batches lie on the devices.

    Returns:
        A function from the step to its batch; it raises InputError where the data end.

    Raises:
        TypeError: the data are neither a function nor a :class:`DataIterator`.
    """
    if data is None:
        return lambda _: None
    if isinstance(data, DataIterator):
        iterator = iter(data)
        draw = lambda _: next(iterator)  # noqa: E731
    elif callable(data):
        draw = data
    else:
        raise TypeError("data must be a function of the step or an iterator with state_dict()")

    def batch(t: int) -> PyTree:
        try:
            arrays = draw(t)
        except StopIteration:
            raise InputError(f"the data ended at step {t}; give more, or fewer steps") from None
        return feed.put(arrays)

    return batch


def drawn(
    draw: Callable[[Int[Array, ""]], PyTree], feed: Feed
) -> Callable[[Int[Array, ""]], PyTree]:
    """Make ``draw`` put each row on the device that it belongs to."""
    feed.check(jax.eval_shape(draw, jnp.int32(0)))
    sharding = batch_sharding(*feed.placement, feed.axes)
    return lambda t: jax.lax.with_sharding_constraint(draw(t), sharding)
