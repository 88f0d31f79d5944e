"""Several criteria at equal depth, side by side on the test split: ``tale compare``.

Writes ``comparison.csv`` and ``comparison.svg``/``.png``; a journal lets it go on after a kill.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from attention.command_line import Commas, Result, command
from attention.errors import InputError
from attention.files import CYCLE, GREY, save_figure, write_table
from attention.options import Display
from attention.statistics import mcnemar_p_value
from attention.terminal import Terminal, plain_table
from tale_jax.criteria import CRITERIA, Criterion, Greedy, calibration_rows, make_criterion
from tale_jax.models import Model
from tale_jax.opening import identify, open_model, open_scorer, read_task, task_fingerprint
from tale_jax.options import RENAMED, Options
from tale_jax.runs import Run, measure
from tale_jax.scoring import Scorer
from tale_jax.tasks import Answer
from tale_jax.units import Dropped, Granularity, Units, add

COLUMNS = "criterion draw depth layer dropped split correct total accuracy low high p_value".split()


@command(renamed=RENAMED)
def compare(
    model: str,
    task: str,
    out: Path,
    *,
    criteria: Annotated[tuple[str, ...], Commas(metavar="A,B")] = CRITERIA,
    depth: int | None = None,
    calibration: str | None = None,
    draws: int = 5,
    granularity: Granularity = "layer",
    resume: bool = False,
    options: Options = Options(),
    display: Display = Display(),
) -> Result:
    """Drop ``depth`` layers by each criterion, and score every depth on the test split.

    Without a test split the search split is scored, where ``accuracy`` has looked already.

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

    Returns:
        ``rows`` of ``comparison.csv``: a criterion, draw and depth each, with the Wilson interval
        and the exact McNemar p-value against the first criterion at the same depth.

    Raises:
        InputError: for everything that the user can mend.
    """
    chosen, terminal = options, Terminal(display.quiet)
    if unknown := [name for name in criteria if name not in CRITERIA]:
        raise InputError(f"unknown criterion {unknown[0]!r}; there are {', '.join(CRITERIA)}")
    if not criteria or draws < 1:
        raise InputError("give at least one criterion and one draw")
    opened = open_model(model, chosen)
    scorer = open_scorer(opened, read_task(task, chosen), chosen, terminal)
    units = Units(opened.config.num_hidden_layers, granularity, opened.missing)
    every, what = len(units.every), "layers" if granularity == "layer" else "half-layers"
    depth = max(1, every // 4) if depth is None else depth
    if not 0 < depth <= units.most:
        raise InputError(f"depth must be from 1 to {units.most} for {every} {what}, not {depth}")
    split = "test" if "test" in scorer.examples else "search"
    if split == "search":
        terminal.message("no test split: the search split is scored, where accuracy looked already")
    criteria = list(dict.fromkeys(criteria))
    settings = identify(opened, chosen) | {
        "task": task,
        "task_fingerprint": task_fingerprint(scorer),
        "protocol": scorer.protocol.name,
        "criteria": criteria,
        "depth": depth,
        "calibration": calibration,
        "draws": draws,
        "seed": chosen.seed,
    }
    if granularity != "layer":
        settings["granularity"] = granularity
    with Run(out, "tale compare", settings, resume=resume) as run:
        rows = []
        for criterion, draw in _criteria(
            criteria, opened, scorer, calibration, draws, chosen.seed, granularity
        ):
            if isinstance(criterion, Greedy):
                criterion.known = run.losses(criterion.name)
                criterion.on_loss = lambda d, loss, name=criterion.name: run.loss(name, d, loss)
            rows += _follow(criterion, draw, depth, split, run, scorer, terminal)
    answers = {row["dropped"]: row.pop("answers") for row in rows}
    references = [row for row in rows if row["criterion"] == criteria[0] and row["draw"] == 0]
    for row in rows:
        reference = references[row["depth"]]["dropped"]
        row["p_value"] = mcnemar_p_value(answers[reference], answers[row["dropped"]])
    files = [Path(out) / f"comparison.{kind}" for kind in ("csv", "svg", "png")]
    write_table(files[0], rows, COLUMNS)
    save_figure(lambda: comparison_figure(rows, f"{task}: {split} split"), *files[1:])
    return Result(
        {"rows": rows, "files": files},
        f"accuracy on the {split} split without {depth} of {every} {what}",
        plain_table(
            ["criterion", f"{what} dropped", "accuracy", f"p against {criteria[0]}"],
            _at_equal_depth(rows, depth),
        ),
        f"written: {', '.join(map(str, files))}",
    )


def _criteria(
    names: Sequence[str],
    model: Model,
    scorer: Scorer,
    calibration: str | None,
    draws: int,
    seed: int,
    granularity: Granularity,
) -> list[tuple[Criterion, int]]:
    """Every criterion with the number of its draw; only random has several."""
    text = calibration_rows(
        model.tokenizer,
        scorer.examples["search"],
        model.config.max_position_embeddings,
        calibration,
    )
    return [
        (
            make_criterion(name, model, scorer, text, seed=seed + draw, granularity=granularity),
            draw,
        )
        for name in names
        for draw in range(draws if name == "random" else 1)
    ]


def _follow(
    criterion: Criterion,
    draw: int,
    depth: int,
    split: str,
    run: Run,
    scorer: Scorer,
    terminal: Terminal,
) -> list[dict[str, Any]]:
    """A row a depth, from the full model on."""
    dropped: Dropped = ()
    layer, rows = None, []
    for step in range(depth + 1):
        if step:
            layer = criterion.next_layer(dropped)
            dropped = add(dropped, layer)
        answers: list[Answer] = run.evaluate(
            split, dropped, lambda d=dropped: scorer.answers(split, d)
        )
        right = [answer.correct for answer in answers]
        row = {"criterion": criterion.name, "draw": draw, "depth": step, "layer": layer}
        found = measure(sum(right), len(right))
        rows.append({**row, "dropped": dropped, "split": split, **found, "answers": right})
    number = f" {draw + 1}" if criterion.name == "random" else ""
    terminal.message(
        f"{criterion.name}{number}: {rows[-1]['accuracy']:.1%} "
        f"without layers {', '.join(str(row['layer']) for row in rows[1:])}"
    )
    return rows


def _at_equal_depth(rows: Sequence[Mapping[str, Any]], depth: int) -> list[list[str]]:
    """Lines of the printed table."""
    lines = []
    for row in rows:
        if row["depth"] == depth:
            name = row["criterion"] + (
                f" {row['draw'] + 1}" if row["criterion"] == "random" else ""
            )
            interval = f"[{100 * row['low']:.1f}, {100 * row['high']:.1f}]"
            listed = ", ".join(map(str, row["dropped"]))
            accuracy = f"{100 * row['accuracy']:.1f} {interval}"
            lines.append([name, listed, accuracy, f"{row['p_value']:.2g}"])
    return lines


def comparison_figure(rows: Sequence[Mapping[str, Any]], title: str) -> Figure:
    """Accuracy in per cent against the number of dropped layers, a line a criterion."""
    figure = Figure(figsize=(7.2, 4), layout="constrained")
    axes = figure.subplots()
    names = list(dict.fromkeys(row["criterion"] for row in rows))
    deepest = max(row["depth"] for row in rows)
    for number, name in enumerate(names):
        mine = [row for row in rows if row["criterion"] == name]
        depths = list(range(deepest + 1))
        at = [[100 * row["accuracy"] for row in mine if row["depth"] == d] for d in depths]
        color = GREY if name == "random" else CYCLE[number % len(CYCLE)]
        shift = 0.04 * (number - len(names) / 2)  # intervals that would hide one another
        if len(at[0]) > 1:
            axes.fill_between(depths, [min(a) for a in at], [max(a) for a in at], color=GREY,
                              alpha=0.2, linewidth=0)  # fmt: skip
            label = f"random (mean and range of {len(at[0])})"
            axes.plot(depths, [statistics.fmean(a) for a in at], color=color, label=label)
            continue
        ends = [[100 * row[end] for row in mine] for end in ("low", "high")]
        middle = [a[0] for a in at]
        spans = [
            [m - low for m, low in zip(middle, ends[0], strict=True)],
            [high - m for m, high in zip(middle, ends[1], strict=True)],
        ]
        axes.errorbar(
            [d + shift for d in depths],
            middle,
            yerr=spans,
            color=color,
            marker="o",
            markersize=4,
            linewidth=1.6,
            elinewidth=0.8,
            label=name,
        )
    axes.set_xlabel("layers dropped")
    axes.set_ylabel("accuracy (%), 95 % intervals")
    axes.set_title(title, loc="left", fontsize=10)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y", alpha=0.25)
    figure.legend(loc="outside right upper")
    return figure
