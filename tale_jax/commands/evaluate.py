"""``tale evaluate``: the accuracy of a model on tasks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from attention.command_line import Commas, Result, command
from attention.errors import InputError
from attention.files import Record
from attention.options import Display
from attention.terminal import Terminal
from tale_jax import analysis, models, opening, runs
from tale_jax.options import RENAMED, Layers, Options
from tale_jax.tasks import Split, asked_by_letter
from tale_jax.units import check_layers


@command(renamed=RENAMED)
def evaluate(
    model: str,
    task: Annotated[tuple[str, ...], Commas(metavar="NAME,NAME")],
    *,
    drop: Layers = (),
    split: Split | None = None,
    options: Options = Options(),
    display: Display = Display(),
) -> Result:
    """Measure the accuracy of a model on tasks, whole or without some layers.

    Args:
        model: local folder, hub id, or "demo"
        task: JSONL files, or names that "tale tasks" lists
        drop: layers to leave out, 0-based, or halves such as 3.mlp
        split: measure this split alone; validation is the official split as it stands; by default
            search and test are measured

    Returns:
        ``model, task, protocol, dropped, too_long, notes`` and, for each of ``search``, ``test``
        and, where these are halves of one split, ``all``, None or what
        :func:`tale_jax.analysis.measure_splits` gives.  A split that is asked for alone stands
        there by its own name.  Of several tasks: ``model`` and ``tasks``, which has all this by the
        name of each task.

    Raises:
        InputError: a model, a task or an option is not possible; the message says why.
    """
    terminal = Terminal(display.quiet)
    asked = {name: opening.read_task(name, options, split) for name in task}
    if not asked:
        raise InputError("give at least one task")
    with terminal.waiting(f"loading {model}"):
        opened = models.load_model(model, options)
    dropped = check_layers(drop, opened.config.num_hidden_layers, opened.missing)
    found, by_letter = {}, set()
    for name, each in asked.items():
        scorer = opening.open_scorer(opened, each, options, terminal)
        if asked_by_letter(scorer.examples["search"]):
            by_letter.add(name)
        measured = analysis.measure_splits(scorer, dropped, each.halves)
        if split is not None:
            measured = {split: measured["search"]}
        found[name] = {
            "model": model,
            "task": name,
            "protocol": scorer.protocol.name,
            "dropped": list(dropped),
            "too_long": scorer.too_long,
            "notes": [*each.notes, *scorer.notes],
            **{"search": None, "test": None, "all": None},
            **measured,
        }
    values = {"model": model, "tasks": found} if len(found) > 1 else next(iter(found.values()))
    return Result(
        values,
        *(
            line
            for name, each in found.items()
            for line in _lines(each, len(found), name in by_letter)
        ),
    )


def _lines(found: Record, tasks: int, by_letter: bool) -> Iterator[str]:
    """What was measured on a task, a split a line; its name stands there if there are several."""
    name = f"{found['task']}: " if tasks > 1 else ""
    dropped = runs.layer_list(found["dropped"])
    yield f"{name}layers dropped: {dropped}; protocol {found['protocol']}"
    for split, part in found.items():
        if not isinstance(part, dict):
            continue
        line = f"{split:6}  {runs.percent(part)}, {part['correct']} of {part['total']}"
        if part["unparsed"]:
            line += f", {part['unparsed']} unparsed"
        if part["cut"]:
            line += f", {part['cut']} cut at --max-new-tokens"
        if "full" in part:
            line += f"; full model {part['full']}, McNemar {runs.p_text(part['p_value'])}"
        yield line
        asked = part["correct"], part["total"], part.get("fixed"), by_letter
        if (chance := runs.beside_chance(*asked)) is not None:
            yield f"{'':6}  {chance}"
        if len(part["protocols"]) > 1:
            counts = (f"{name} {n}/{part['total']}" for name, n in part["protocols"].items())
            yield f"{'':6}  {', '.join(counts)}"
