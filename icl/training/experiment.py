"""An experiment in words: all that decides what a run learns; nothing here imports JAX."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from attention import files
from attention.command_line import Word
from attention.errors import InputError
from attention.marks import Between, OneOf
from attention.options import Count, Layout, Profile, Seeds
from attention.signature import check_fields
from icl.tasks import TASKS, TaskOptions, given_options
from icl.training.architectures import ModelOptions, model
from icl.training.zoo import folder_of

if TYPE_CHECKING:
    from attention.transformer import TransformerConfig
    from icl.tasks import Task

COMMAND = "icl train"


@dataclasses.dataclass(frozen=True)
class Experiment(TaskOptions, ModelOptions, Seeds):
    """What is trained.

    Attributes:
        preset: TASK-ARCHITECTURE, such as linear-12l8ah or every-2al4ah;
            docs/guides/in_context.md lists tasks and architectures
        batch: prompts of a step
        learning_rate: of Adam

    Raises:
        InputError: a number is out of range.
    """

    preset: Annotated[str, Word(metavar="TASK-ARCHITECTURE")]
    batch: Count = 64
    learning_rate: Annotated[float, Between(gt=0)] = 1e-4

    def task(self) -> Task:
        """The task.

        Raises:
            InputError: the preset names no task, or an option is not one of the task.
        """
        name = self.preset.rpartition("-")[0]
        if name not in TASKS and name not in TASKS.installed and ":" not in name:
            raise InputError(
                f"unknown preset {self.preset!r}; it is TASK-ARCHITECTURE, such as linear-12l8ah, "
                f"and tasks are {TASKS.listed}"
            )
        return TASKS.pick(name).make(**given_options(self))

    def config(self) -> TransformerConfig:
        """The model.

        Raises:
            InputError: the preset names no architecture, or an option is not possible.
        """
        architecture = self.preset.rpartition("-")[2]
        return model(architecture, self, input_size=self.task().input_size, points=self.points)


@dataclasses.dataclass(frozen=True)
class Updates:
    """How long, and what is kept.

    Attributes:
        steps: updates in all
        dispatch: updates in one program
        save_every: updates between checkpoints
        log_every: updates between lines of metrics
        accumulate: parts of a batch, one after another, whose gradients add up; by default one, or
            on a CPU as many as fit its cache
        profile: steps to trace with jax.profiler, into the directory's folder "profile"

    Raises:
        InputError: a number is out of range.
    """

    steps: Count = 10_000
    dispatch: Count = 100
    save_every: Count = 1000
    log_every: Count = 100
    accumulate: Count | None = None
    profile: Profile = None

    def __post_init__(self) -> None:
        check_fields(self)
        if self.save_every % self.dispatch or self.log_every % self.dispatch:
            raise InputError(
                f"--save-every {self.save_every} and --log-every {self.log_every} must be "
                f"multiples of --dispatch {self.dispatch}"
            )


@dataclasses.dataclass(frozen=True)
class TrainingLayout(Layout):
    """The devices, and what is divided over them; the result is the same.

    Attributes:
        mesh: devices along each axis: dcn, data, fsdp, model; by default all of them along data
        sharding: what is divided over the mesh, as docs/guides/pods.md says; by default seeds, if
            the devices divide their number, and otherwise fsdp+tp
    """

    mesh: Annotated[str, Word(metavar="data=N,model=N")] = "data=-1"
    sharding: Annotated[str | None, OneOf("attention.meshes:SHARDINGS")] = None  # type: ignore[assignment]


def read(directory: Path) -> Experiment:
    """The experiment of a run's directory, or of ``zoo:NAME``.

    Raises:
        InputError: there is no run of ``icl train``.
    """
    settings = files.read_settings(folder_of(directory), COMMAND)
    try:
        return Experiment(**settings)
    except TypeError as error:
        raise InputError(f"{directory} holds a run of other options: {error}") from None
