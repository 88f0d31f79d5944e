"""``tale finetune``: train a model, whole or without some layers."""

from __future__ import annotations

from pathlib import Path

from attention.command_line import Result, command
from attention.options import Display
from tale_jax import finetuning, opening
from tale_jax.options import RENAMED, Options, Subject, TrainingOptions


@command(renamed=RENAMED)
def finetune(
    *,
    out: Path,
    subject: Subject = Subject(),
    resume: bool = False,
    training: TrainingOptions = TrainingOptions(),
    options: Options = Options(),
    display: Display = Display(),
) -> Result:
    """Train a model, whole or without some layers, on the train split of a task.

    The examples have the form in which "tale evaluate" asks them, with shots and chat template, and
    the loss is on the answers alone.  --limit keeps the first of them.  What was learnt is merged
    into OUT/model, a checkpoint that every command opens, and transformers too unless it has
    half-layers.

    Args:
        out: directory of the training, whose folder "model" is the result; new unless --resume
        resume: go on with the training in --out

    Returns:
        ``out`` (the checkpoint), ``dropped``, ``examples``, ``steps`` and ``loss``, the last one.

    Raises:
        InputError: weights in 8 bits, there is no train split, or an option is not possible.
    """
    options.check_trainable()
    opened = opening.open_subject(subject, options, "train", exact=True)
    found = finetuning.tune(opened, training, out, resume=resume, quiet=display.quiet)
    return Result(found, f"{found['out']}: {found['steps']} steps, loss {found['loss']:.4g}")
