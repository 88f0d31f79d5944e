"""Table 2 of arXiv 2411.11465: linear functions learned in context, tested at σ = 1 … 10.

    python scripts/reproduce_linear.py                 # reduced: minutes on 2 quiet cores
    python scripts/reproduce_linear.py --seeds 3       # mean and spread; three times as long
    python scripts/reproduce_linear.py --full          # as published: 500,000 steps a model; an
                                                       # accelerator, about half an hour for 12L8AH
    python scripts/reproduce_linear.py --full --normalizer ssa

The reduced setting has 4,000 steps of 32 prompts at learning rate 1e-3, instead of 500,000 of 64 at
1e-4.  What to expect of it: the error in distribution (σ = 1) is near zero for models with two or
more layers; 1L1AH is the worst at σ ≥ 3; errors beyond that are explained by a bound on the output
(B_eff); attention-only models learn, and MLP-only ones do not (their error at σ = 1 is near that of
zero, 2.19); causal 3-NN is better than all of them at large σ.  The last lines say for each seed
whether this holds.  Zero and least squares are exact in either setting.  Interrupted runs go on
where they stopped.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from attention.command_line import Commas, command, run_script
from attention.options import Count
from icl.evaluation import evaluate, model_predictor, predictors
from icl.papers import Plan, check, evaluation_set, table_2, trained_models, write_tables
from icl.tasks.functions import FunctionTask
from icl.training import Experiment

REDUCED = ("1l1ah", "2l2ah", "2al2ah", "2mlp")
FULL = ("1l1ah", "1l4ah", "2l4ah", "3l4ah", "6l4ah", "12l8ah", "2al8ah", "12mlp")
BASELINES = ("zero", "least-squares", "knn-3")


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


@command
def main(
    *,
    out: Path = Path("runs/linear"),
    models: Annotated[tuple[str, ...], Commas(metavar="NAME,NAME")] = (),
    normalizer: str = "softmax",
    functions: Count = 100,
    plan: Plan = Plan(),
) -> None:
    """Train what is missing, evaluate, and write table_2.csv and table_2.txt.

    Args:
        out: a run directory for each model, and the tables
        models: architectures; by default those of the setting
        normalizer: turns attention scores into weights
        functions: of 100, how many are evaluated (fewer is faster, and not Table 2)
        plan: how much is trained
    """
    chosen = models or plan.choose(FULL, REDUCED)
    updates = plan.updates(4000)
    experiments = {}
    for architecture in chosen:
        name = architecture if normalizer == "softmax" else f"{architecture} {normalizer}"
        preset = f"linear-{architecture}"
        experiments[name] = Experiment(preset, normalizer=normalizer, **plan.fields)
    check(out, experiments.values())
    task = FunctionTask()
    cases = [c for c in evaluation_set(None, functions) if c.setting["inputs"] == "normal"]
    rows, _ = evaluate(task, cases, predictors(task, BASELINES, []))
    rows = [{**row, "seed": ""} for row in rows]
    for name, experiment in experiments.items():
        place = out / name.replace(" ", "-").replace(":", "-")
        for i, model in enumerate(trained_models(experiment, place, updates)):
            found, _ = evaluate(task, cases, {name: model_predictor(model)})
            rows += [{**row, "seed": plan.seed + i} for row in found]
    names = dict(zip(experiments, chosen, strict=True))
    found, text = table_2(rows, names)
    text += f"\n{updates} steps at learning rate {plan.fields['learning_rate']:g}, "
    text += f"{functions} functions a sigma, {plan.told}\n"
    for seed in range(plan.seed, plan.seed + plan.seeds):
        text += json.dumps(holds(found, names, seed)) + "\n"
    write_tables(out, "table_2", found, text)


if __name__ == "__main__":
    run_script(main)
