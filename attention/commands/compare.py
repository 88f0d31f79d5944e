"""``attn compare``: which scoring function learns language better?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from attention.command_line import Repeated, Result, command
from attention.language import comparing
from attention.options import Count, Seed
from attention.terminal import plain_table


@command
def compare(
    run: Annotated[tuple[Path, ...], Repeated(metavar="DIR")],
    out: Path,
    *,
    reference: str = "softmax",
    draws: Count = 2000,
    seed: Seed = 0,
    resume: bool = False,
) -> Result:
    """Compare pretrained models of several scoring functions, seed by seed.

    Every difference gets two intervals and a verdict: better, worse, equivalent or not settled.

    Args:
        run: a run of attn pretrain with its attn probe; give one for each normalizer and seed
        out: directory of the results
        reference: normalizer that the others are compared with
        draws: samples of the bootstrap
        seed: seed of the bootstrap
        resume: write the results in --out anew

    Raises:
        InputError: the runs differ in more than normalizer and seed, were not asked the same, or
            have no seed in common; or --out cannot be used.
    """
    summary = comparing.compare_runs(run, out, reference, draws=draws, seed=seed, resume=resume)
    page = out / "report.html"
    return Result({**summary, "report": page}, *_shown(summary), f"\nreport: {page}")


def _shown(summary: dict[str, Any]) -> list[Any]:
    differences = [comparing.Difference(**row) for row in summary["differences"]]
    rows = []
    for row in differences:
        margin = comparing.margin_of(row.measure)
        change = f"{row.difference:+.2f} {margin.unit}"
        rows.append([row.arm, margin.title, change, row.interval, row.verdict])
    columns = [f"over {summary['reference']}", "measure", "difference", "95 %", "verdict"]
    return [_values(summary, differences), "", plain_table(columns, rows, words=2)]


def _values(summary: dict[str, Any], differences: Sequence[comparing.Difference]) -> Any:
    """A table of the means of all arms, and of what n-gram models of the same text reach."""
    floors, reference = summary["floors"], summary["reference"]
    values: dict[str, dict[str, float]] = {}
    for row in differences:
        line = values.setdefault(row.measure, {reference: row.reference})
        line[row.arm] = row.value
    for measure, line in values.items():
        line |= floors.get(measure, {})
    arms = [reference, *(row.arm for row in differences)]
    names = list(dict.fromkeys([*arms, *(name for line in values.values() for name in line)]))
    rows = [
        [comparing.margin_of(measure).title,
         *(f"{line[name]:.1f}" if name in line else "" for name in names)]
        for measure, line in values.items()
    ]  # fmt: skip
    return plain_table(["mean", *names], rows, words=1)
