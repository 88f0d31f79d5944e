"""``tale …``: parses, and calls the functions of the package.

Nothing here imports JAX before a command runs, so that ``tale --help`` answers at once.
"""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import Annotated, Literal

import tyro

from attention.errors import InputError

Layers = Annotated[str, tyro.conf.arg(metavar="3,5")]


def search(
    *,
    model: str,
    task: str,
    out: Path,
    protocol: Literal["auto", "loglikelihood", "loglikelihood-norm", "decode"] = "auto",
    epsilon: str = "0.08",
    floor: Literal["baseline", "current"] = "baseline",
    max_drops: int | None = None,
    initial: Layers = "",
    test: str | None = None,
    train: str | None = None,
    holdout: float | None = None,
    data: str | None = None,
    limit: int | None = None,
    shots: int = 0,
    max_new_tokens: int | None = None,
    dtype: Literal["float32", "bfloat16"] = "float32",
    batch_tokens: int = 4096,
    model_parallel: int = 1,
    seed: int = 0,
    revision: str | None = None,
    resume: bool = False,
    compilation_cache: bool = True,
) -> None:
    """Eliminate layers of a model for a task, greedily by accuracy, without retraining.

    Args:
        model: local folder, hub id, or "demo" (the bundled model)
        task: JSONL file, or a name that "tale tasks" lists
        out: directory of the run; must be new unless --resume
        protocol: how the model is asked; auto compares log-probabilities where there are choices
        epsilon: accuracy that may be lost before the search stops (0.08 = 8 points)
        floor: what the loss counts from: the full model, or the last accepted one
        max_drops: stop after so many layers
        initial: layers dropped from the start, 0-based
        test: JSONL file of examples to report on
        train: JSONL file of examples to draw shots from
        holdout: share of the task's file that becomes the test split
        data: folder DIR in which the task is DIR/TASK/{validation,test,train}.jsonl[.gz]
        limit: use the first so many examples of each split
        shots: answered examples before every prompt
        max_new_tokens: tokens to write in the protocol decode
        dtype: of parameters and products
        batch_tokens: tokens in a batch; lowered if memory runs out
        model_parallel: devices that share one copy of the parameters
        seed: draws the shots
        revision: branch, tag or commit of a model on the hub
        resume: go on with the run in --out
        compilation_cache: keep compiled programs between runs
    """
    from tale_jax import commands

    _use_compilation_cache(compilation_cache)
    commands.search(
        model,
        task,
        out,
        protocol=protocol,
        epsilon=epsilon,
        floor=floor,
        max_drops=max_drops,
        initial=_layers(initial),
        test=test,
        train=train,
        holdout=holdout,
        data=data,
        limit=limit,
        shots=shots,
        max_new_tokens=max_new_tokens,
        dtype=dtype,
        batch_tokens=batch_tokens,
        model_parallel=model_parallel,
        seed=seed,
        revision=revision,
        resume=resume,
        quiet=False,
    )


def evaluate(
    *,
    model: str,
    task: str,
    drop: Layers = "",
    protocol: Literal["auto", "loglikelihood", "loglikelihood-norm", "decode"] = "auto",
    test: str | None = None,
    train: str | None = None,
    holdout: float | None = None,
    data: str | None = None,
    limit: int | None = None,
    shots: int = 0,
    max_new_tokens: int | None = None,
    dtype: Literal["float32", "bfloat16"] = "float32",
    batch_tokens: int = 4096,
    model_parallel: int = 1,
    seed: int = 0,
    revision: str | None = None,
    compilation_cache: bool = True,
) -> None:
    """Accuracy of a model on a task, whole or without some layers.

    Args:
        model: local folder, hub id, or "demo"
        task: JSONL file, or a name that "tale tasks" lists
        drop: layers to leave out, 0-based
        protocol: how the model is asked; auto compares log-probabilities where there are choices
        test: JSONL file of further examples
        train: JSONL file of examples to draw shots from
        holdout: share of the task's file that becomes the test split
        data: folder DIR in which the task is DIR/TASK/{validation,test,train}.jsonl[.gz]
        limit: use the first so many examples of each split
        shots: answered examples before every prompt
        max_new_tokens: tokens to write in the protocol decode
        dtype: of parameters and products
        batch_tokens: tokens in a batch; lowered if memory runs out
        model_parallel: devices that share one copy of the parameters
        seed: draws the shots
        revision: branch, tag or commit of a model on the hub
        compilation_cache: keep compiled programs between runs
    """
    from tale_jax import commands

    _use_compilation_cache(compilation_cache)
    commands.evaluate(
        model,
        task,
        drop=_layers(drop),
        protocol=protocol,
        test=test,
        train=train,
        holdout=holdout,
        data=data,
        limit=limit,
        shots=shots,
        max_new_tokens=max_new_tokens,
        dtype=dtype,
        batch_tokens=batch_tokens,
        model_parallel=model_parallel,
        seed=seed,
        revision=revision,
        quiet=False,
    )


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
    """Entry point; errors of the user end in one line and exit code 2."""
    words = sys.argv[1:] if arguments is None else arguments
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    if words == ["--version"]:
        from tale_jax import __version__

        print(f"tale-jax {__version__}")
        return
    commands = {"search": search, "evaluate": evaluate, "export": export, "tasks": tasks}
    try:
        tyro.extras.subcommand_cli_from_dict(
            commands,
            prog="tale",
            description="Which layers does this task need? (`tale --version` tells the version)",
            args=words,
        )
    except InputError as error:
        print(f"tale: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        line = "tale: interrupted"
        if words[:1] == ["search"]:
            again = [*words, *([] if "--resume" in words else ["--resume"])]
            line += f"; go on with: {shlex.join(['tale', *again])}"
        print(line, file=sys.stderr)
        sys.exit(130)


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
