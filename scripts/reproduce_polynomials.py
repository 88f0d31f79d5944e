"""Polynomials learned in context (arXiv 2502.03503): seen and unseen degrees, and roots.

    python scripts/reproduce_polynomials.py            # reduced: some 10 minutes on 2 quiet cores
    python scripts/reproduce_polynomials.py --seeds 3  # mean and spread; 20 minutes
    python scripts/reproduce_polynomials.py --full     # 12L8AH, 500,000 steps: an accelerator, half
                                                       # an hour a model

A model is trained on polynomials of degrees 1, 3 and 5 (2 and 4 are held out; reduced: 1 and 3).
For comparison, one model is trained on the held-out degrees too, and one on degree 1 alone.  Inputs
are U(-2, 2) and coefficients N(0, 1).  This is wide enough for degrees to differ: there the best
line leaves a quarter of the variance of a parabola, on U(-1, 1) only a twentieth.  (The authors'
largest run used U(-5, 5) for both, where values reach 780.)

A held-out degree is approximated if the model's error on it is below that of (a) the best
polynomial of the highest seen degree below it, fitted to the same prompt by least squares, and (b)
the model that saw degree 1 alone.  Both are looked at over the whole prompt and over its second
half, where a prompt has told all that there is to know.

Roots are asked of lines whose coefficients are bounded away from zero, so that the inverse is no
wilder than the function.  One model is trained on pairs (f(x), x), another on (x, f(x)).

What to expect: (a) and (b) hold on the degrees between those seen, and errors grow beyond the
highest.  Roots are nearer than always answering 0.  The paper's tables were not at hand: baselines
stand beside our numbers, and no published column.  Interrupted runs go on where they stopped.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from attention import files
from attention.command_line import command, run_script
from attention.options import Count
from icl.analysis import approximate
from icl.evaluation import evaluate, model_predictor, predictors
from icl.papers import Plan, check, trained_models, write_tables
from icl.tasks import Predictor, Sampling, distribution
from icl.tasks.functions import FunctionTask, Polynomial
from icl.training import Experiment

INPUTS, COEFFICIENTS = "uniform:-2,2", "normal:0,1"
OF_LINES = "mix:uniform:-2,-0.5|uniform:0.5,2"
Rows = list[dict[str, Any]]


def experiments(architecture: str, seen: Sequence[int], plan: Plan) -> dict[str, Experiment]:
    """Name of a run → what it is trained on; the first is the one with degrees held out."""
    plans = {}
    for degrees in (seen, range(1, max(seen) + 1), (1,)):
        several = f"degree{'s' * (len(degrees) > 1)}"
        text = "+".join(map(str, degrees))
        plans[f"{several} {text}"] = Experiment(
            f"polynomial-{architecture}",
            inputs=INPUTS,
            functions=f"polynomial:{several}={text}@{COEFFICIENTS}",
            **plan.fields,
        )
    for name, inverse in (("lines", False), ("lines inverse", True)):
        plans[name] = Experiment(
            f"linear-{architecture}", functions=OF_LINES, inverse=inverse, **plan.fields
        )
    return plans


def by_degree(by_name: dict[str, Predictor], degrees: Sequence[int], sampling: Sampling) -> Rows:
    """Rows of errors for each predictor, seed and degree; ``late`` is the share in the second half.

    Trained models are named ``NAME#SEED``, and their rows NAME.
    """
    task = FunctionTask(Polynomial(degree=1), distribution(INPUTS), distribution(COEFFICIENTS))
    settings = task.settings([f"degree={','.join(map(str, degrees))}"])
    cases = [task.draw(setting, sampling) for setting in settings]
    rows, positions = evaluate(task, cases, by_name)

    def late(predictor: str, degree: int) -> float:
        return sum(
            row["error"]
            for row in positions
            if (row["predictor"], row["degree"]) == (predictor, degree)
            and row["position"] > task.points // 2
        )

    for row in rows:
        zero = row["error"] / row["error_over_zero"] if row["error_over_zero"] else 1.0
        for end in ("low", "high"):  # there is no interval over one function
            row[f"{end}_over_zero"] = row.get(end, row["error"]) / zero
        row["late"] = late(row["predictor"], row["degree"]) / late("zero", row["degree"])
    split = [row["predictor"].partition("#") for row in rows]
    return [
        {**row, "predictor": name, "seed": seed}
        for row, (name, _, seed) in zip(rows, split, strict=True)
    ]


def table(rows: Rows, seen: Sequence[int]) -> str:
    """Errors over that of zero: predictors down, degrees across; held-out ones have a star.

    Several seeds have their mean and standard deviation.
    """
    degrees = list(dict.fromkeys(row["degree"] for row in rows))
    head = [f"{d}{'' if d in seen else '*'}" for d in degrees]
    lines = []
    for title, name in (("whole prompt", "error_over_zero"), ("second half", "late")):
        lines.append(f"error over that of zero, {title}, by degree (* held out)")
        lines.append(f"{'':16}" + "".join(f"{each:>9}" for each in head))
        for predictor in dict.fromkeys(row["predictor"] for row in rows):
            mine = [row for row in rows if row["predictor"] == predictor]
            shares = np.array([[r[name] for r in mine if r["degree"] == d] for d in degrees])
            lines.append(f"{predictor:16}" + "".join(f"{x:>9.4f}" for x in shares.mean(axis=1)))
            if shares.shape[1] > 1:
                spread = shares.std(axis=1, ddof=1)
                lines.append(f"{'  deviation':16}" + "".join(f"{x:>9.4f}" for x in spread))
        lines.append("")
    return "\n".join(lines)


def verdicts(rows: Rows, seen: Sequence[int], model: str, low: str, seed: int) -> Rows:
    """For each held-out degree the error of a seed's model, and of what it must be better than."""
    mine = [row for row in rows if row["seed"] in ("", str(seed))]
    at = {(row["predictor"], row["degree"]): row for row in mine}
    found = []
    for degree in sorted({row["degree"] for row in rows} - set(seen)):
        below = f"polynomial-{max(d for d in seen if d < degree)}"
        verdict: dict[str, Any] = {
            "seed": seed,
            "degree": degree,
            "between_seen": degree < max(seen),
        }
        for name in ("error_over_zero", "late"):
            ours = at[model, degree][name]
            others = {other: at[other, degree][name] for other in (below, low)}
            told = {"model": ours, **others}
            verdict[name] = {which: round(error, 4) for which, error in told.items()}
            verdict[f"{name}_approximated"] = ours < min(others.values())
        found.append(verdict)
    return found


