"""A search before it begins: the model, the tasks, and what is done with them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from attention.files import Record
from attention.terminal import Terminal
from tale_jax import opening
from tale_jax.criteria import Basis, RankingOptions
from tale_jax.elimination import SearchOptions
from tale_jax.models import LoadedModel
from tale_jax.options import Options
from tale_jax.scoring import JointScorer, Scorer
from tale_jax.searches.damage import DamageCheck
from tale_jax.tasks import Task


@dataclasses.dataclass(frozen=True)
class Job:
    """What a search is given.

    Attributes:
        model: in memory.
        tasks: by their names, in their order.
        objective: what is made of several tasks.
        layers: how layers are chosen, and when the search stops.
        ranking: what ranks layers.
        null_control: number of searches on shuffled answers.
        options: how the model was loaded, what the tasks consist of, how the model is asked.
        damage: what else is measured of the picks.
    """

    model: LoadedModel
    tasks: Mapping[str, Task]
    objective: str
    layers: SearchOptions
    ranking: RankingOptions
    null_control: int
    options: Options
    damage: DamageCheck | None = None


@dataclasses.dataclass(frozen=True)
class OpenedJob:
    """A search that can begin.

    Attributes:
        job: what it was given; its options have the day that chat templates are told.
        scorer: of the task, or of several.
        basis: what its criterion looks at.
        settings: what decides its result, for the run directory.
    """

    job: Job
    scorer: Scorer | JointScorer
    basis: Basis
    settings: Record


def open_job(job: Job, out: Path, terminal: Terminal) -> OpenedJob:
    """Make a job ready.

    Args:
        job: what is searched.
        out: directory of the run, whose day is taken again if it has begun.
        terminal: shows notes.

    Raises:
        InputError: an option does not go with the model or a task.
    """
    options = job.options
    for task in job.tasks.values():
        options = opening.dated(options, task, job.model, out)
    scorer = opening.open_scorers(job.model, job.tasks, job.objective, options, terminal)
    units = job.layers.units(job.model.config.num_hidden_layers, job.model.missing)
    calibration = job.ranking.calibration
    basis = Basis(job.model, scorer, units, calibration, options.seed)
    settings = opening.identify(job.model, options)
    settings |= opening.identify_tasks(job.tasks, job.model, scorer, options)
    settings |= job.layers.as_settings() | {"criterion": job.ranking.criterion}
    settings["calibration"] = None if calibration is None else str(calibration)
    settings |= {name: getattr(options, name) for name in ("limit", "choices", "shots", "seed")}
    if options.draw is not None:
        settings["draw"] = options.draw
    return OpenedJob(dataclasses.replace(job, options=options), scorer, basis, settings)
