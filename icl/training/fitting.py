"""Training on functions: data made on the device inside the step, many steps a dispatch.

The loop, its checkpoints and metrics are ``attention.training.loop``.  Several seeds are one model
more by ``vmap``: their losses are added up, so each gets its own gradient, and Adam works number
by number.  Several devices share each batch; a CPU takes it in parts, with the derivatives that it
is fast at.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key

from attention.errors import InputError
from attention.normalizers import NORMALIZERS
from attention.training import TrainState, fit, learned_values, load_params, make_mesh
from attention.transformer import Transformer, TransformerConfig, unstack_layers
from icl.tasks import Prompts, Task, inputs_and_places, prediction_loss
from icl.training.experiments import Experiment, read

Params = Mapping[str, Any]

PART = 2**18  # numbers in the residual stream of a part of a batch: 1 MiB


def init(config: TransformerConfig, seed: int) -> Params:
    """Initial parameters, layers unstacked (an unrolled loop is faster at these sizes)."""
    return _init(config, jax.random.split(jax.random.key(seed))[0])


@functools.partial(jax.jit, static_argnums=0)
def _init(config: TransformerConfig, key: Key[Array, ""]) -> Params:
    tokens = jnp.zeros((1, 1, config.input_size or 1))
    return unstack_layers(Transformer(config).init(key, tokens)["params"])


def data_key(seed: int) -> Key[Array, ""]:
    """Key of a seed's data; step t uses ``fold_in(key, t)``."""
    return jax.random.split(jax.random.key(seed))[1]


def predict(
    config: TransformerConfig,
    params: Params,
    x_BTD: Float[Array, "B T d"],
    y_BT: Float[Array, "B T"],
    labels: bool = True,
) -> Float[Array, "B T"]:
    """The model's prediction of every value from the points before it."""
    tokens, places = inputs_and_places(x_BTD, y_BT, labels)
    out: Any = Transformer(config).apply({"params": params}, tokens, read_at=places)
    return out[..., 0]


def draw_of(task: Task, batch: int, seeds: range) -> Callable[[Int[Array, ""]], Prompts]:
    """The prompts of a step for ``fit``: ``[B, …]``, or of several seeds ``[B, seed, …]``."""

    def one(key: Key[Array, ""], step: Int[Array, ""]) -> Prompts:
        prompts = task.sample(jax.random.fold_in(key, step), step, batch)
        where_BT = jnp.broadcast_to(prompts.where_BT, prompts.y_BT.shape)
        return prompts._replace(where_BT=where_BT)

    keys = [data_key(seed) for seed in seeds]
    if len(seeds) == 1:
        return lambda step: one(keys[0], step)
    return lambda step: jax.vmap(one, (0, None), out_axes=1)(jnp.stack(keys), step)


def loss_of(
    config: TransformerConfig, task: Task, seeds: range
) -> Callable[[Params, Prompts, Any], tuple[Array, Array, dict[str, Array]]]:
    """The loss of prompts ``(params, prompts, key)`` for ``fit``."""
    config = for_training(config)

    def one(params: Params, prompts: Prompts) -> tuple[Array, Array]:
        predicted_BT = predict(config, params, prompts.x_BTD, prompts.y_BT, task.labels)
        return prediction_loss(predicted_BT, prompts, task.loss)

    def loss(params: Params, prompts: Prompts, key: Any) -> tuple[Array, Array, dict]:
        del key  # all chance is in the prompts
        if len(seeds) == 1:
            return *one(params, prompts), {}
        totals_K, counts_K = jax.vmap(one, (0, 1))(params, prompts)
        total = jnp.sum(totals_K)  # whose gradient is that of each seed's own loss
        shown = total + jax.lax.stop_gradient(jnp.mean(totals_K) - total)
        return shown, counts_K[0], {f"loss_{seed}": totals_K[i] for i, seed in enumerate(seeds)}

    return loss


def for_training(config: TransformerConfig) -> TransformerConfig:
    """The same model by the means that a CPU trains it faster with (docs/results)."""
    if jax.default_backend() != "cpu":
        return config
    fits = NORMALIZERS.pick(config.normalizer).logit_transform is not None
    return dataclasses.replace(
        config,
        attention_implementation="blocks" if fits else "xla",
        derivatives="cpu",
    )


