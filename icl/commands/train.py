"""``icl train``."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

from attention import files
from attention import training as loops
from attention.command_line import Result, command
from attention.options import Display
from icl import training
from icl.training import Experiment, TrainingLayout, Updates


@command(again=True)
def train(
    experiment: Experiment,
    *,
    out: Path,
    updates: Updates = Updates(),
    layout: TrainingLayout = TrainingLayout(),
    display: Display = Display(),
) -> Result:
    """Train a small transformer from scratch on an in-context task.

    The same line goes on where the run stopped, with the identical result.

    Args:
        experiment: what is trained
        out: directory of the run; one that holds the same experiment is continued
        updates: how long, and what is kept
        layout: the devices, and what is divided over them
        display: what is shown
    """
    files.check_folder(out)
    files.use_compilation_cache()
    state = training.train(experiment, out, updates, layout, quiet=display.quiet)
    done = int(state.step)
    values = {"run": out, "steps": done, **dataclasses.asdict(experiment)}
    return Result(values, f"{out}", figure=functools.partial(loops.loss_figure, out))
