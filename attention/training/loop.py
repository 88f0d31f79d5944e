"""The training loop, for any loss, on one device or many.  It can be killed and resumed."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh
from jaxtyping import Array, Int, Key, PyTree

from attention import processes
from attention.errors import InputError
from attention.meshes import LogicalRules, Placement, make_mesh
from attention.training.checkpoints import Best, Checkpoints, save_once, snapshot
from attention.training.feeding import DataIterator, Feed, batches_of, drawn
from attention.training.late_metrics import LateMetrics, profiler
from attention.training.metrics import MetricsLog
from attention.training.sharding import shard
from attention.training.step import LossFn, Metrics, TrainState, make_step, state_shardings


def fit(
    loss_fn: LossFn,
    params: PyTree | Callable[[], PyTree],
    optimizer: optax.GradientTransformation,
    data: Callable[[int], PyTree] | DataIterator | None,
    *,
    steps: int,
    key: Key[Array, ""],
    accumulate: int = 1,
    clip: float | None = None,
    mesh: Mesh | None = None,
    rules: LogicalRules | None = None,
    axes: PyTree | None = None,
    batch_axes: tuple[str, ...] = ("batch",),
    directory: str | Path | None = None,
    save_every: int = 1000,
    keep: int = 2,
    keep_seconds: int | None = None,
    keep_best: bool = False,
    log_every: int = 10,
    dispatch: int = 1,
    watch: Callable[[PyTree], Metrics] | None = None,
    draw: Callable[[Int[Array, ""]], PyTree] | None = None,
    evaluate: Callable[[int, PyTree], float | None] | None = None,
    evaluate_every: int = 1000,
    profile: tuple[int, int] | None = None,
    local: bool = False,
    quiet: bool = False,
) -> TrainState:
    """Train for ``steps`` updates, or for those that the run in ``directory`` still lacks.

    A run that is killed, and called again with the same arguments, ends in bitwise the same
    parameters on the same devices.  On other devices it goes on from the same state.

    Args:
        loss_fn: ``(params, batch, key) -> (total, weight[, sums])``, see :func:`make_step`.
        params: initial parameters, which are copied, never donated; or a function without
            arguments that makes them, each part on the devices where it stays.
        optimizer: any optax transformation, schedule included.
        data: ``data(t)`` gives the batch of step t; or a :class:`DataIterator`.  Every array of a
            batch is ``[accumulate * b, …]``.  None if ``draw`` is given.
        steps: total number of updates.
        key: made by ``jax.random.key``; step t uses ``fold_in(key, t)``.
        accumulate: microbatches for each update.
        clip: largest global norm of a gradient; None for no limit.
        mesh: see :func:`~attention.meshes.make_mesh`; None for one device.
        rules: which mesh axes each logical axis is split over, such as the rules of
            ``attention.meshes.SHARDINGS``.
        axes: logical axes of every parameter, such as ``transformer_axes(params)``; None: every
            device holds all parameters.
        batch_axes: the first logical axes of every array of a batch.
        directory: for ``checkpoints/<updates done>``, ``metrics.jsonl`` and, after a failure,
            ``nonfinite/<step>``; None keeps nothing.
        save_every: updates between checkpoints; the last update is always saved.
        keep: how many of the latest checkpoints are kept.
        keep_seconds: one checkpoint of every so many seconds is kept too; None: none.
        keep_best: the parameters for which ``evaluate`` gave the lowest number are kept in
            ``best/<updates done>``; ``best.json`` has the number.
        log_every: steps between lines of metrics; the last step is always logged.
        dispatch: steps in one program; needs ``draw``.  ``save_every`` and ``log_every`` must be
            multiples of it.
        watch: scalars of the parameters to log, as
            :func:`~attention.training.learned.learned_values` gives.
        draw: ``draw(t)`` makes the batch of step t on the devices, in place of ``data``.
        evaluate: called with the number of updates and the parameters: before the first update,
            every ``evaluate_every`` updates, and after the last one; where a run goes on, at the
            same numbers as if it had not been interrupted.  Its number, if it gives one, is the
            same to all processes.
        evaluate_every: updates between two calls; a multiple of ``dispatch``.
        profile: the first step and the number of steps to trace with ``jax.profiler``, into
            ``profile``.
        local: each of several processes gives its own rows alone, in place of the whole batch.
        quiet: show nothing on the terminal.

    Returns:
        The state after ``steps`` updates.

    Raises:
        NonFiniteError: a step was not finite.  The state before it is saved in ``nonfinite``, and a
            later call resumes from the last good checkpoint.
        KeyboardInterrupt: Ctrl-C, after saving; a second Ctrl-C does not wait for the step.
        Preempted: SIGTERM, after saving.  Of several processes all stop after the same step.
        InputError: an argument does not fit, ``directory`` holds another experiment, or the data
            ended or does not divide.
        TypeError: ``data`` is neither a function nor a :class:`DataIterator`.
    """
    intervals = {"save_every": save_every, "log_every": log_every}
    intervals |= {} if evaluate is None else {"evaluate_every": evaluate_every}
    _check(data, draw, accumulate, dispatch, intervals)
    if clip is not None:
        optimizer = optax.chain(optax.clip_by_global_norm(clip), optimizer)
    placement = Placement(make_mesh(data=1) if mesh is None else mesh, rules or LogicalRules())
    shapes = jax.eval_shape(params) if callable(params) else params
    abstract, shardings = state_shardings(shapes, optimizer, *placement, axes)
    folder = None if directory is None else Path(directory)
    with contextlib.ExitStack() as stack:
        checkpoints, state = None, None
        if folder is not None:
            kept = (keep, processes.is_main(), keep_seconds)
            checkpoints = stack.enter_context(Checkpoints(folder / "checkpoints", *kept))
            if checkpoints.latest is not None:
                state = _resumed(checkpoints, abstract, data, key)
        state = state or _fresh(params, optimizer, shardings)
        t = int(state.step)
        if t > steps:
            raise InputError(f"{directory} is at step {t}, past steps={steps}")
        path = None if folder is None else folder / "metrics.jsonl"
        log = stack.enter_context(MetricsLog(path, t, steps, quiet))
        interrupted = stack.enter_context(processes.stop_requests())
        trace = stack.enter_context(profiler(folder, profile))
        feed = Feed(placement, batch_axes, accumulate, local)
        batches = batches_of(data, feed)
        draw = None if draw is None else drawn(draw, feed)

        @functools.cache
        def program(count: int) -> Callable[..., tuple[TrainState, Metrics]]:
            several = None if dispatch == 1 else count
            how = (accumulate, shardings, several, watch, draw, placement)
            return make_step(loss_fn, optimizer, *how)

        shown = lambda t: t % log_every == 0 or t + 1 == steps  # noqa: E731
        late = LateMetrics(log, shown, functools.partial(_set_aside, folder))
        go = shard(jnp.bool_(True), shardings.step)
        look = _looking(evaluate, folder if keep_best else None)
        if t == steps or t % evaluate_every == 0:  # a kill may have come before the look
            look(t, state.params)
        while t < steps:
            # A run may resume between two multiples of dispatch: it first goes on to a multiple.
            chunk = min(dispatch - t % dispatch, steps - t)
            trace(t, chunk, state)
            state, metrics = program(chunk)(state, batches(t), key, go)
            go = metrics["finite"] if dispatch == 1 else metrics["finite"][-1]
            late.add(t, metrics, state)
            stop = interrupted()
            t += chunk
            save = stop or t == steps or t % save_every == 0
            due = not stop and (t == steps or t % evaluate_every == 0)
            if save or (due and evaluate is not None):
                late.read(state)  # raises, unless the state to save is finite
            if save and checkpoints is not None:
                checkpoints.save(t, _trees(state), _note(data, key))
            if due:
                look(t, state.params)
            if stop:
                processes.raise_stop(stop)
        return state


def _looking(
    evaluate: Callable[[int, PyTree], float | None] | None, folder: Path | None
) -> Callable[[int, PyTree], None]:
    """Evaluate parameters; those with the lowest number are kept in the folder, if there is one."""
    best = None if folder is None else Best(folder)

    def look(t: int, params: PyTree) -> None:
        value = None if evaluate is None else evaluate(t, params)
        if best is not None:
            best.see(t, value, params)

    return look


def _check(
    data: object, draw: object, accumulate: int, dispatch: int, intervals: dict[str, int]
) -> None:
    """Raise InputError if arguments of ``fit`` do not fit together."""
    if min(accumulate, *intervals.values()) < 1:
        raise InputError(f"accumulate, {' and '.join(intervals)} must be at least 1")
    if dispatch < 1 or any(every % dispatch for every in intervals.values()):
        given = " and ".join(f"{name}={every}" for name, every in intervals.items())
        raise InputError(f"{given} must be multiples of dispatch={dispatch}")
    if (data is None) == (draw is None) or (dispatch > 1 and draw is None):
        raise InputError("give data or draw, not both; several steps at once need draw")


def _fresh(
    params: PyTree, optimizer: optax.GradientTransformation, shardings: TrainState
) -> TrainState:
    if callable(params):
        placed = jax.jit(params, out_shardings=shardings.params)()
    else:
        placed = shard(params, shardings.params)
    init = jax.jit(optimizer.init, out_shardings=shardings.optimizer_state)
    return TrainState(shard(jnp.int32(0), shardings.step), placed, init(placed))


def _trees(state: TrainState) -> dict[str, PyTree]:
    # The parameters are a tree of their own: they can be loaded without knowing the optimizer.
    training = {"step": state.step, "optimizer_state": state.optimizer_state}
    return {"params": state.params, "training": training}


def _note(data: object, key: Key[Array, ""]) -> dict[str, Any]:
    position = data.state_dict() if isinstance(data, DataIterator) else None
    return snapshot({"data": position, "key": jax.random.key_data(key).tolist()})


def _resumed(
    checkpoints: Checkpoints, abstract: TrainState, data: object, key: Key[Array, ""]
) -> TrainState:
    trees, note = checkpoints.restore(_trees(abstract))
    here = checkpoints.directory
    if note["key"] != jax.random.key_data(key).tolist():
        raise InputError(f"{here} was made with another random key; choose another directory")
    if isinstance(data, DataIterator) != (note["data"] is not None):
        raise InputError(f"{here} was made with another kind of data; choose another directory")
    if isinstance(data, DataIterator):
        data.load_state_dict(note["data"])
    training = trees["training"]
    return TrainState(training["step"], trees["params"], training["optimizer_state"])


def _set_aside(folder: Path | None, t: int, state: TrainState) -> str:
    """Keep the state before a step that is not finite, and say where."""
    if folder is None:
        return "nothing was saved (no directory)"
    aside = folder / "nonfinite" / str(t)
    save_once(aside, _trees(state))
    return f"the state before it is in {aside}"