@command
def main(
    *,
    out: Path = Path("runs/polynomials"),
    architecture: str | None = None,
    count: Count = 100,
    prompts: Count = 64,
    plan: Plan = Plan(),
) -> None:
    """Train what is missing, evaluate, and write polynomials.csv and polynomials.txt.

    In the reduced setting the inverse is trained for three times as many steps.

    Args:
        out: a run directory for each model, and the tables
        architecture: of all models; by default that of the setting
        count: functions of a degree
        prompts: inputs of a degree
        plan: how much is trained
    """
    updates, seen = plan.updates(4000), plan.choose((1, 3, 5), (1, 3))
    chosen = experiments(architecture or plan.choose("12l8ah", "2l2ah"), seen, plan)
    check(out, chosen.values())
    longer = plan.choose(1, 3)  # the inverse begins to be learned where the others have ended
    models = {
        name: trained_models(
            each, out / name.replace(" ", "-"), updates * (longer if each.inverse else 1)
        )
        for name, each in chosen.items()
    }
    of_degrees = [name for name in models if name.startswith("degree")]
    baselines = ["zero", "knn-3", *(f"polynomial-{d}" for d in range(1, max(seen) + 1))]
    by_name = predictors(FunctionTask(), baselines, []) | {
        f"{name}#{plan.seed + i}": model_predictor(model)
        for name in of_degrees
        for i, model in enumerate(models[name])
    }
    rows = by_degree(by_name, range(1, max(seen) + 2), Sampling(count, prompts))
    text = table(rows, seen)
    held_out, roots = [], []
    for i, seed in enumerate(range(plan.seed, plan.seed + plan.seeds)):
        held_out += verdicts(rows, seen, of_degrees[0], of_degrees[-1], seed)
        for reading, name in (("scan", "lines"), ("swap", "lines inverse")):
            roots.append({"reading": reading, "seed": seed, **approximate(models[name][i])})
    text += "".join(json.dumps(each) + "\n" for each in held_out)
    text += "".join(map(told, roots))
    text += f"\n\n{updates} steps ({updates * longer} of the inverse), {plan.told}\n"
    files.write_json(out / "held_out.json", held_out)
    files.write_json(out / "roots.json", roots)
    write_tables(out, "polynomials", rows, text)


def told(found: dict[str, Any]) -> str:
    """Roots in words."""
    return (
        f"\nroots of lines, {found['reading']}: "
        f"median distance {found['median_distance']:.3f} "
        f"(always 0: {found['median_distance_of_zero']:.3f}),\n  within 0.1 "
        f"{found['within_0.1']:.2f} (always 0: {found['within_0.1_of_zero']:.2f}), "
        f"unanswered {found['unanswered']:.0f} of {found['functions']:.0f}"
    )


if __name__ == "__main__":
    run_script(main)
