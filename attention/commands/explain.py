"""``attn explain``: does attention explain the decisions of a classifier?"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Annotated

from attention import explanation, files
from attention.command_line import Between, OneOf, Result, command
from attention.explanation import Adversary, Decisions, Examined
from attention.language import SOURCES
from attention.options import Display, Seed


@command(renamed={"data-folder": "--data DIR", "x64": "--dtype float64"})
def explain(
    model: str,
    task: Annotated[str, OneOf(SOURCES)],
    out: Path,
    *,
    show: Annotated[int, Between(ge=0)] = 3,
    seed: Seed = 0,
    resume: bool = False,
    decisions: Decisions = Decisions(),
    examined: Examined = Examined(),
    adversary: Adversary = Adversary(),
    display: Display = Display(),
) -> Result:
    """Explain decisions of a classifier by its attention, and write a report.

    Efficient attention is the part of attention that reaches the output. To replace attention by it
    changes nothing. To replace attention by something else shows whether the decision depends on
    it.

    Args:
        model: an encoder or decoder that classifies: local folder, hub id, or "demo"
        task: the texts and their labels
        out: directory of the results
        show: number of decisions whose attention the report shows
        seed: seed of all random draws
        resume: go on with the run in --out
        decisions: which decisions are explained
        examined: which parts of the model are examined
        adversary: the adversary that is trained
        display: what is shown

    Raises:
        InputError: the model is no classifier with these labels, the task or the data cannot be
            read, or --out cannot be used.
    """
    files.use_compilation_cache()
    summary = explanation.explain_classifier(
        model, task, out, show=show, seed=seed, decisions=decisions, examined=examined,
        adversary=adversary, resume=resume, quiet=display.quiet,
    )  # fmt: skip
    page = out / "report.html"
    shown = [] if display.quiet else explanation.summary_texts(summary)
    figure = functools.partial(explanation.draw_flips, summary)
    return Result({**summary, "report": page}, *shown, f"report: {page}", figure=figure)
