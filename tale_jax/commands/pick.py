"""``tale pick``: choose from what a search recorded, by accuracy, latency or depth."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from rich.text import Text

from attention.command_line import Between, OneOf, Result, command
from attention.errors import InputError
from attention.files import Record
from attention.options import Display
from attention.terminal import Terminal
from tale_jax import analysis, formats, opening, runs
from tale_jax.formats import FORMATS
from tale_jax.options import Reopening, Workload
from tale_jax.units import count_layers


@command(renamed={"form": "--format NAME"})
def pick(
    run: Path,
    out: Path | None = None,
    *,
    min_accuracy: Annotated[float, Between(ge=0, le=1)] | None = None,
    max_latency_ratio: Annotated[float, Between(gt=0)] | None = None,
    budget_layers: Annotated[float, Between(ge=0.5)] | None = None,
    format: Annotated[str, OneOf(FORMATS)] = "huggingface",
    reopening: Reopening = Reopening(),
    batch: Annotated[int, Between(ge=1)] = 1,
    work: Workload = Workload(),
    display: Display = Display(),
) -> Result:
    """Choose from the models that a search recorded, score the choice on the test split, export it.

    Exactly one of the three limits is given.  The choice is made on the Pareto front of depth and
    search accuracy.

    Args:
        run: directory of a finished search
        out: folder or file to export to; by default nothing is written
        min_accuracy: the shortest model with this search accuracy (0.8 = 80 %)
        max_latency_ratio: the most accurate one that takes this share of the time (0.7)
        budget_layers: the most accurate one of at most so many layers; a half is 0.5
        format: what to export, as of tale export
        batch: prompts at a time, for --max-latency-ratio

    Returns:
        ``dropped`` and its measurement on the search examples; ``test`` (with ``p_value`` against
        the baseline), or None without a test split; ``latency_ratio`` if it was measured.

    Raises:
        InputError: no model meets the limit; the message says what there is.
    """
    limits = (min_accuracy, max_latency_ratio, budget_layers)
    if sum(each is not None for each in limits) != 1:
        raise InputError(
            "give exactly one of --min-accuracy, --max-latency-ratio and --budget-layers"
        )
    found = runs.load_run(run)
    front, depth = analysis.pareto_front(found), found.summary["num_layers"]
    opened = opening.reopen_model(found, reopening)
    if min_accuracy is not None:
        chosen = analysis.accurate_enough(front, min_accuracy)
    elif budget_layers is not None:
        chosen = analysis.small_enough(front, budget_layers, depth)
    else:
        base, even = found.dropped("baseline"), found.summary.get("granularity") != "sublayer"

        def ratio(point: Record) -> float:
            drops = [base, tuple(point["dropped"])]
            measured = analysis.measure_models(opened, drops, work, batch)
            return measured[1]["total_ratio"]

        chosen = analysis.fast_enough(front, max_latency_ratio or 0.0, ratio, even)
    exported = None
    if out is not None:  # refused before anything is scored
        exported = formats.Export.of(found, "tale pick", chosen, format, reopening.model)
    scorer = opening.reopen_scorer(found, opened, reopening, Terminal(display.quiet))
    chosen["test"] = None
    if "test" in scorer.examples:
        drops = found.dropped("baseline"), tuple(chosen["dropped"])
        chosen["test"] = analysis.measure_against(scorer, "test", *drops)
    lines = list(_sentences(chosen, depth))
    if out is not None and exported is not None:
        exported.write(out)
        lines.append(f"{out}: {exported}")
    return Result(chosen, *map(Text, lines))


def _sentences(chosen: Record, depth: int) -> Iterator[str]:
    yield (
        f"without layers {runs.layer_list(chosen['dropped'])} "
        f"({depth - count_layers(chosen['dropped']):g} of {depth} remain): "
        f"search accuracy {runs.percent(chosen)}, which chose it"
    )
    if chosen["test"] is not None:
        p_value = runs.p_text(chosen["test"]["p_value"])
        accuracy = runs.percent(chosen["test"])
        yield f"test accuracy {accuracy}; McNemar against the full model {p_value}"
    if "latency_ratio" in chosen:
        yield f"generates in {chosen['latency_ratio']:.2f} of the baseline's time"
