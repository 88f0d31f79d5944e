"""A training step, to be compiled for machines that are not here."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import jax
import optax
from jax.sharding import NamedSharding, PartitionSpec

from attention.compilation import Step, count_flops
from attention.meshes import SHARDINGS, Placement, make_mesh
from attention.training import batch_sharding, make_step, state_shardings
from icl.training.experiment import Experiment, TrainingLayout
from icl.training.fitting import axes_of, draw_of, init_all, loss_of, usual_sharding


def step_to_compile(experiment: Experiment, layout: TrainingLayout, devices: Sequence[Any]) -> Step:
    """One update of a training, its prompts drawn on the devices.

    Args:
        experiment: what is trained.
        layout: the devices, and what is divided over them.
        devices: of a target.
    """
    mesh = make_mesh(**layout.axes, devices=devices)
    config, task, seeds = experiment.config(), experiment.task(), experiment.all_seeds
    sharding = layout.sharding or usual_sharding(len(seeds), mesh.size)
    placement = Placement(mesh, SHARDINGS.pick(sharding).rules)
    optimizer, loss = optax.adam(experiment.learning_rate), loss_of(config, task, seeds, "tpu")
    params = jax.eval_shape(functools.partial(init_all, config, seeds))
    abstract, shardings = state_shardings(
        params, optimizer, mesh, placement.rules, axes_of(config, seeds)
    )
    home = batch_sharding(*placement, ("batch",) if len(seeds) == 1 else ("batch", "seed"))
    draw = draw_of(task, experiment.batch, seeds)

    def drawn(step: Any) -> Any:
        return jax.lax.with_sharding_constraint(draw(step), home)

    step = make_step(loss, optimizer, shardings=shardings, draw=drawn, placement=placement)
    key = jax.eval_shape(lambda: jax.random.key(0))
    whole = NamedSharding(mesh, PartitionSpec())
    key = jax.ShapeDtypeStruct(key.shape, key.dtype, sharding=whole)
    prompts = jax.eval_shape(draw, abstract.step)
    useful = count_flops(jax.make_jaxpr(jax.grad(lambda *a: loss(*a)[0]))(params, prompts, key))
    size = ",".join(f"{name}={n}" for name, n in mesh.shape.items() if n > 1) or "data=1"
    words = {"mesh": size, "sharding": sharding, "batch": experiment.batch, "seeds": len(seeds)}
    return Step("train", step, (abstract, None, key), words, useful)
