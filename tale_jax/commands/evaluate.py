"""``tale evaluate``: the accuracy of a model on a task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from attention.command_line import Result, command
from attention.options import Display
from attention.terminal import Terminal
from tale_jax import analysis, models, opening, runs
from tale_jax.options import RENAMED, Layers, Options
from tale_jax.tasks import Split
from tale_jax.units import check_layers


@command(renamed=RENAMED)
def evaluate(
    model: str,
    task: str,
    *,
    drop: Layers = (),
    split: Split | None = None,
    options: Options = Options(),
    display: Display = Display(),
) -> Result:
    """Measure the accuracy of a model on a task, whole or without some layers.

    Args:
        model: local folder, hub id, or "demo"
        task: JSONL file, or a name that "tale tasks" lists
        drop: layers to leave out, 0-based, or halves such as 3.mlp
        split: measure this split alone; validation is the official split as it stands; by default
            search and test are measured

    Returns:
        ``model, task, protocol, dropped, too_long, notes`` and, for each of ``search``, ``test``
        and, where these are halves of one split, ``all``, None or what
        :func:`tale_jax.analysis.measure_splits` gives.  A split that is asked for alone stands
        there by its own name.

    Raises:
        InputError: for everything that the user can mend.
    """
    asked = opening.read_task(task, options, split)
    opened = models.load_model(model, options)
    scorer = opening.open_scorer(opened, asked, options, Terminal(display.quiet))
    dropped = check_layers(drop, opened.config.num_hidden_layers, opened.missing)
    measured = analysis.measure_splits(scorer, dropped, asked.halves)
    if split is not None:
        measured = {split: measured["search"]}
    found = {
        "model": model,
        "task": task,
        "protocol": scorer.protocol.name,
        "dropped": list(dropped),
        "too_long": scorer.too_long,
        "notes": list(asked.notes),
        **{"search": None, "test": None, "all": None},
        **measured,
    }
    head = f"layers dropped: {runs.layer_list(dropped)}; protocol {found['protocol']}"
    return Result(found, head, *_lines(measured))


def _lines(measured: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """A line for each split."""
    for split, part in measured.items():
        line = f"{split:6}  {runs.percent(part)}, {part['correct']} of {part['total']}"
        if part["unparsed"]:
            line += f", {part['unparsed']} unparsed"
        if part["cut"]:
            line += f", {part['cut']} cut at --max-new-tokens"
        if "full" in part:
            line += f"; full model {part['full']}, McNemar {runs.p_text(part['p_value'])}"
        yield line
