"""Does training on other classes help? Schedules of degrees, and functions that no training saw.

    python scripts/reproduce_schedules.py --seeds 3   # reduced: some 40 minutes on 2 quiet cores
    python scripts/reproduce_schedules.py --seeds 3 --full   # 12L8AH, 500,000 steps: an accelerator
    python scripts/reproduce_schedules.py --runs zoo:polynomial-3l4ah-seed0   # one that is there

Models of polynomials differ in the order in which they see degrees, at equal steps: mixed (1, 3 and
5 in every batch), sequential (1, then 3, then 5, a third of the steps each), growing (1 to 5, a
fifth each), and degree 1 or 5 alone.  All are tested on degrees 1 to 6 and on sin, exp, abs, step
and smooth functions, with inputs of the range of training and of twice that range
(arXiv 2502.03503: "hence all continuous functions").

Each error stands over that of zero.  Beside it stands the degree whose least-squares fit to the
prompt is as good: "3" says that the model is at least as good as the best cubic, and not as the
best quartic; "0" that it is worse than a line, "7+" that no degree up to 7 is better.  A unit is
one model of one seed, a file of docs/results/data/schedules.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from attention import files
from attention.command_line import Commas, command, run_script
from attention.options import Count
from attention.statistics import mean_with_margin
from attention.terminal import narrow_table
from icl.evaluation import evaluate, model_predictor, predictors
from icl.papers import Plan, examined
from icl.tasks import Predictor, Row, Sampling, distribution
from icl.tasks.functions import FunctionTask, function_class
from icl.training import Experiment, Trained, load_all

DATA = Path("docs/results/data/schedules")
INPUTS, LAW, MOST = "uniform:-2,2", "normal:0,1", 7
RANGES = {"": INPUTS, " x2": "uniform:-4,4"}
CLASSES = [f"polynomial:degree={degree}" for degree in range(1, 7)]
CLASSES += ["sin", "exp", "abs", "step", "smooth"]


def schedules(steps: int) -> dict[str, dict[str, Any]]:
    """Fields of an experiment for each schedule."""
    third, fifth = max(1, steps // 3), max(1, steps // 5)
    of_five = {"functions": f"polynomial:degree=5@{LAW}"}
    return {
        "mixed": {"functions": f"polynomial:degrees=1+3+5@{LAW}"},
        "sequential": of_five | {"degree_curriculum": f"1:5:2:{third}"},
        "growing": of_five | {"degree_curriculum": f"1:5:1:{fifth}"},
        "degree 1": {"functions": f"polynomial:degree=1@{LAW}"},
        "degree 5": of_five,
    }


def examine(by_name: Mapping[str, Predictor], sampling: Sampling) -> dict[str, dict[str, float]]:
    """The error over that of zero, for each class of functions and predictor."""
    found: dict[str, dict[str, float]] = {}
    for text in CLASSES:
        for end, inputs in RANGES.items():
            task = FunctionTask(function_class(text), distribution(inputs))
            cases = [task.draw(setting, sampling) for setting in task.settings()]
            rows, _ = evaluate(task, cases, by_name)
            name = text.replace("polynomial:degree=", "degree ") + end
            found[name] = {row["predictor"]: row["error_over_zero"] for row in rows}
    return found


def equalled(error: float, fits: Mapping[str, float]) -> str:
    """The highest degree whose best fit is no better than a model of this error."""
    reached = [d for d in range(1, MOST + 1) if error <= fits[f"polynomial-{d}"]]
    better = [d for d in range(1, MOST + 1) if error > fits[f"polynomial-{d}"]]
    if not better:
        return f"{MOST}+"
    return str(max((d for d in reached if d < min(better)), default=0))


def table(found: Mapping[str, Sequence[Row]], fits: Row) -> str:
    """A line for each class, a column for each model: mean over seeds, interval, degree."""
    lines = []
    for name, each in fits.items():
        cells = []
        for rows in found.values():
            values = [row[name]["model"] for row in rows]
            degree = equalled(float(np.mean(values)), each)
            cells.append(f"{mean_with_margin(values, '.3f')} ({degree})")
        lines.append([name, f"{each['knn-3']:.3f}", *cells])
    return narrow_table(["", "3-NN", *found], lines)


@command
def main(
    *,
    out: Path = Path("runs/schedules"),
    data: Path = DATA,
    runs: Annotated[tuple[Path, ...], Commas(metavar="DIR,DIR")] = (),
    count: Count = 100,
    plan: Plan = Plan(),
) -> str:
    """Train what is missing, test, and write schedules.txt.

    Args:
        out: a run directory for each schedule
        data: folder of the finished units
        runs: test these runs, or zoo:NAME, and train nothing
        count: functions of each test
        plan: how much is trained
    """
    steps, architecture = plan.updates(4000), plan.choose("12l8ah", "2l2ah")
    place, sampling = data / f"{architecture}-{steps}", Sampling(count, 16)
    baselines = predictors(FunctionTask(), ["knn-3", *(f"polynomial-{d}" for d in range(1, 8))], [])
    if runs:
        found: dict[str, list[Row]] = {}
        models = {name: model for run in runs for name, model in load_all(run).items()}
        for name, model in models.items():
            found[name] = [examine({"model": model_predictor(model)}, sampling)]
        print(table(found, examine(baselines, sampling)))
        return ""
    experiments = {
        name: Experiment(f"polynomial-{architecture}", inputs=INPUTS, **fields, **plan.fields)
        for name, fields in schedules(steps).items()
    }

    def look(model: Trained) -> Row:
        return examine({"model": model_predictor(model)}, sampling)

    found = examined(experiments, steps, (out, place), look, count)
    fits = files.finished(place / f"fits-{count}.json", lambda: examine(baselines, sampling))
    text = f"{table(found, fits)}\n\n{steps} steps, {architecture}, {plan.told}\n"
    files.write_text(place / "schedules.txt", text)
    return text


if __name__ == "__main__":
    run_script(main)
