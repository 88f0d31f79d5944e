"""The commands of ``tale`` that train; ``tale_jax.cli`` gathers them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

import tyro

from tale_jax.arguments import USUAL, Layers, Shared, parse_layers
from tale_jax.options import TrainingOptions

USUAL_TRAINING = TrainingOptions()
Trained = Annotated[TrainingOptions, tyro.conf.arg(name="")]


def finetune(
    *,
    out: Path,
    model: str | None = None,
    task: str | None = None,
    run: Path | None = None,
    pick: Literal["best", "bsba"] = "best",
    drop: Layers = "",
    resume: bool = False,
    training: Trained = USUAL_TRAINING,
    options: Shared = USUAL,
) -> None:
    """Train a model, whole or without some layers, on the train split of a task.

    Args:
        out: directory of the training, whose folder "model" is the result; new unless --resume
        model: local folder, hub id, or "demo"; by default that of the run
        task: JSONL file (with --train) or a name; by default that of the run
        run: directory of a finished search
        pick: of the run: which layers to leave out
        drop: layers to leave out, 0-based, in place of a run
        resume: go on with the training in --out
        training: how it is trained
        options: of the model, the task and the protocol
    """
    from tale_jax.finetuning import finetune

    finetune(
        model,
        task,
        out,
        run=run,
        pick=pick,
        drop=parse_layers(drop),
        training=training,
        resume=resume,
        quiet=False,
        **dataclasses.asdict(options),
    )


def arms(
    *,
    model: str,
    task: str,
    out: Path,
    epsilon: str = "0.08",
    max_drops: int | None = None,
    resume: bool = False,
    training: Trained = USUAL_TRAINING,
    options: Shared = USUAL,
) -> None:
    """Combine elimination and fine-tuning in the paper's six ways, and compare them.

    Args:
        model: local folder, hub id, or "demo"
        task: JSONL file (with --train) or a name
        out: directory of all six; must be new unless --resume
        epsilon: accuracy that may be lost before a search stops
        max_drops: stop each search after so many layers
        resume: go on with the arms in --out
        training: how each is trained
        options: of the model, the task and the protocol
    """
    from tale_jax.commands.arms import arms

    arms(
        model,
        task,
        out,
        epsilon=epsilon,
        max_drops=max_drops,
        training=training,
        resume=resume,
        quiet=False,
        **dataclasses.asdict(options),
    )


COMMANDS = {"finetune": finetune, "arms": arms}
