"""Polynomials learnt in context (arXiv 2502.03503): seen and unseen degrees, and roots.

    python scripts/reproduce_polynomials.py            # reduced: some 10 minutes on 2 quiet cores
    python scripts/reproduce_polynomials.py --seeds 3  # mean and spread; 20 minutes
    python scripts/reproduce_polynomials.py --full     # 12L8AH, 500,000 steps: an accelerator, half
                                                       # an hour a model

A model is trained on polynomials of degrees 1, 3 and 5 (2 and 4 held out; reduced: 1 and 3), and,
for comparison, one on the held-out degrees too and one on degree 1 alone.  Inputs are U(-2, 2) and
coefficients N(0, 1): wide enough that degrees differ, for the best line leaves a quarter of the
variance of a parabola there, on U(-1, 1) only a twentieth.  (The authors' largest run used U(-5, 5)
for both, where values reach 780.)

A held-out degree is approximated if the model's error on it is below that of (a) the best
polynomial of the highest seen degree below it, fitted to the same prompt by least squares, and (b)
the model that saw degree 1 alone.  Both are looked at over the whole prompt and over its second
half, where a prompt has told all that there is to know.

Roots: lines whose coefficients are bounded away from zero, so that the inverse is no wilder than
the function, by a model trained on pairs (f(x), x) and by one trained on (x, f(x)).

Expected: (a) and (b) hold on the degrees between those seen, and errors grow beyond the highest.
Roots nearer than always answering 0.  The paper's tables were not at hand: there is no published
column here; what stands beside ours are baselines.  Interrupted runs go on where they stopped.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from attention.command_line import run_script
from attention.files import write_json
from icl.analysis import approximate
from icl.evaluation import errors as evaluation
from icl.evaluation import sweeps
from icl.papers import reproduction
from icl.tasks.functions import Polynomial
from icl.training import Experiment

INPUTS, COEFFICIENTS = "uniform:-2,2", "normal:0,1"
OF_LINES = "mix:uniform:-2,-0.5|uniform:0.5,2"
Rows = list[dict[str, Any]]


def experiments(
    architecture: str, seen: Sequence[int], full: bool, seed: int, seeds: int
) -> dict[str, Experiment]:
    """Name of a run → what it is trained on; the first is the one with degrees held out."""
    settings = reproduction.settings(full, seed, seeds)
    plans = {}
    for degrees in (seen, range(1, max(seen) + 1), (1,)):
        several = f"degree{'s' * (len(degrees) > 1)}"
        text = "+".join(map(str, degrees))
        plans[f"{several} {text}"] = Experiment(
            f"polynomial-{architecture}",
            inputs=INPUTS,
            functions=f"polynomial:{several}={text}@{COEFFICIENTS}",
            **settings,
        )
    for name, inverse in (("lines", False), ("lines inverse", True)):
        plans[name] = Experiment(
            f"linear-{architecture}", functions=OF_LINES, inverse=inverse, **settings
        )
    return plans


def by_degree(
    by_name: dict[str, evaluation.Predictor], degrees: Sequence[int], count: int, prompts: int
) -> Rows:
    """Rows of errors, a predictor, seed and degree each; ``late`` is the share in the second half.

    Trained models are named ``NAME#SEED``, and their rows NAME.
    """
    base = sweeps.Design(inputs=INPUTS)
    settings = sweeps.designs([f"degree={','.join(map(str, degrees))}"], base)
    cases = [
        sweeps.drawn(each, Polynomial(degree=1), COEFFICIENTS, count=count, prompts=prompts)
        for each in settings
    ]
    rows, positions = evaluation.evaluate(cases, by_name)

    def late(predictor: str, degree: int) -> float:
        return sum(
            row["error"]
            for row in positions
            if (row["predictor"], row["degree"]) == (predictor, degree)
            and row["position"] > base.points // 2
        )

    for row in rows:
        zero = row["error"] / row["error_over_zero"] if row["error_over_zero"] else 1.0
        row |= {"low_over_zero": row["low"] / zero, "high_over_zero": row["high"] / zero}
        row["late"] = late(row["predictor"], row["degree"]) / late("zero", row["degree"])
    split = [row["predictor"].partition("#") for row in rows]
    return [
        {**row, "predictor": name, "seed": seed}
        for row, (name, _, seed) in zip(rows, split, strict=True)
    ]


def table(rows: Rows, seen: Sequence[int]) -> str:
    """Errors over that of zero: predictors down, degrees across; held-out ones have a star.

    Of several seeds mean and standard deviation.
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
    """Of each held-out degree: the model of a seed, and what it must be better than."""
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


def main(
    *,
    out: Path = Path("runs/polynomials"),
    full: bool = False,
    architecture: str | None = None,
    steps: int | None = None,
    count: int = 100,
    prompts: int = 64,
    seed: int = 0,
    seeds: int = 1,
) -> None:
    """Trains what is missing, evaluates, and writes polynomials.csv and polynomials.txt.

    Args:
        out: a run directory for each model, and the tables
        full: 12l8ah, 500,000 steps
        architecture: of all models; None for that of the setting
        steps: of training; None for those of the setting (reduced, the inverse has three times
            as many)
        count: functions a degree
        prompts: inputs a degree
        seed: of the training, the first one
        seeds: models of each kind, trained at once
    """
    updates = steps or (500_000 if full else 4000)
    seen = (1, 3, 5) if full else (1, 3)
    chosen = architecture or ("12l8ah" if full else "2l2ah")
    plans = experiments(chosen, seen, full, seed, seeds)
    reproduction.check(out, plans.values(), steps, count=count, prompts=prompts)
    longer = 1 if full else 3  # the inverse begins to be learnt where the others have ended
    models = {
        name: reproduction.trained(
            plan, out / name.replace(" ", "-"), updates * (longer if plan.inverse else 1)
        )
        for name, plan in plans.items()
    }
    of_degrees = [name for name in models if name.startswith("degree")]
    baselines = ["zero", "knn-3", *(f"polynomial-{d}" for d in range(1, max(seen) + 1))]
    by_name = evaluation.predictors(baselines, []) | {
        f"{name}#{seed + i}": evaluation.model_predictor(model)
        for name in of_degrees
        for i, model in enumerate(models[name])
    }
    rows = by_degree(by_name, range(1, max(seen) + 2), count, prompts)
    text = table(rows, seen)
    held_out, roots = [], []
    for i in range(seeds):
        held_out += verdicts(rows, seen, of_degrees[0], of_degrees[-1], seed + i)
        for reading, name in (("scan", "lines"), ("swap", "lines inverse")):
            roots.append({"reading": reading, "seed": seed + i, **approximate(models[name][i])})
    text += "".join(json.dumps(each) + "\n" for each in held_out)
    for found in roots:
        text += (
            f"\nroots of lines, {found['reading']}: "
            f"median distance {found['median_distance']:.3f} "
            f"(always 0: {found['median_distance_of_zero']:.3f}),\n  within 0.1 "
            f"{found['within_0.1']:.2f} (always 0: {found['within_0.1_of_zero']:.2f}), "
            f"unanswered {found['unanswered']:.0f} of {found['functions']:.0f}"
        )
    text += f"\n\n{updates} steps ({updates * longer} of the inverse), "
    text += f"{seeds} seed{'s' * (seeds > 1)}\n"
    write_json(out / "held_out.json", held_out)
    write_json(out / "roots.json", roots)
    reproduction.write(out, "polynomials", rows, text)


if __name__ == "__main__":
    run_script(main)
