"""Training: prompts are made on the device inside the step, and many steps are one program.

The loop, its checkpoints and its metrics are `attention.training.fit`.  Several seeds are trained
as one model by ``vmap``: their losses are added up, so that each gets its own gradient, and Adam
works number by number.  Several devices share each batch.  A CPU takes a batch in parts, with the
derivatives that it is fast at.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Key

from attention import files
from attention.errors import InputError
from attention.meshes import SHARDINGS, Placement, make_mesh, mesh_parts
from attention.training import (
    TrainState,
    fit,
    for_training,
    learned_values,
    load_params,
    transformer_axes,
)
from attention.transformer import Transformer, TransformerConfig, unstack_layers
from icl.tasks import Prompts, Task, inputs_and_places
from icl.training.experiment import COMMAND, Experiment, TrainingLayout, Updates, read
from icl.training.parameter_file import PARAMETERS, read_parameters
from icl.training.zoo import folder_of

Params = Mapping[str, Any]

PART = 2**18  # numbers in the residual stream of a part of a batch: 1 MiB


def init(config: TransformerConfig, seed: int) -> Params:
    """Initial parameters of a model; layers are not stacked, because that trains faster here."""
    return _init(config, jax.random.split(jax.random.key(seed))[0])


@functools.partial(jax.jit, static_argnums=0)
def _init(config: TransformerConfig, key: Key[Array, ""]) -> Params:
    tokens = jnp.zeros((1, 1, config.input_size or 1))
    return unstack_layers(Transformer(config).init(key, tokens)["params"])


def init_all(config: TransformerConfig, seeds: range) -> Params:
    """Initial parameters of several seeds, stacked ``[seed, …]``; one seed has no such axis."""
    each = [init(config, seed) for seed in seeds]
    return each[0] if len(each) == 1 else jax.tree.map(lambda *x: jnp.stack(x), *each)


def data_key(seed: int) -> Key[Array, ""]:
    """The key of a seed's data; step t uses ``fold_in(key, t)``."""
    return jax.random.split(jax.random.key(seed))[1]


@functools.partial(jax.jit, static_argnames=("config", "labels"))
def predict(
    config: TransformerConfig,
    params: Params,
    x_BTD: Float[Array, "B T d"],
    y_BT: Float[Array, "B T"],
    labels: bool = True,
) -> Float[Array, "B T"]:
    """The model's prediction of every value from the points before it.

    Args:
        config: of the model.
        params: of the model.
        x_BTD: inputs.
        y_BT: values.
        labels: whether values are in the context.
    """
    tokens, places = inputs_and_places(x_BTD, y_BT, labels)
    out: Any = Transformer(config).apply({"params": params}, tokens, read_at=places)
    return out[..., 0]


def draw_of(task: Task, batch: int, seeds: range) -> Callable[[Int[Array, ""]], Prompts]:
    """A function from the step to its prompts: ``[B, …]``, or ``[B, seed, …]`` of several seeds."""

    def one(key: Key[Array, ""], step: Int[Array, ""]) -> Prompts:
        prompts = task.sample(jax.random.fold_in(key, step), step, batch)
        where_BT = jnp.broadcast_to(prompts.where_BT, prompts.y_BT.shape)
        return prompts._replace(where_BT=where_BT)

    keys = [data_key(seed) for seed in seeds]
    if len(seeds) == 1:
        return lambda step: one(keys[0], step)
    return lambda step: jax.vmap(one, (0, None), out_axes=1)(jnp.stack(keys), step)


def loss_of(
    config: TransformerConfig, task: Task, seeds: range, backend: str | None = None
) -> Callable[
    [Params, Prompts, Any], tuple[Float[Array, ""], Int[Array, ""], dict[str, Float[Array, ""]]]
]:
    """The loss ``(params, prompts, key) → (total, count, sums)`` that ``fit`` minimizes."""
    config = for_training(config, backend)

    def one(params: Params, prompts: Prompts) -> tuple[Array, Array]:
        predicted_BT = predict(config, params, prompts.x_BTD, prompts.y_BT, task.labels)
        return task.loss.total(predicted_BT, prompts)

    def loss(params: Params, prompts: Prompts, key: Any) -> tuple[Array, Array, dict]:
        del key  # all that is random is in the prompts
        if len(seeds) == 1:
            return *one(params, prompts), {}
        totals_K, counts_K = jax.vmap(one, (0, 1))(params, prompts)
        total = jnp.sum(totals_K)  # its gradient is that of each seed's own loss
        shown = total + jax.lax.stop_gradient(jnp.mean(totals_K) - total)
        return shown, counts_K[0], {f"loss_{seed}": totals_K[i] for i, seed in enumerate(seeds)}

    return loss


