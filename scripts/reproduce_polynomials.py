"""Polynomials learnt in context (arXiv 2502.03503): seen and unseen degrees, and roots.

    python scripts/reproduce_polynomials.py            # reduced: some 15 minutes on 2 quiet cores
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

from attention.command_line import run_script
from icl import evaluation, reproduction, sweeps
from icl.experiments import Experiment
from icl.functions import Polynomial
from icl.roots import approximate

INPUTS, COEFFICIENTS = "uniform:-2,2", "normal:0,1"
OF_LINES = "mix:uniform:-2,-0.5|uniform:0.5,2"
Rows = list[dict[str, Any]]


def experiments(
    architecture: str, seen: Sequence[int], full: bool, seed: int
) -> dict[str, Experiment]:
    """Name of a run → what it is trained on; the first is the one with degrees held out."""
    settings = reproduction.settings(full, seed)
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
    """Rows of errors, a predictor and degree each; ``late`` is the share in the second half."""
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
    return rows


def table(rows: Rows, seen: Sequence[int]) -> str:
    """Errors over that of zero: predictors down, degrees across; held-out ones have a star."""
    degrees = list(dict.fromkeys(row["degree"] for row in rows))
    head = [f"{d}{'' if d in seen else '*'}" for d in degrees]
    lines = []
    for title, name in (("whole prompt", "error_over_zero"), ("second half", "late")):
        lines.append(f"error over that of zero, {title}, by degree (* held out)")
        lines.append(f"{'':16}" + "".join(f"{each:>9}" for each in head))
        for predictor in dict.fromkeys(row["predictor"] for row in rows):
            shares = [row[name] for row in rows if row["predictor"] == predictor]
            lines.append(f"{predictor:16}" + "".join(f"{share:>9.4f}" for share in shares))
        lines.append("")
    return "\n".join(lines)


def verdicts(rows: Rows, seen: Sequence[int], model: str, low: str) -> Rows:
    """Of each held-out degree: the model, and what it must be better than."""
    at = {(row["predictor"], row["degree"]): row for row in rows}
    found = []
    for degree in sorted({row["degree"] for row in rows} - set(seen)):
        below = f"polynomial-{max(d for d in seen if d < degree)}"
        verdict: dict[str, Any] = {"degree": degree, "between_seen": degree < max(seen)}
        for name in ("error_over_zero", "late"):
            ours = at[model, degree][name]
            others = {other: at[other, degree][name] for other in (below, low)}
            verdict[name] = {"model": ours, **others}
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
) -> None:
    """Trains what is missing, evaluates, and writes polynomials.csv and polynomials.txt.

    Args:
        out: a run directory for each model, and the tables
        full: 12l8ah, 500,000 steps
        architecture: of all models; None for that of the setting
        steps: of training; None for those of the setting
        count: functions a degree
        prompts: inputs a degree
        seed: of the training
    """
    updates = steps or (500_000 if full else 4000)
    seen = (1, 3, 5) if full else (1, 3)
    plans = experiments(architecture or ("12l8ah" if full else "2l2ah"), seen, full, seed)
    reproduction.check(out, plans.values(), steps, count=count, prompts=prompts)
    models = {
        name: reproduction.trained(plan, out / name.replace(" ", "-"), updates)[0]
        for name, plan in plans.items()
    }
    of_degrees = [name for name in models if name.startswith("degree")]
    baselines = ["zero", "knn-3", *(f"polynomial-{d}" for d in range(1, max(seen) + 1))]
    by_name = evaluation.predictors(baselines, [])
    by_name |= {name: evaluation.model_predictor(models[name]) for name in of_degrees}
    rows = by_degree(by_name, range(1, max(seen) + 2), count, prompts)
    text = table(rows, seen)
    held_out = verdicts(rows, seen, of_degrees[0], of_degrees[-1])
    text += "".join(json.dumps(each) + "\n" for each in held_out)
    found = {"scan": approximate(models["lines"]), "swap": approximate(models["lines inverse"])}
    for reading, numbers in found.items():
        text += (
            f"\nroots of lines, {reading}: median distance {numbers['median_distance']:.3f} "
            f"(always 0: {numbers['median_distance_of_zero']:.3f}), within 0.1 "
            f"{numbers['within_0.1']:.2f} (always 0: {numbers['within_0.1_of_zero']:.2f}), "
            f"unanswered {numbers['unanswered']:.0f} of {numbers['functions']:.0f}"
        )
    text += f"\n{updates} steps\n"
    (out / "held_out.json").write_text(json.dumps(held_out, indent=1) + "\n", encoding="utf-8")
    (out / "roots.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    reproduction.write(out, "polynomials", rows, text)


if __name__ == "__main__":
    run_script(main)
