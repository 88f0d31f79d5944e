"""What the scripts of papers share: how much is trained, training, and writing of tables."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from attention import files
from attention.options import Count, Seed
from icl.tasks import Row
from icl.training import Experiment, Trained, Updates, load, train

Choice = TypeVar("Choice")


@dataclasses.dataclass(frozen=True)
class Plan:
    """How much is trained.

    Attributes:
        full: as published, for an accelerator; otherwise a reduced setting, for a CPU
        steps: of training; by default those of the setting
        seed: of the training, the first one
        seeds: models of each kind, trained at once
    """

    full: bool = False
    steps: Count | None = None
    seed: Seed = 0
    seeds: Count = 1

    def updates(self, reduced: int) -> int:
        """The number of steps of training; ``reduced`` if nothing else is said."""
        return self.steps or (500_000 if self.full else reduced)

    def choose(self, full: Choice, reduced: Choice) -> Choice:
        """The first value in the full setting, the second in the reduced one."""
        return full if self.full else reduced

    @property
    def fields(self) -> dict[str, Any]:
        """Fields of an ``Experiment``: batch, learning rate and seeds."""
        return {
            "batch": 64 if self.full else 32,
            "learning_rate": 1e-4 if self.full else 1e-3,
            "seed": self.seed,
            "seeds": self.seeds,
        }

    @property
    def told(self) -> str:
        """The number of seeds, in words."""
        return f"{self.seeds} seed{'s' * (self.seeds > 1)}"


def check(out: Path, experiments: Iterable[Experiment]) -> None:
    """Check the settings before anything is trained or written.

    Args:
        out: the directory that will be written.
        experiments: those that will be trained.

    Raises:
        InputError: a setting is not possible.
    """
    files.check_folder(out)
    for experiment in experiments:
        experiment.config()


def trained_models(experiment: Experiment, directory: Path, steps: int) -> list[Trained]:
    """The models of a run, one for each seed; steps that are missing are trained now."""
    print(directory.name, flush=True)
    train(experiment, directory, Updates(steps, save_every=500, log_every=500))
    return [load(directory, seed) for seed in experiment.all_seeds]


def examined(
    experiments: Mapping[str, Experiment],
    steps: int,
    folders: tuple[Path, Path],
    examine: Callable[[Trained], Row],
    version: object,
) -> dict[str, list[Row]]:
    """A row for each seed of each experiment; a model is a unit of work, trained if it is missing.

    Args:
        experiments: by name.
        steps: of training.
        folders: of the runs, and of the files of finished units.
        examine: a trained model.
        version: of the examination; another one is another unit.
    """
    runs, units = folders
    check(runs, experiments.values())
    found: dict[str, list[Row]] = {}
    for name, experiment in experiments.items():
        short = files.file_name(name)
        for i, seed in enumerate(experiment.all_seeds):

            def unit(i: int = i, given: Experiment = experiment, short: str = short) -> Row:
                return examine(trained_models(given, runs / f"{short}-{given.seeds}", steps)[i])

            file = units / f"{short}-seed{seed}-{version}.json"
            found.setdefault(name, []).append(files.finished(file, unit))
    return found


def write_tables(out: Path, name: str, rows: Sequence[Row], text: str) -> None:
    """Write ``NAME.csv`` and ``NAME.txt``, and print the text."""
    files.write_table(out / f"{name}.csv", rows)
    files.write_text(out / f"{name}.txt", text)
    print(text)
