"""``tale …``: parses, and calls the functions of the package.

Nothing here imports JAX before a command runs, so that ``tale --help`` answers at once.
"""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from attention.old_command_line import run
from tale_jax import analysis_cli, training_cli
from tale_jax.arguments import USUAL, Layers, Shared, parse_layers


def search(
    *,
    model: str,
    task: str,
    out: Path,
    epsilon: str = "0.08",
    floor: Literal["baseline", "current"] = "baseline",
    max_drops: int | None = None,
    initial: Layers = "",
    criterion: Literal[
        "accuracy", "loglikelihood", "perplexity", "cosine", "random", "last"
    ] = "accuracy",
    calibration: str | None = None,
    null_control: int = 0,
    strategy: str = "greedy",
    exhaustive: bool = False,
    granularity: Literal["layer", "attention", "mlp", "sublayer"] = "layer",
    resume: bool = False,
    options: Shared = USUAL,
) -> None:
    """Eliminate layers of a model for a task, greedily by accuracy, without retraining.

    Args:
        model: local folder, hub id, or "demo" (the bundled model)
        task: JSONL file, or a name that "tale tasks" lists
        out: directory of the run; must be new unless --resume
        epsilon: accuracy that may be lost before the search stops (0.08 = 8 points)
        floor: what the loss counts from: the full model, or the last accepted one
        max_drops: stop after so many drops
        initial: layers dropped from the start, 0-based, or halves such as 3.mlp
        criterion: what picks the layer to drop; accuracy then decides whether it may go
        calibration: text file that perplexity and cosine read instead of the prompts
        null_control: repeat the search so often on shuffled answers, to see what luck gains
        strategy: greedy; beam:K: the K best of every depth go on; floating: layers may come back
        exhaustive: score every candidate on every example; the choice is the same
        granularity: what goes at a time: a layer, one of its halves, or either half (sublayer)
        resume: go on with the run in --out
        options: of the model, the task and the protocol
    """
    from tale_jax.commands.search import search

    search(
        model,
        task,
        out,
        epsilon=epsilon,
        floor=floor,
        max_drops=max_drops,
        initial=parse_layers(initial),
        criterion=criterion,
        calibration=calibration,
        null_control=null_control,
        strategy=strategy,
        exhaustive=exhaustive,
        granularity=granularity,
        resume=resume,
        quiet=False,
        **dataclasses.asdict(options),
    )


def evaluate(
    *,
    model: str,
    task: str,
    drop: Layers = "",
    options: Shared = USUAL,
) -> None:
    """Accuracy of a model on a task, whole or without some layers.

    Args:
        model: local folder, hub id, or "demo"
        task: JSONL file, or a name that "tale tasks" lists
        drop: layers to leave out, 0-based, or halves such as 3.mlp
        options: of the model, the task and the protocol
    """
    from tale_jax.commands.evaluate import evaluate

    evaluate(model, task, drop=parse_layers(drop), quiet=False, **dataclasses.asdict(options))


def export(
    *,
    run: Path,
    out: Path,
    pick: Literal["best", "bsba", "baseline"] = "best",
    format: Literal["huggingface", "tale", "mergekit", "list"] = "huggingface",
    model: str | None = None,
) -> None:
    """Write the model a search picked as a shorter checkpoint, which transformers loads.

    Args:
        run: directory of a finished search
        out: folder or file to make
        pick: best: most accurate; bsba: shortest with at least baseline accuracy
        format: huggingface: a checkpoint; tale: one with half-layers, which transformers has not;
            mergekit: a YAML recipe; list: the dropped layers
        model: where the searched checkpoint is now, if it moved
    """
    from tale_jax.exporting import formats as exporting

    print(exporting.described(exporting.export(run, pick, out, model=model, form=format)))


def tasks() -> None:
    """List the tasks that have a name."""
    from tale_jax.tasks import named_tasks

    for name, description in named_tasks().items():
        print(f"{name:20}{description}")


def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    run(
        "tale",
        {
            "search": search,
            "evaluate": evaluate,
            "export": export,
            "tasks": tasks,
            **analysis_cli.COMMANDS,
            **training_cli.COMMANDS,
        },
        "Which layers does this task need?",
        arguments,
        hint=_resuming,
    )


def _resuming(words: Sequence[str]) -> str:
    """The command that goes on with an interrupted one."""
    if words[:1] not in (["search"], ["compare"], ["transfer"], ["finetune"], ["arms"]):
        return ""
    again = [*words, *([] if "--resume" in words else ["--resume"])]
    return f"; go on with: {shlex.join(['tale', *again])}"
