"""``icl saturation``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from attention import files
from attention.command_line import Between, Result, command
from attention.options import Seed
from attention.terminal import Terminal
from icl import analysis, training

ENDS = {
    "plateau": ("lowest", "highest"),
    "observed": ("x=1e6", "x=-1e6"),
    "limits": ("c+", "c-"),
    "effective": ("B_eff",),
}


@command
def saturation(
    *,
    run: Path,
    out: Path,
    seed: Seed | None = None,
    most: Annotated[float, Between(gt=0)] = 30.0,
    count: Annotated[int, Between(ge=1, le=10**6)] = 61,
) -> Result:
    """Find the boundary values of a trained model: its plateaus, and what its weights predict.

    Args:
        run: directory of icl train, or zoo:NAME
        out: directory for saturation.json, entropy.csv and boundary.png
        seed: of the model, if the run has several; by default the first
        most: slopes from -most to most
        count: number of slopes, and of inputs
    """
    files.check_folder(out)
    files.use_compilation_cache()
    with Terminal().waiting("measuring the boundary values"):
        found = analysis.survey(training.load(run, seed), most, count)
    if found.entropies:
        files.write_table(out / "entropy.csv", found.entropies)
    files.write_json(out / "saturation.json", found.numbers)
    files.save_figure(lambda: analysis.draw_boundary(found), out / "boundary.png")
    lines = []
    for name, values in found.numbers.items():
        pairs = zip(ENDS[name.partition("_")[0]], values, strict=True)
        told = "".join(f"{word:>10}{value:>10.4g}" for word, value in pairs)
        lines.append(f"{name.replace('_', ' '):24}{told}")
    return Result(found.numbers, *lines, f"\n{out / 'boundary.png'}")
