"""``attn compare``: which scoring function learns language better?"""

from __future__ import annotations

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
    rows = [
        [row["arm"], row["measure"], f"{row['reference']:.2f}", f"{row['value']:.2f}",
         f"{row['difference']:+.2f}", row["verdict"]]
        for row in summary["differences"]
    ]  # fmt: skip
    columns = ["normalizer", "measure", summary["reference"], "value", "difference", "verdict"]
    return [plain_table(columns, rows), *_floors(summary["floors"]), "", *summary["sentences"]]


def _floors(floors: dict[str, dict[str, float]]) -> list[Any]:
    """A table of what n-gram models of the same text reach."""
    if not floors:
        return []
    names = list(next(iter(floors.values())))
    rows = [
        [measure, *(f"{found[name]:.1f}" if name in found else "" for name in names)]
        for measure, found in floors.items()
    ]
    return ["", plain_table(["measure", *names], rows, 1)]
