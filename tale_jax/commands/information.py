"""``tale information``: what each layer's state tells about the answer."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from attention.command_line import Result, command
from attention.errors import InputError
from attention.files import Record
from attention.options import Display
from attention.terminal import Terminal, plain_table
from tale_jax import analysis, opening, runs
from tale_jax.options import RENAMED, Options, Subject
from tale_jax.tasks import Split

EXAMPLES = 100  # as in the paper


@command(renamed={**RENAMED, "examples": "--limit N"})
def information(
    *,
    subject: Subject = Subject(),
    split: Split | None = None,
    out: Path | None = None,
    options: Options = Options(),
    display: Display = Display(),
) -> Result:
    """Measure what the state after each layer tells about the answer, in bits.

    Looks at the first 100 examples, or at the first --limit.  Where all have the same few answers,
    such as letters, the state at a prompt's end is asked which is right; where each example has
    choices of its own, the state at a choice's end is asked whether the choice is.

    Args:
        split: by default test if there is one, otherwise search
        out: directory for information.csv, information.svg and information.png; by default that of
            the run, whose report then shows the curve

    Returns:
        ``rows``: for each layer what :func:`tale_jax.analysis.probe_layers` gives.
        ``files``: what was written.

    Raises:
        InputError: there are too few examples, or too few or too many answers.
    """
    directory = out or subject.run
    if directory is None and subject.task is not None:
        raise InputError("give --out, a directory for the files")
    if options.limit is None:
        options = dataclasses.replace(options, limit=EXAMPLES)
    opened, terminal = opening.open_subject(subject, options, split), Terminal(display.quiet)
    own = "search" if opened.task.test is None else "test"
    rendered = opening.render_task(opened.model, opened.task, opened.options)
    examples, name = getattr(rendered, own), opened.task.name
    asked = analysis.label_examples(opened.model, examples, name)
    what = analysis.QUESTIONS[asked.question]
    terminal.message(
        f"{asked.examples} examples of the {split or own} split, {len(asked.rows)} states, "
        f"{len(set(asked.labels_E))} classes: {what}"
    )
    rows = analysis.probe_layers(
        opened.model, asked, opened.dropped, opened.options.batch_tokens, terminal.steps
    )
    assert directory is not None  # or there is neither a run nor a task
    files = analysis.write_rows(
        directory,
        "information",
        rows,
        analysis.INFORMATION_COLUMNS,
        lambda: runs.information_figure(rows),
    )
    if out is None and subject.run is not None:
        runs.rewrite_report(subject.run)
    return Result(
        {"rows": rows, "files": files},
        f"{name}: bits about {what}, of {rows[0]['entropy']:.2f}\n"
        "same states / cross-validated [95 % interval]",
        plain_table(*analysis.layer_table(rows, _cell), words=1),
        f"written: {', '.join(map(str, files))}",
    )


def _cell(row: Record) -> str:
    return (
        f"{row['same_states']:.2f} / {row['cross_validated']:.2f} "
        f"[{row['low']:.2f}, {row['high']:.2f}]"
    )
