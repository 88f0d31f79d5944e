"""Tables 1 to 3 of arXiv 2411.11465: linear functions in context, tested at σ = 1 … 10.

    python scripts/reproduce_linear.py                 # reduced: minutes on 2 quiet cores
    python scripts/reproduce_linear.py --seeds 3       # mean and spread; three times as long
    python scripts/reproduce_linear.py --full          # as published: 500,000 steps a model; an
                                                       # accelerator, about half an hour for 12L8AH
    python scripts/reproduce_linear.py --full --normalizer ssa
    python scripts/reproduce_linear.py --table 1       # laws of training; 3: attention only

The reduced setting has 4,000 steps of 32 prompts at learning rate 1e-3, instead of 500,000 of 64 at
1e-4. What to expect of it: the error in distribution (σ = 1) is near zero for models with two or
more layers; 1L1AH is the worst at σ ≥ 3; errors beyond that are explained by a bound on the output
(B_eff); attention-only models learn, and MLP-only ones do not (their error at σ = 1 is near that of
zero, 2.19); causal 3-NN is better than all of them at large σ. The last lines say for each seed
whether this holds, and which gates a model passes: plateaus at ±30 for f = 9x after U(−5, 5), at 10
to 14 for f = 10x after N(0, 1), and an output that does not follow f = x on [100, 101]. Zero and
least squares are exact in either setting. Interrupted runs go on where they stopped.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np

from attention import files
from attention.command_line import Commas, command, run_script
from attention.options import Count
from icl.analysis import along_inputs
from icl.evaluation import evaluate, model_predictor, predictors
from icl.papers import (
    LAWS,
    TABLES,
    Plan,
    PublishedRow,
    beside_published,
    check,
    trained_models,
    write_tables,
)
from icl.tasks.functions import FunctionTask
from icl.training import Experiment, Trained, predict_last

REDUCED = {
    1: ("3l4ah-N", "3l4ah-B", "3l4ah-U"),
    2: ("1l1ah", "2l2ah", "2al2ah", "2mlp"),
    3: ("1al1ah-S", "2al8ah-S"),
}
BESIDES = {2: ("2al8ah", "12mlp")}  # in the full setting: models that the text has, and no table
BASELINES = ("zero", "least-squares", "knn-3")
# by the law of training: the slope of f, the largest input, and where the plateau lies
GATES = {LAWS["U"]: (9.0, 5.0, (27, 33)), LAWS["N"]: (10.0, 3.0, (10, 14))}


def holds(rows: Sequence[Mapping[str, Any]], names: Mapping[str, str], seed: int) -> dict[str, Any]:
    """Whether what the paper says holds for the models of one seed that were trained."""
    at = {(row["predictor"], row["sigma"]): row for row in rows if row["seed"] in (seed, "")}

    def error(name: str, sigma: int) -> float:
        return at[name, sigma]["error"]

    def share(name: str) -> float:
        return error(name, 1) / error("zero", 1)

    whole = sorted((name for name in names if re.match(r"\d+l", names[name])), key=_layers)
    deep = [name for name in whole if _layers(name) > 1]
    bare = [name for name in names if re.match(r"\d+al", names[name])]
    flat = [name for name in names if names[name].endswith("mlp")]
    found: dict[str, Any] = {"seed": seed}
    if deep and len(deep) < len(whole):
        small = [name for name in whole if name not in deep]
        found["one_layer_worst_from_sigma_3"] = all(
            error(one, s) > error(each, s) for one in small for each in deep for s in range(3, 11)
        )
    if deep:
        found["error_over_zero_in_distribution"] = {name: round(share(name), 3) for name in deep}
        found["b_eff"] = {name: round(at[name, 1]["b_eff"], 1) for name in whole}
    if bare:
        found["attention_only_learns"] = all(share(name) < 0.2 for name in bare)
    if flat:
        found["mlp_only_does_not"] = all(share(name) > 0.9 for name in flat)
    if names:
        better = [s for s in range(1, 11) if all(error("knn-3", s) < error(n, s) for n in names)]
        found["3nn_best_at_sigma"] = better
    return found


def _layers(name: str) -> int:
    return int(re.match(r"\d+", name)[0])  # type: ignore[index]


def gates(model: Trained, law: str) -> dict[str, Any]:
    """What the paper reports of the models of a law: what we find, and whether it is so."""
    found: dict[str, Any] = {}
    if law in GATES:
        slope, most, (least, largest) = GATES[law]
        reached = along_inputs(model, list(np.linspace(-most, most, 25)), slope)
        low, high = float(reached.min()), float(reached.max())
        passed = least <= high <= largest and least <= -low <= largest
        found[f"plateau of f = {slope:g}x"] = [round(low, 1), round(high, 1), _verdict(passed)]
    x_BT = 100 + np.random.default_rng(0).random((64, 41))
    off = float(np.abs(predict_last(model, x_BT, x_BT) - x_BT[:, -1]).mean())
    found["f = x on [100, 101] is not followed"] = [round(off, 1), _verdict(off > 10)]
    return found


def _verdict(passed: bool) -> str:
    return "pass" if passed else "fail"


@command
def main(
    *,
    out: Path = Path("runs/linear"),
    data: Path = Path("docs/results/data/linear"),
    table: Literal[1, 2, 3] = 2,
    models: Annotated[tuple[str, ...], Commas(metavar="NAME,NAME")] = (),
    normalizer: str = "softmax",
    functions: Count = 100,
    plan: Plan = Plan(),
) -> None:
    """Train what is missing, evaluate, and write table_N.csv and table_N.txt.

    Args:
        out: a run directory for each model, and the tables
        data: folder of the finished units: a model of one seed
        table: 1: distributions of training; 2: sizes; 3: attention only
        models: rows of the table, or architectures; by default those of the setting; with --full
            every published row
        normalizer: turns attention scores into weights
        functions: of 100, how many are evaluated (fewer is faster, and not the published table)
        plan: how much is trained
    """
    published = TABLES[table]
    every = [name for name, row in published.rows.items() if row.architecture]
    names = models or plan.choose((*every, *BESIDES.get(table, ())), REDUCED[table])
    rows_of = {name: published.rows.get(name, PublishedRow((), name)) for name in names}
    experiments: dict[str, Experiment] = {}
    for name, row in rows_of.items():
        shown = name if normalizer == "softmax" else f"{name} {normalizer}"
        laws = {} if row.law == LAWS["N"] else {"inputs": row.law, "functions": row.law}
        preset = f"linear-{row.architecture}"
        experiments[shown] = Experiment(preset, normalizer=normalizer, **laws, **plan.fields)
    check(out, experiments.values())
    steps, seeds = plan.updates(4000), range(plan.seed, plan.seed + plan.seeds)
    units = data / f"table{table}-{steps}-of-{plan.fields['batch']}"
    task, cases = FunctionTask(), published.cases(functions)
    rows, _ = evaluate(task, cases, predictors(task, BASELINES, []))
    rows = [{**row, "seed": ""} for row in rows]
    told: list[str] = []
    for (name, experiment), row in zip(experiments.items(), rows_of.values(), strict=True):
        place = out / files.file_name(name.removesuffix(f"-{row.prompt}"))
        asked = cases if row.prompt == "drawn" else published.cases(functions, row.prompt)
        gated = row.prompt == "drawn" and not row.architecture.endswith("mlp")

        law = row.law if gated else None

        def unit(seed: int, name=name, given=experiment, law=law, place=place, asked=asked) -> Any:
            model = trained_models(given, place, steps)[seed - plan.seed]
            found, _ = evaluate(task, asked, {name: model_predictor(model)})
            return {"rows": found, "gates": gates(model, law) if law else {}}

        for seed in seeds:
            file = f"{files.file_name(name)}-seed{seed}-{functions}.json"
            found = files.finished(units / file, functools.partial(unit, seed))
            rows += [{**each, "seed": seed} for each in found["rows"]]
            if found["gates"]:
                told.append(json.dumps({"model": name, "seed": seed, **found["gates"]}))
    names_of = dict(zip(experiments, rows_of, strict=True))
    found, text = beside_published(rows, names_of, published)
    text += f"\n{steps} steps at learning rate {plan.fields['learning_rate']:g}, "
    text += f"{functions} functions a sigma, {plan.told}\n"
    if table == 2:
        told += [json.dumps(holds(found, names_of, seed)) for seed in seeds]
    write_tables(out, f"table_{table}", found, text + "".join(f"{line}\n" for line in told))


if __name__ == "__main__":
    run_script(main)
