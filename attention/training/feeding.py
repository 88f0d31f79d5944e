"""Batches on their way to the devices: from a function, an iterator, or drawn on the devices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jaxtyping import Array, Int, PyTree

from attention.errors import InputError
from attention.training.sharding import LogicalRules, batch_sharding


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


def batches_of(
    data: Callable[[int], PyTree] | DataIterator | None,
    mesh: Mesh,
    rules: LogicalRules,
    accumulate: int,
) -> Callable[[int], PyTree]:
    """Get the batch of a step and put it on its devices; an iterator gives its next one.

    Args:
        data: see ``fit``; None gives no batches.
        mesh: where they go.
        rules: which mesh axis rows are split over.
        accumulate: microbatches of a step.

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
    sharding = batch_sharding(mesh, rules)

    def batch(t: int) -> PyTree:
        try:
            arrays = draw(t)
        except StopIteration:
            raise InputError(f"the data ended at step {t}; give more, or fewer steps") from None
        _check_rows(arrays, mesh, rules, accumulate)
        return jax.device_put(arrays, sharding)

    return batch


def drawn(
    draw: Callable[[Int[Array, ""]], PyTree], mesh: Mesh, rules: LogicalRules, accumulate: int
) -> Callable[[Int[Array, ""]], PyTree]:
    """Make ``draw`` put each row on the device that it belongs to."""
    _check_rows(jax.eval_shape(draw, jnp.int32(0)), mesh, rules, accumulate)
    sharding = batch_sharding(mesh, rules)
    return lambda t: jax.lax.with_sharding_constraint(draw(t), sharding)


def _check_rows(arrays: PyTree, mesh: Mesh, rules: LogicalRules, accumulate: int) -> None:
    devices = 1 if rules.batch is None else mesh.shape[rules.batch]
    for rows in {jnp.shape(x)[0] for x in jax.tree.leaves(arrays)}:
        if rows % (accumulate * devices):
            raise InputError(
                f"a batch of {rows} rows does not divide into {accumulate} microbatch(es) "
                f"on {devices} device(s)"
            )
