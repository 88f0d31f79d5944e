"""One pure training step: loss, gradient, accumulation, update."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Bool, Int, Key, PyTree

from attention.meshes import LogicalRules, Placement, using
from attention.training.sharding import optimizer_shardings, param_shardings

Metrics = dict[str, Array]
LossFn = Callable[[PyTree, PyTree, Key[Array, ""]], tuple]


class TrainState(NamedTuple):
    """All that a step changes.

    Attributes:
        step: number of updates done.
        params: the parameters.
        optimizer_state: of the optimizer.
    """

    step: Int[Array, ""] | Any
    params: PyTree
    optimizer_state: optax.OptState


def make_step(
    loss_fn: LossFn,
    optimizer: optax.GradientTransformation,
    accumulate: int = 1,
    shardings: TrainState | None = None,
    dispatch: int | None = None,
    watch: Callable[[PyTree], Metrics] | None = None,
    draw: Callable[[Int[Array, ""]], PyTree] | None = None,
    placement: Placement | None = None,
) -> Callable[..., tuple[TrainState, Metrics]]:
    """Make the jitted pure step ``(state, batch, key, go=True) -> (state, metrics)``.

        loss = Σ total / Σ weight,   gradient = Σ ∇total / Σ weight

    The sums go over the ``accumulate`` microbatches, so the result is that of one large batch,
    whatever the weights.  Microbatch i has the rows i, i + accumulate, …: each row stays on its
    device.

    If a loss, gradient or update is not finite, the state stays as it was and
    ``metrics["finite"]`` is false.  Given to the next step as ``go``, it keeps the state there too.

    Args:
        loss_fn: ``(params, batch, key) -> (total, weight)``.  It may return a third item, a dict of
            sums to report, which are divided by the weight too.
        optimizer: any optax transformation.
        accumulate: microbatches for each step; every array of a batch is ``[accumulate * b, …]``.
        shardings: where the state stays (see :func:`state_shardings`); None leaves it to jit.
        dispatch: how many steps are one program, with metrics ``[dispatch]``; needs ``draw``.
        watch: scalars of the parameters, before the update, to report with the loss.
        draw: makes the batch of a step on the device, from its number; the step then gets None.
        placement: the mesh, and how activations lie on it; None: one device.

    Returns:
        The step.  It donates the state that it gets, and uses ``fold_in(key, state.step)``.  Its
        metrics are ``loss``, ``grad_norm`` (before the optimizer clips it), ``finite``, the
        reported sums, and ``learning_rate`` if the optimizer holds one
        (``optax.inject_hyperparams``).
    """
    gradients = _gradients(loss_fn, accumulate)

    def step(
        state: TrainState, batch: PyTree, key: Key[Array, ""], go: Bool[Array, ""] | bool = True
    ) -> tuple[TrainState, Metrics]:
        key = jax.random.fold_in(key, state.step)
        batch = batch if draw is None else draw(state.step)
        with using(placement):
            (total, weight, extra), grads = gradients(state.params, batch, key)
        grads = jax.tree.map(lambda g: g / weight, grads)
        metrics = {"loss": total / weight, "grad_norm": optax.tree.norm(grads)}
        grads = jax.tree.map(lambda g, p: g.astype(p.dtype), grads, state.params)
        updates, optimizer_state = optimizer.update(grads, state.optimizer_state, state.params)
        new = TrainState(
            state.step + 1, optax.apply_updates(state.params, updates), optimizer_state
        )
        rates = optax.tree.get_all_with_path(
            optimizer_state, "learning_rate", lambda _, value: hasattr(value, "shape")
        )
        if len(rates) == 1:
            metrics["learning_rate"] = rates[0][1]
        watched = jnp.stack([metrics["loss"], metrics["grad_norm"], optax.tree.norm(updates)])
        finite = jnp.logical_and(go, jnp.isfinite(watched).all())
        kept = jax.tree.map(lambda after, before: jnp.where(finite, after, before), new, state)
        metrics |= {name: value / weight for name, value in extra.items()}
        metrics |= {} if watch is None else watch(state.params)
        return kept, {**metrics, "finite": finite}

    def several(
        state: TrainState, batch: None, key: Key[Array, ""], go: Bool[Array, ""] | bool = True
    ) -> tuple[TrainState, Metrics]:
        def one(carry: tuple[TrainState, Array], _: None) -> tuple[Any, Metrics]:
            state, metrics = step(carry[0], batch, key, carry[1])
            return (state, metrics["finite"]), metrics

        (state, _), metrics = jax.lax.scan(one, (state, jnp.asarray(go)), length=dispatch)
        return state, metrics

    out = None if shardings is None else (shardings, shardings.step)  # every device has the metrics
    return jax.jit(step if dispatch is None else several, donate_argnums=0, out_shardings=out)


def _gradients(loss_fn: LossFn, accumulate: int) -> Callable[..., tuple[PyTree, PyTree]]:
    """Make ``(params, batch, key) -> ((total, weight, sums), gradient)``, over all microbatches."""

    def sums(params: PyTree, batch: PyTree, key: Key[Array, ""]) -> tuple[PyTree, PyTree]:
        def total_first(params: PyTree) -> tuple[Array, tuple[Array, Metrics]]:
            total, weight, *more = loss_fn(params, batch, key)
            weight = jax.lax.stop_gradient(jnp.asarray(weight, jnp.float32))
            return total.astype(jnp.float32), (weight, more[0] if more else {})

        (total, (weight, extra)), grads = jax.value_and_grad(total_first, has_aux=True)(params)
        return (total, weight, extra), grads

    def accumulated(params: PyTree, batch: PyTree, key: Key[Array, ""]) -> tuple[PyTree, PyTree]:
        # [accumulate * b, …] -> [accumulate, b, …] by strides: b remains the sharded axis.
        micro = jax.tree.map(
            lambda x: x.reshape(-1, accumulate, *x.shape[1:]).swapaxes(0, 1), batch
        )
        keys = jax.random.split(key, accumulate)
        shapes = jax.eval_shape(sums, params, jax.tree.map(lambda x: x[0], micro), keys[0])
        zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, jnp.promote_types(x.dtype, "f4")), shapes)

        def add(carry: PyTree, item: PyTree) -> tuple[PyTree, None]:
            return jax.tree.map(jnp.add, carry, sums(params, *item)), None

        return jax.lax.scan(add, zeros, (micro, keys))[0]

    return sums if accumulate == 1 else accumulated


def state_shardings(
    params: PyTree,
    optimizer: optax.GradientTransformation,
    mesh: Mesh,
    rules: LogicalRules,
    axes: PyTree | None,
) -> tuple[TrainState, TrainState]:
    """Describe the state of a training.

    Args:
        params: arrays or ``ShapeDtypeStruct``s.
        optimizer: any optax transformation.
        mesh: where the state lives.
        rules: which mesh axis each logical axis is split over.
        axes: logical axes of every parameter; None: every device holds all of them.

    Returns:
        The abstract state (shapes, dtypes, shardings), and its shardings alone.

    Raises:
        ValueError: the axes do not fit the parameters, the rules or the mesh.
    """
    homes = param_shardings(params, axes, mesh, rules)
    abstract = jax.eval_shape(
        lambda p: TrainState(jnp.zeros((), jnp.int32), p, optimizer.init(p)), params
    )
    shardings = TrainState(
        step=NamedSharding(mesh, PartitionSpec()),
        params=homes,
        optimizer_state=optimizer_shardings(abstract.optimizer_state, abstract.params, homes),
    )
    place = lambda a, s: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=s)  # noqa: E731
    return jax.tree.map(place, abstract, shardings), shardings
