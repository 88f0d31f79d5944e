"""``icl compile``: what a training step costs on machines that are not here."""

from __future__ import annotations

from typing import Annotated

from attention import compilation
from attention.command_line import Result, Word, command
from attention.errors import InputError
from icl import training
from icl.training import Experiment, TrainingLayout


@command
def compile(
    experiment: Experiment,
    *,
    target: Annotated[str, Word(metavar="KIND-CHIPS")],
    layout: TrainingLayout = TrainingLayout(),
) -> Result:
    """Compile a training step for a target without its chips, and say whether it fits.

    Nothing is run: times are a roofline by the makers' numbers.

    Args:
        experiment: what is trained
        target: kind of chip and number of chips, such as v5e-8
        layout: the devices, and what is divided over them

    Raises:
        InputError: no such target, the compiler is missing, or the step does not fit.
    """
    compilation.prepare()
    asked = compilation.find_target(target)
    step = training.step_to_compile(experiment, layout, asked.devices())
    report = compilation.compile_step(step, asked)
    if not report.fits:
        raise InputError(report.verdict)
    return Result(report.as_record(), report.as_text())
