"""``attn plot``: what a run's normalizer learned."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from attention import training
from attention.command_line import Result, Word, command


@command
def plot(run: Annotated[Path, Word(metavar="DIR")], out: Path) -> Result:
    """Draw what a run's normalizer learned, layer by layer over training.

    Args:
        run: directory of a training run, or its metrics.jsonl
        out: the picture; its name ends in .svg, .png or .pdf

    Raises:
        InputError: the run has no learned parameters of a normalizer, or the picture cannot be
            written.
    """
    training.plot_learned(run, out)
    return Result({"out": out}, f"written to {out}")
