"""Why models fail far away: LayerNorm or softmax?

    python scripts/reproduce_limits.py --seeds 3      # reduced: some 40 minutes on 2 quiet cores
    python scripts/reproduce_limits.py --seeds 3 --full   # 12L8AH, 500,000 steps: an accelerator

The claim is that of arXiv 2502.03503 and 2508.14685.  Models that differ in two things, with
LayerNorm or without, softmax or SSA, are trained on linear functions of N(0, 1), at equal seeds and
data.  Two more have no positions.  Each is asked for its boundary values (plateau, B_eff), for its
error after a deviant, and for the entropy of its attention at inputs ten times as large.  The heat
map has the error over that of zero by the spread of inputs and of coefficients, and the paired
difference of SSA to softmax with its interval.

A unit is one model of one seed; it is a file of docs/results/data/limits, and is not made twice.
The same line goes on after Ctrl-C.  What to expect: if LayerNorm bounds the output, the models
without it have no plateau; if softmax is to blame, SSA has the smaller error far away.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from attention import files
from attention.command_line import command, run_script
from attention.options import Count
from attention.statistics import mean_with_margin
from attention.terminal import narrow_table
from icl.analysis import survey
from icl.evaluation import evaluate, model_predictor
from icl.papers import Plan, examined
from icl.tasks import Row, Sampling
from icl.training import Experiment, Trained

DATA = Path("docs/results/data/limits")
CELLS: dict[str, dict[str, Any]] = {
    "LayerNorm, softmax": {},
    "LayerNorm, SSA": {"normalizer": "ssa"},
    "no LayerNorm, softmax": {"layer_norm": False},
    "no LayerNorm, SSA": {"layer_norm": False, "normalizer": "ssa"},
    "no positions, softmax": {"positions": "none"},
    "no positions, SSA": {"positions": "none", "normalizer": "ssa"},
}
SPREADS = (1, 2, 5, 10)
COLUMNS = ("plateau", "B_eff", "deviant 1", "deviant 1000", "entropy at 1", "entropy at 10")


def examine(model: Trained, functions: int) -> dict[str, Any]:
    """Boundary values, errors after a deviant, entropies, and the heat map of a model."""
    found, task, by_name = survey(model), model.task, {"model": model_predictor(model)}
    numbers = found.numbers
    row = {
        "plateau": max(abs(x) for x in numbers["plateau_along_slopes"]),
        "B_eff": numbers["effective_bound"][0],
    }
    for size in (1, 1000):
        (case,) = [
            task.draw(each, Sampling(functions, 16))
            for each in task.settings([f"deviant={task.points // 2}:{size}"])
        ]
        row[f"deviant {size}"] = evaluate(task, [case], by_name)[0][0]["error"]
    for size in (1, 10):
        entropies = [e["entropy"] for e in found.entropies if e["magnitude"] == size]
        row[f"entropy at {size}"] = float(np.mean(entropies))
    grid = ",".join(map(str, SPREADS))
    settings = task.settings([f"inputs={grid}", f"sigma={grid}"])
    cases = [task.draw(each, Sampling(functions, 16)) for each in settings]
    rows, _ = evaluate(task, cases, by_name)
    return row | {"heat": [each["error_over_zero"] for each in rows]}


def table(found: Mapping[str, Sequence[Row]]) -> str:
    """A line for each cell: means over seeds, with their intervals by Student's t."""
    lines = [
        [name, *(mean_with_margin([row[column] for row in rows]) for column in COLUMNS)]
        for name, rows in found.items()
    ]
    return narrow_table(["", *COLUMNS], lines)


def differences(softmax: Sequence[Row], ssa: Sequence[Row]) -> str:
    """The heat map of SSA minus softmax, paired by seed; a star where the interval excludes 0."""
    gaps = np.array([row["heat"] for row in ssa]) - np.array([row["heat"] for row in softmax])
    rows = [
        [str(size), *(mean_with_margin(gaps[:, i * len(SPREADS) + j], ".3f", star=True)
                      for j in range(len(SPREADS)))]
        for i, size in enumerate(SPREADS)
    ]  # fmt: skip
    title = "SSA - softmax, error over zero: inputs down, coefficients across\n"
    return title + narrow_table(["", *map(str, SPREADS)], rows)


@command
def main(
    *,
    out: Path = Path("runs/limits"),
    data: Path = DATA,
    functions: Count = 50,
    plan: Plan = Plan(),
) -> str:
    """Train what is missing, examine, and write limits.txt.

    Args:
        out: a run directory for each model
        data: folder of the finished units
        functions: of each test
        plan: how much is trained
    """
    updates, architecture = plan.updates(4000), plan.choose("12l8ah", "2l2ah")
    cells = {
        name: Experiment(f"linear-{architecture}", **fields, **plan.fields)
        for name, fields in CELLS.items()
    }
    place = data / f"{architecture}-{updates}"
    look = functools.partial(examine, functions=functions)
    found = examined(cells, updates, (out, place), look, functions)
    text = f"{table(found)}\n\n{differences(*list(found.values())[:2])}\n"
    text += f"\n{updates} steps, {architecture}, {plan.told}\n"
    files.write_text(place / "limits.txt", text)
    return text


if __name__ == "__main__":
    run_script(main)