def parts_of(experiment: Experiment, devices: int = 1) -> int:
    """The number of microbatches of a step; on a CPU each of them fits the cache (``PART``).

    Args:
        experiment: what is trained.
        devices: that examples are divided over.
    """
    if jax.default_backend() != "cpu":
        return 1
    tokens = experiment.points * (2 if experiment.labels else 1)
    numbers = tokens * experiment.seeds * experiment.config().hidden_size
    rows = experiment.batch // devices  # on each device
    counts = [n for n in range(1, rows + 1) if experiment.batch % (n * devices) == 0]
    return max((n for n in counts if experiment.batch // n * numbers >= PART), default=1)


def placed(layout: TrainingLayout, seeds: int) -> Placement:
    """The devices, and how models of so many seeds are divided over them."""
    mesh = make_mesh(devices=None, **layout.axes)
    name = layout.sharding or usual_sharding(seeds, mesh.size)
    return Placement(mesh, SHARDINGS.pick(name).rules)


def usual_sharding(seeds: int, devices: int) -> str:
    """How models of so many seeds are divided, if nobody says it."""
    return "seeds" if seeds > 1 and seeds % devices == 0 else "fsdp+tp"


def axes_of(config: TransformerConfig, seeds: range) -> Any:
    """Logical axes of the parameters that ``init_all`` makes."""
    axes = transformer_axes(jax.eval_shape(lambda: init(config, 0)))
    if len(seeds) == 1:
        return axes
    named = lambda x: isinstance(x, tuple) and all(isinstance(n, str | None) for n in x)  # noqa: E731
    return jax.tree.map(lambda own: ("seed", *own), axes, is_leaf=named)


def train(
    experiment: Experiment,
    directory: Path | None,
    updates: Updates | None = None,
    layout: TrainingLayout | None = None,
    *,
    quiet: bool = False,
) -> TrainState:
    """Train models, or continue the run in a directory.

    Args:
        experiment: what is trained.
        directory: of the run; None keeps nothing.
        updates: number of updates, and what is kept; None: the defaults.
        layout: the devices, and what is divided over them; None: the defaults.
        quiet: show nothing on the terminal.

    Returns:
        The state after the last update; parameters of several seeds are stacked ``[seed, …]``.

    Raises:
        InputError: the settings are not possible, or the directory holds another run.
    """
    updates = updates or Updates()
    config, task, seeds = experiment.config(), experiment.task(), experiment.all_seeds
    placement = placed(layout or TrainingLayout(), len(seeds))
    devices = mesh_parts(placement, "batch")
    accumulate = parts_of(experiment, devices) if updates.accumulate is None else updates.accumulate
    if experiment.batch % (accumulate * devices):
        raise InputError(
            f"a batch of {experiment.batch} prompts has no {accumulate} equal parts "
            f"on {devices} device(s)"
        )

    def fitted() -> TrainState:
        return fit(
            loss_of(config, task, seeds),
            init_all(config, seeds),
            optax.adam(experiment.learning_rate),
            None,
            steps=updates.steps,
            key=data_key(experiment.seed),
            accumulate=accumulate,
            mesh=placement.mesh,
            rules=placement.rules,
            axes=axes_of(config, seeds),
            batch_axes=("batch",) if len(seeds) == 1 else ("batch", "seed"),
            directory=directory,
            save_every=updates.save_every,
            log_every=updates.log_every,
            dispatch=updates.dispatch,
            profile=updates.profile,
            watch=learned_values(config) if len(seeds) == 1 else None,
            draw=draw_of(task, experiment.batch, seeds),
            quiet=quiet,
        )

    if directory is None:
        return fitted()
    settings, owner = dataclasses.asdict(experiment), jax.process_index() == 0
    with files.RunDirectory(directory, COMMAND, settings, resume=True, owner=owner):
        return fitted()


@dataclasses.dataclass(frozen=True)
class Trained:
    """A trained model."""

    experiment: Experiment
    task: Task
    config: TransformerConfig
    params: Params


def predict_last(
    trained: Trained, x_BT: Float[np.ndarray, "B T"], y_BT: Float[np.ndarray, "B T"]
) -> Float[np.ndarray, " B"]:
    """A model's prediction of the last value of each prompt.

    Args:
        trained: a model of functions of one number.
        x_BT: inputs.
        y_BT: values; the last of each prompt is not looked at.
    """
    x_BTD = np.float32(x_BT[:, :, None])
    out_BT = predict(trained.config, trained.params, x_BTD, np.float32(y_BT))
    return np.asarray(out_BT)[:, -1]


def load(directory: Path, seed: int | None = None) -> Trained:
    """The model of a run.

    Args:
        directory: of the run, or ``zoo:NAME``.
        seed: of the model; None: the first.

    Raises:
        InputError: there is no run, or no such seed.
    """
    experiment = read(directory)
    config, seeds = experiment.config(), experiment.all_seeds
    seed = seeds[0] if seed is None else seed
    if seed not in seeds:
        raise InputError(f"{directory} has the seeds {seeds[0]} to {seeds[-1]}, not {seed}")
    abstract, folder = jax.eval_shape(lambda: init_all(config, seeds)), folder_of(directory)
    if (folder / PARAMETERS).is_file():
        params = read_parameters(folder / PARAMETERS, abstract)
    else:
        params = load_params(folder, abstract)
    if len(seeds) > 1:
        params = jax.tree.map(lambda x: x[seed - seeds[0]], params)
    return Trained(experiment, experiment.task(), config, params)


def load_all(directory: Path) -> dict[str, Trained]:
    """The model of a run by the name of its directory; several by name and seed, ``NAME#SEED``.

    Raises:
        InputError: there is no run.
    """
    name, seeds = directory.resolve().name, read(directory).all_seeds
    if len(seeds) == 1:
        return {name: load(directory)}
    return {f"{name}#{seed}": load(directory, seed) for seed in seeds}
