"""The commands of ``tale`` that look at what a search found; ``tale_jax.cli`` gathers them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from tale_jax.arguments import USUAL, Shared, Words, parse_words, use_compilation_cache


def compare(
    *,
    model: str,
    task: str,
    out: Path,
    criteria: Words = "accuracy,loglikelihood,perplexity,cosine,random,last",
    depth: int | None = None,
    calibration: str | None = None,
    draws: int = 5,
    resume: bool = False,
    options: Shared = USUAL,
    compilation_cache: bool = True,
) -> None:
    """Drop as many layers by each criterion, and compare them on the test split.

    Args:
        model: local folder, hub id, or "demo"
        task: JSONL file, or a name that "tale tasks" lists
        out: directory of the comparison; must be new unless --resume
        criteria: what picks the layers; the first is what the others are tested against
        depth: layers to drop; by default a quarter of them
        calibration: text file that perplexity and cosine read instead of the prompts
        draws: random orders to average over
        resume: go on with the comparison in --out
        options: of the model, the task and the protocol
        compilation_cache: keep compiled programs between runs
    """
    from tale_jax import comparison

    use_compilation_cache(compilation_cache)
    comparison.compare(
        model,
        task,
        out,
        criteria=parse_words(criteria),
        depth=depth,
        calibration=calibration,
        draws=draws,
        resume=resume,
        quiet=False,
        **dataclasses.asdict(options),
    )


COMMANDS = {"compare": compare}
