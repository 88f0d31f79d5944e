"""``tale lens``: what the model would answer if it stopped after a layer."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from attention.command_line import Result, command
from attention.options import Display
from attention.terminal import Terminal, plain_table
from tale_jax import analysis, opening, runs
from tale_jax.options import RENAMED, Options, Subject
from tale_jax.tasks import Split


@command(renamed=RENAMED)
def lens(
    *,
    subject: Subject = Subject(),
    split: Split | None = None,
    final_norm: bool = True,
    out: Path | None = None,
    options: Options = Options(),
    display: Display = Display(),
) -> Result:
    """Measure the accuracy of each layer, read through the final norm and the head.

    Args:
        split: by default test if there is one, otherwise search
        final_norm: put the states through the final norm before the head
        out: directory for lens.csv, lens.svg and lens.png; by default that of the run, if there is
            one

    Returns:
        ``rows``: for each layer what :func:`tale_jax.analysis.read_layers` gives.
        ``files``: what was written.

    Raises:
        InputError: a model, a task or an option is not possible; the message says why.
    """
    opened = opening.open_subject(subject, options, split)
    model = opened.model
    if not final_norm:
        config = dataclasses.replace(model.config, final_norm=False)
        model = dataclasses.replace(model, config=config)
    terminal = Terminal(display.quiet)
    scorer = opening.open_scorer(model, opened.task, opened.options, terminal)
    own = "test" if "test" in scorer.examples else "search"
    rows = analysis.read_layers(model, scorer, own, opened.dropped, terminal.steps)
    rows = [{**row, "split": split or own} for row in rows]
    shown = [
        f"{opened.task.name}: accuracy on the {split or own} split, read after each layer "
        f"{'through' if final_norm else 'without'} the final norm",
        plain_table(*analysis.layer_table(rows, runs.interval), words=1),
    ]
    files: list[Path] = []
    if (directory := out or subject.run) is not None:
        files = analysis.write_rows(
            directory, "lens", rows, analysis.LENS_COLUMNS, lambda: analysis.lens_figure(rows)
        )
        shown.append(f"written: {', '.join(map(str, files))}")
    return Result({"rows": rows, "files": files}, *shown)
