"""``tale compare``: several criteria at equal depth, side by side."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

from attention.command_line import Between, Commas, OneOf, Result, command
from attention.errors import InputError
from attention.files import Record
from attention.options import Display
from attention.terminal import Terminal, plain_table
from tale_jax import analysis, models, opening, runs
from tale_jax import criteria as ranking
from tale_jax.criteria import CRITERIA
from tale_jax.elimination import SearchOptions
from tale_jax.options import RENAMED, Options
from tale_jax.units import Dropped, Granularity, Unit


@command(renamed=RENAMED)
def compare(
    model: str,
    task: str,
    out: Path,
    *,
    criteria: Annotated[tuple[str, ...], Commas(), OneOf(CRITERIA)] = tuple(CRITERIA),
    depth: Annotated[int, Between(ge=1)] | None = None,
    calibration: Path | None = None,
    draws: Annotated[int, Between(ge=1)] = 5,
    granularity: Granularity = "layer",
    resume: bool = False,
    options: Options = Options(),
    display: Display = Display(),
) -> Result:
    """Drop as many layers by each criterion, and compare them on the test split.

    Without a test split the search split is scored, which the criterion accuracy has seen.
    Writes comparison.csv, comparison.svg and comparison.png.

    Args:
        model: local folder, hub id, or "demo"
        task: JSONL file, or a name that "tale tasks" lists
        out: directory of the comparison; must be new unless --resume
        criteria: what picks the layers; the first is what the others are tested against
        depth: layers, or halves, to drop; by default a quarter of them
        calibration: text file for criteria that read text, in place of the prompts
        draws: orders that a random criterion is averaged over
        granularity: what goes at a time: a layer, one of its halves, or either half (sublayer)
        resume: go on with the comparison in --out

    Returns:
        ``rows`` of comparison.csv: for each criterion, draw and depth the accuracy, its Wilson
        interval, and the exact McNemar p-value against the first criterion at the same depth.
        ``files``: what was written.

    Raises:
        InputError: a model, a task or an option is not possible; the message says why.
    """
    names, how = tuple(dict.fromkeys(criteria)), SearchOptions(granularity=granularity)
    if not names:
        raise InputError("give at least one criterion")
    for name in names:
        ranking.check_criterion(name, how)
    if calibration is not None and not any(CRITERIA.pick(name).reads_text for name in names):
        raise InputError("no criterion among these reads text: leave out --calibration")
    asked, terminal = opening.read_task(task, options), Terminal(display.quiet)
    with terminal.waiting(f"loading {model}"):
        opened = models.load_model(model, options)
    options = opening.dated(options, asked, opened, out)
    scorer = opening.open_scorer(opened, asked, options, terminal)
    units = how.units(opened.config.num_hidden_layers, opened.missing)
    every, what = len(units.every), "layers" if granularity == "layer" else "half-layers"
    depth = max(1, every // 4) if depth is None else depth
    if depth > units.most:
        raise InputError(f"--depth must be at most {units.most} for {every} {what}, not {depth}")
    split = "test" if "test" in scorer.examples else "search"
    if split == "search":
        terminal.message("no test split: the search split is scored, where accuracy looked already")
    settings = opening.identify(opened, options)
    settings |= opening.identify_task(task, asked, opened, scorer, options)
    settings |= {"criteria": names, "depth": depth, "draws": draws, "seed": options.seed}
    settings |= {"calibration": calibration and str(calibration), "granularity": granularity}
    rows: list[Record] = []
    with runs.Run(out, "tale compare", settings, resume=resume) as run:

        def prepare(name: str, draw: int) -> Callable[[Dropped], Sequence[Unit]]:
            basis = ranking.Basis(opened, scorer, units, calibration, options.seed + draw)
            keep = functools.partial(run.loss, name)
            return ranking.propose_by(name, basis, run.losses(name), keep)

        each = [(name, draw) for name in names for draw in range(_draws(name, draws))]
        for (name, draw), propose in [(pair, prepare(*pair)) for pair in each]:
            path = analysis.follow_criterion(run, scorer, split, depth, propose)
            rows += [{"criterion": name, "draw": draw, **row} for row in path]
            terminal.message(
                f"{_label(rows[-1])}: {path[-1]['accuracy']:.1%} without layers "
                f"{', '.join(str(row['layer']) for row in path[1:])}"
            )
        analysis.add_p_values(rows)
        files = analysis.write_rows(
            out,
            "comparison",
            rows,
            analysis.COMPARISON_COLUMNS,
            lambda: analysis.comparison_figure(rows, f"{task}: {split} split"),
        )
    return Result(
        {"rows": rows, "files": files},
        f"accuracy on the {split} split without {depth} of {every} {what}",
        plain_table(
            ["criterion", f"{what} dropped", "accuracy", f"p against {names[0]}"],
            [_line(row) for row in rows if row["depth"] == depth],
        ),
        f"written: {', '.join(map(str, files))}",
    )


def _draws(name: str, draws: int) -> int:
    """How often a criterion is drawn: once, unless it is random."""
    return draws if CRITERIA.pick(name).random else 1


def _label(row: Record) -> str:
    random = CRITERIA.pick(row["criterion"]).random
    return f"{row['criterion']} {row['draw'] + 1}" if random else row["criterion"]


def _line(row: Record) -> Sequence[str]:
    """A line of the table."""
    listed = ", ".join(map(str, row["dropped"]))
    return [_label(row), listed, runs.interval(row), f"{row['p_value']:.2g}"]
