"""How training decides what a model can do: the width of its distributions, and the curriculum.

    python scripts/reproduce_training.py --seeds 3    # reduced: some 30 minutes on 2 quiet cores
    python scripts/reproduce_training.py --seeds 3 --full   # 500,000 steps a model: an accelerator

Two claims of arXiv 2411.11465 on linear functions.  Training on N(0, 3) or N(0, 10) widens the
boundary values and costs precision: "either models will lack generalizability or precision".  And
41 points from the start do better than a curriculum from 11 points on.

For each model the table has B_eff and the largest output along f = cx; the error over that of zero
on prompts as in training (its own range) and on N(0, 1); and the error on the published test at
σ = 1, 3 and 10.  A unit is one model of one seed, a file of docs/results/data/training.
Differences to the first row are paired by seed, with their 95 % interval.  The same line goes on
after Ctrl-C.
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
from icl.analysis import follow
from icl.evaluation import effective_bound, evaluate, model_predictor
from icl.papers import TABLES, Plan, examined
from icl.tasks import Row, Sampling, distribution
from icl.tasks.functions import FunctionTask
from icl.training import Experiment, Trained

DATA = Path("docs/results/data/training")
COLUMNS = ("B_eff", "largest", "own range", "on N(0, 1)", "σ = 1", "σ = 3", "σ = 10")


def trainings(steps: int) -> dict[str, dict[str, Any]]:
    """Fields of an experiment; the curriculum takes the first 6 % of the steps, as published."""
    wide = {n: {"inputs": f"normal:0,{n}", "functions": f"normal:0,{n}"} for n in (3, 10)}
    return {
        "N(0, 1)": {},
        **{f"N(0, {n})": fields for n, fields in wide.items()},
        "curriculum": {"point_curriculum": f"11:41:2:{max(1, steps // 250)}"},
    }


def examine(model: Trained, functions: int) -> Row:
    """The numbers of ``COLUMNS`` of a model."""
    by_name = {"model": model_predictor(model)}

    def share(law: str) -> float:
        task = FunctionTask(inputs=distribution(law), coefficients=distribution(law))
        cases = [task.draw(setting, Sampling(functions, 16)) for setting in task.settings()]
        return evaluate(task, cases, by_name)[0][0]["error_over_zero"]

    cases = TABLES[2].cases(functions)
    errors = [row["error"] for row in evaluate(model.task, cases, by_name)[0]]
    values = [case.y_FBT[:, :, case.where_BT[0]] for case in cases]
    reached = np.abs(follow(model, list(np.linspace(-300, 300, 61))))
    found = (effective_bound(values, errors), reached.max(), share(str(model.task.inputs)))
    found = (*found, share("normal:0,1"), errors[0], errors[2], errors[9])
    return dict(zip(COLUMNS, map(float, found), strict=True))


def table(found: Mapping[str, Sequence[Row]]) -> str:
    """Means over seeds with intervals, and below each row but the first its paired difference."""
    lines, first = [], next(iter(found.values()))
    for name, rows in found.items():
        lines.append([name, *(mean_with_margin([r[column] for r in rows]) for column in COLUMNS)])
        if len(rows) > 1 and rows is not first:
            gaps = [[r[c] - f[c] for r, f in zip(rows, first, strict=True)] for c in COLUMNS]
            lines.append(["  difference", *map(mean_with_margin, gaps)])
    return narrow_table(["", *COLUMNS], lines)


@command
def main(
    *,
    out: Path = Path("runs/training"),
    data: Path = DATA,
    architecture: str = "3l4ah",
    functions: Count = 100,
    plan: Plan = Plan(),
) -> str:
    """Train what is missing, examine, and write training.txt.

    Args:
        out: a run directory for each model
        data: folder of the finished units
        architecture: of all models
        functions: of each test
        plan: how much is trained
    """
    steps = plan.updates(4000)
    place = data / f"{architecture}-{steps}"
    experiments = {
        name: Experiment(f"linear-{architecture}", **fields, **plan.fields)
        for name, fields in trainings(steps).items()
    }
    look = functools.partial(examine, functions=functions)
    found = examined(experiments, steps, (out, place), look, functions)
    text = f"{table(found)}\n\n{steps} steps, {architecture}, {plan.told}\n"
    files.write_text(place / "training.txt", text)
    return text


if __name__ == "__main__":
    run_script(main)
