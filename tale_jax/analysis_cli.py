"""The commands of ``tale`` that look at what a search found; ``tale_jax.cli`` gathers them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

import tyro

from tale_jax.arguments import (
    USUAL,
    Layers,
    Shared,
    Words,
    parse_layers,
    parse_numbers,
    parse_words,
    use_compilation_cache,
)


def compare(
    *,
    model: str,
    task: str,
    out: Path,
    criteria: Words = "accuracy,loglikelihood,perplexity,cosine,random,last",
    depth: int | None = None,
    calibration: str | None = None,
    draws: int = 5,
    granularity: Literal["layer", "attention", "mlp", "sublayer"] = "layer",
    resume: bool = False,
    options: Shared = USUAL,
) -> None:
    """Drop as many layers by each criterion, and compare them on the test split.

    Args:
        model: local folder, hub id, or "demo"
        task: JSONL file, or a name that "tale tasks" lists
        out: directory of the comparison; must be new unless --resume
        criteria: what picks the layers; the first is what the others are tested against
        depth: layers, or halves, to drop; by default a quarter of them
        calibration: text file that perplexity and cosine read instead of the prompts
        draws: random orders to average over
        granularity: what goes at a time: a layer, one of its halves, or either half (sublayer)
        resume: go on with the comparison in --out
        options: of the model, the task and the protocol
    """
    from tale_jax.commands import compare as comparison

    comparison.compare(
        model,
        task,
        out,
        criteria=parse_words(criteria),
        depth=depth,
        calibration=calibration,
        draws=draws,
        granularity=granularity,
        resume=resume,
        quiet=False,
        **dataclasses.asdict(options),
    )


def transfer(
    *,
    runs: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="DIR DIR ...")],
    out: Path,
    pick: Literal["best", "bsba"] = "best",
    model: str | None = None,
    limit: int | None = None,
    resume: bool = False,
    compilation_cache: bool = True,
) -> None:
    """Score the layers found on each task on every other: a table of tasks by tasks.

    Args:
        runs: directories of finished searches of one model
        out: directory of the table; must be new unless --resume
        pick: best: most accurate; bsba: shortest with at least baseline accuracy
        model: where the searched checkpoint is now, if it moved
        limit: score on the first so many examples of each task
        resume: go on with the table in --out
        compilation_cache: keep compiled programs between runs
    """
    from tale_jax.commands.transfer import transfer

    use_compilation_cache(compilation_cache)
    transfer(runs, out, pick=pick, model=model, limit=limit, resume=resume, quiet=False)


def pick(
    *,
    run: Path,
    min_accuracy: float | None = None,
    max_latency_ratio: float | None = None,
    budget_layers: float | None = None,
    out: Path | None = None,
    format: Literal["huggingface", "tale", "mergekit", "list"] = "huggingface",
    model: str | None = None,
    batch: int = 1,
    prompt_length: int = 128,
    new_tokens: int = 32,
    compilation_cache: bool = True,
) -> None:
    """Choose from the models a search recorded, score the choice on the test split, export it.

    Args:
        run: directory of a finished search
        min_accuracy: the shortest model with this search accuracy (0.8 = 80 %)
        max_latency_ratio: the most accurate one that takes this share of the time (0.7)
        budget_layers: the most accurate one of at most so many layers; a half is 0.5
        out: folder or file to export to
        format: huggingface: a checkpoint; tale: one with half-layers, which transformers has not;
            mergekit: a YAML recipe; list: the dropped layers
        model: where the searched checkpoint is now, if it moved
        batch: prompts at a time, for --max-latency-ratio
        prompt_length: tokens of each
        new_tokens: tokens to write
        compilation_cache: keep compiled programs between runs
    """
    from tale_jax.analysis import Workload
    from tale_jax.commands import pick as picking

    use_compilation_cache(compilation_cache)
    picking.pick(
        run,
        out,
        min_accuracy=min_accuracy,
        max_latency_ratio=max_latency_ratio,
        budget_layers=budget_layers,
        form=format,
        model=model,
        work=Workload(batch, prompt_length, new_tokens),
        quiet=False,
    )


def benchmark(
    *,
    run: Path | None = None,
    model: str | None = None,
    drop: Layers = "",
    batch: Annotated[str, tyro.conf.arg(metavar="1,8")] = "1",
    prompt_length: int = 128,
    new_tokens: int = 32,
    rounds: int = 7,
    warmup: int = 2,
    dtype: Literal["float32", "bfloat16"] | None = None,
    out: Path | None = None,
) -> None:
    """Time baseline, BEST and BSBA as shorter models with a KV cache.

    Args:
        run: directory of a finished search
        model: local folder, hub id, or "demo"; with --run, where its checkpoint is now
        drop: layers to leave out, 0-based, in place of a run
        batch: prompts at a time, one measurement for each number
        prompt_length: tokens of each
        new_tokens: tokens to write
        rounds: times that count; medians are told
        warmup: rounds before them
        dtype: of parameters and products; by default that of the run
        out: CSV file to write
    """
    from tale_jax.analysis import Workload
    from tale_jax.commands import benchmark as benchmarking

    benchmarking.benchmark(
        model,
        run=run,
        drop=parse_layers(drop),
        batches=parse_numbers(batch),
        work=Workload(1, prompt_length, new_tokens, rounds, warmup),
        dtype=dtype,
        out=out,
        quiet=False,
    )


def information(
    *,
    run: Path | None = None,
    pick: Literal["best", "bsba"] = "best",
    model: str | None = None,
    task: str | None = None,
    drop: Layers = "",
    split: Literal["search", "test"] | None = None,
    examples: int = 100,
    out: Path | None = None,
    options: Shared = USUAL,
) -> None:
    """Measure what the state after each layer tells about the answer, in bits.

    Args:
        run: directory of a finished search; its report then shows the curve
        pick: of the run: which layers to leave out
        model: local folder, hub id, or "demo"; by default that of the run
        task: JSONL file or name; by default that of the run
        drop: layers to leave out, 0-based, in place of a run
        split: by default test if there is one
        examples: how many of the split, the first
        out: directory for table and figure; by default that of the run
        options: of the model, the task and the protocol
    """
    from tale_jax.commands.information import information

    information(
        model,
        task,
        run=run,
        pick=pick,
        drop=parse_layers(drop),
        split=split,
        examples=examples,
        out=out,
        quiet=False,
        **dataclasses.asdict(options),
    )


def lens(
    *,
    run: Path | None = None,
    pick: Literal["best", "bsba"] = "best",
    model: str | None = None,
    task: str | None = None,
    drop: Layers = "",
    split: Literal["search", "test"] | None = None,
    final_norm: bool = True,
    out: Path | None = None,
    options: Shared = USUAL,
) -> None:
    """Measure the accuracy of each layer, read through the final norm and the head.

    Args:
        run: directory of a finished search
        pick: of the run: which layers to leave out
        model: local folder, hub id, or "demo"; by default that of the run
        task: JSONL file or name; by default that of the run
        drop: layers to leave out, 0-based, in place of a run
        split: by default test if there is one
        final_norm: put states through the final norm before the head
        out: directory for table and figure; by default that of the run, if there is one
        options: of the model, the task and the protocol
    """
    from tale_jax.commands.lens import lens

    lens(
        model,
        task,
        run=run,
        pick=pick,
        drop=parse_layers(drop),
        split=split,
        final_norm=final_norm,
        out=out,
        quiet=False,
        **dataclasses.asdict(options),
    )


COMMANDS = {
    "compare": compare,
    "transfer": transfer,
    "pick": pick,
    "benchmark": benchmark,
    "information": information,
    "lens": lens,
}
