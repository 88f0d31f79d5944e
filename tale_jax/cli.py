"""``tale …``: parses, and calls the functions of the package.

Nothing here imports JAX before a command runs, so that ``tale --help`` answers at once.
"""

from __future__ import annotations

import dataclasses
import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import tyro

from attention.command_line import run
from attention.errors import InputError
from tale_jax.options import Options

Layers = Annotated[str, tyro.conf.arg(metavar="3,5")]
Shared = Annotated[Options, tyro.conf.arg(name="")]
USUAL = Options()


def search(
    *,
    model: str,
    task: str,
    out: Path,
    epsilon: str = "0.08",
    floor: Literal["baseline", "current"] = "baseline",
    max_drops: int | None = None,
    initial: Layers = "",
    strategy: str = "greedy",
    exhaustive: bool = False,
    resume: bool = False,
    options: Shared = USUAL,
    compilation_cache: bool = True,
) -> None:
    """Eliminate layers of a model for a task, greedily by accuracy, without retraining.

    Args:
        model: local folder, hub id, or "demo" (the bundled model)
        task: JSONL file, or a name that "tale tasks" lists
        out: directory of the run; must be new unless --resume
        epsilon: accuracy that may be lost before the search stops (0.08 = 8 points)
        floor: what the loss counts from: the full model, or the last accepted one
        max_drops: stop after so many layers
        initial: layers dropped from the start, 0-based
        strategy: greedy; beam:K, the K best models of every depth go on; or floating, layers are put
            back when that helps
        exhaustive: score every candidate on every example; the choice is the same
        resume: go on with the run in --out
        options: of the model, the task and the protocol
        compilation_cache: keep compiled programs between runs
    """
    from tale_jax import commands

    _use_compilation_cache(compilation_cache)
    commands.search(
        model,
        task,
        out,
        epsilon=epsilon,
        floor=floor,
        max_drops=max_drops,
        initial=_layers(initial),
        strategy=strategy,
        exhaustive=exhaustive,
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
    compilation_cache: bool = True,
) -> None:
    """Accuracy of a model on a task, whole or without some layers.

    Args:
        model: local folder, hub id, or "demo"
        task: JSONL file, or a name that "tale tasks" lists
        drop: layers to leave out, 0-based
        options: of the model, the task and the protocol
        compilation_cache: keep compiled programs between runs
    """
    from tale_jax import commands

    _use_compilation_cache(compilation_cache)
    commands.evaluate(model, task, drop=_layers(drop), quiet=False, **dataclasses.asdict(options))


def export(
    *,
    run: Path,
    out: Path,
    pick: Literal["best", "bsba", "baseline"] = "best",
    model: str | None = None,
) -> None:
    """Write the model a search picked as a shorter checkpoint, which transformers loads.

    Args:
        run: directory of a finished search
        out: folder to make
        pick: best: most accurate; bsba: shortest with at least baseline accuracy
        model: where the searched checkpoint is now, if it moved
    """
    from tale_jax import exporting

    found = exporting.export(run, pick, out, model=model)
    print(f"{found['out']}: {len(found['kept'])} layers ({_listed(found['kept'])} of the original)")


def tasks() -> None:
    """List the tasks that have a name."""
    from tale_jax.tasks import benchmarks

    for name, benchmark in benchmarks().items():
        print(f"{name:20}{benchmark.description}")


def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    run(
        "tale",
        {"search": search, "evaluate": evaluate, "export": export, "tasks": tasks},
        "Which layers does this task need?",
        arguments,
        hint=_resuming,
    )


def _resuming(words: Sequence[str]) -> str:
    """The command that goes on with an interrupted search."""
    if words[:1] != ["search"]:
        return ""
    again = [*words, *([] if "--resume" in words else ["--resume"])]
    return f"; go on with: {shlex.join(['tale', *again])}"


def _layers(text: str) -> list[int]:
    """``3,5`` → [3, 5]."""
    try:
        return [int(word) for word in text.split(",")] if text.strip() else []
    except ValueError:
        raise InputError(f"layers are numbers between commas, such as 3,5, not {text!r}") from None


def _listed(layers: list[int]) -> str:
    return ", ".join(map(str, layers))


def _use_compilation_cache(wanted: bool) -> None:
    """JAX keeps compiled programs in the user's cache folder, so that a second run starts fast."""
    if not wanted:
        return
    import jax

    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    jax.config.update("jax_compilation_cache_dir", str(Path(root) / "tale-jax" / "programs"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
