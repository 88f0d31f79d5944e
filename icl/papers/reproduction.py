"""What the scripts of the papers' tables do alike: train what is missing, write, print."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from attention.errors import InputError
from icl.arguments import check_folder
from icl.evaluation import errors as evaluation
from icl.training import Experiment
from icl.training import fitting as training


def settings(full: bool, seed: int, seeds: int = 1) -> dict[str, Any]:
    """Fields of an ``Experiment``: the papers' batch and rate, or those of the reduced setting."""
    return {
        "batch": 64 if full else 32,
        "learning_rate": 1e-4 if full else 1e-3,
        "seed": seed,
        "seeds": seeds,
    }


def check(out: Path, plans: Iterable[Experiment], steps: int | None, **counts: int) -> None:
    """Finds bad settings before anything is trained or written.

    Raises:
        InputError: one line.
    """
    check_folder(out)
    for name, count in {"steps": 1 if steps is None else steps, **counts}.items():
        if count < 1:
            raise InputError(f"{name} must be at least 1, not {count}")
    for plan in plans:
        plan.task()
        plan.config()


def trained(experiment: Experiment, directory: Path, steps: int) -> list[training.Trained]:
    """The models of a run of so many steps, one a seed, trained now as far as they are missing."""
    print(directory.name, flush=True)
    training.train(experiment, directory, steps=steps, log_every=500, save_every=500)
    seeds = range(experiment.seed, experiment.seed + experiment.seeds)
    return [training.load(directory, seed) for seed in seeds]


def write(out: Path, name: str, rows: Sequence[Mapping[str, Any]], text: str) -> None:
    """``NAME.csv`` and ``NAME.txt``; the text is printed."""
    evaluation.write_csv(out / f"{name}.csv", rows)
    (out / f"{name}.txt").write_text(text, encoding="utf-8")
    print(text)