def parts_of(experiment: Experiment) -> int:
    """Microbatches of a step; on a CPU as many as leave each ``PART`` numbers, for its cache."""
    if jax.default_backend() != "cpu":
        return 1
    tokens = experiment.points * (2 if experiment.labels else 1)
    numbers = tokens * experiment.seeds * experiment.config().hidden_size
    rows = experiment.batch // jax.device_count()  # of each device
    counts = [n for n in range(1, rows + 1) if experiment.batch % (n * jax.device_count()) == 0]
    return max((n for n in counts if experiment.batch // n * numbers >= PART), default=1)


def train(
    experiment: Experiment,
    directory: Path | None,
    *,
    steps: int,
    dispatch: int = 100,
    save_every: int = 1000,
    log_every: int = 100,
    accumulate: int | None = None,
    quiet: bool = False,
) -> TrainState:
    """Trains, or goes on where the run in ``directory`` stopped; see ``fit``.

    Parameters of several seeds are stacked: ``[seed, …]``.

    Args:
        experiment: what is trained.
        directory: of the run; None keeps nothing.
        steps: updates in all.
        dispatch: updates in one program.
        save_every: updates between checkpoints.
        log_every: updates between lines of metrics.
        accumulate: parts of a batch, one after the other, whose gradients add up to the batch's;
            None: ``parts_of``.
        quiet: nothing on the terminal.

    Raises:
        InputError: bad settings, or the directory of another experiment.
    """
    config, task = experiment.config(), experiment.task()
    seeds = range(experiment.seed, experiment.seed + experiment.seeds)
    if steps < 1:
        raise InputError(f"steps must be at least 1, not {steps}")
    if min(dispatch, save_every, log_every) < 1 or save_every % dispatch or log_every % dispatch:
        raise InputError(  # before the directory is claimed
            f"save_every={save_every} and log_every={log_every} must be multiples of "
            f"dispatch={dispatch}, and positive"
        )
    accumulate = parts_of(experiment) if accumulate is None else accumulate
    mesh = make_mesh() if jax.device_count() > 1 else None
    if accumulate < 1 or experiment.batch % (accumulate * jax.device_count()):
        raise InputError(
            f"a batch of {experiment.batch} prompts has no {accumulate} equal parts "
            f"on {jax.device_count()} device(s)"
        )
    each = [init(config, seed) for seed in seeds]
    params = each[0] if len(each) == 1 else jax.tree.map(lambda *x: jnp.stack(x), *each)
    if directory is not None:
        experiment.claim(directory)
    return fit(
        loss_of(config, task, seeds),
        params,
        optax.adam(experiment.learning_rate),
        None,
        steps=steps,
        key=data_key(experiment.seed),
        accumulate=accumulate,
        mesh=mesh,
        directory=directory,
        save_every=save_every,
        log_every=log_every,
        dispatch=dispatch,
        watch=learned_values(config) if len(each) == 1 else None,
        draw=draw_of(task, experiment.batch, seeds),
        quiet=quiet,
    )


@dataclasses.dataclass(frozen=True)
class Trained:
    """A trained model."""

    experiment: Experiment
    task: Task
    config: TransformerConfig
    params: Params


def load(directory: Path, seed: int | None = None) -> Trained:
    """The model of a run: of its first seed, or of another one.

    Raises:
        InputError: no run, or no such seed.
    """
    experiment = read(directory)
    config = experiment.config()
    seeds = range(experiment.seed, experiment.seed + experiment.seeds)
    seed = seeds[0] if seed is None else seed
    if seed not in seeds:
        raise InputError(f"{directory} has the seeds {seeds[0]} to {seeds[-1]}, not {seed}")
    abstract = jax.eval_shape(lambda: init(config, 0))
    if len(seeds) > 1:
        stacked = lambda x: jax.ShapeDtypeStruct((len(seeds), *x.shape), x.dtype)  # noqa: E731
        params = load_params(directory, jax.tree.map(stacked, abstract))
        params = jax.tree.map(lambda x: x[seed - seeds[0]], params)
    else:
        params = load_params(directory, abstract)
    return Trained(experiment, experiment.task(), config, params)
