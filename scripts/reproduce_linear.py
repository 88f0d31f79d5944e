"""Table 2 of arXiv 2411.11465: linear functions learnt in context, tested at σ = 1 … 10.

    python scripts/reproduce_linear.py                 # reduced: minutes on 2 quiet cores
    python scripts/reproduce_linear.py --seeds 3       # mean and spread; three times as long
    python scripts/reproduce_linear.py --full          # as published: 500,000 steps a model; an
                                                       # accelerator, about half an hour for 12L8AH
    python scripts/reproduce_linear.py --full --normalizer ssa

Expected of the reduced setting (4,000 steps of 32 prompts at learning rate 1e-3 instead of 500,000
of 64 at 1e-4): the error in distribution (σ = 1) near zero for models with two or more layers;
1L1AH worst at σ ≥ 3; errors beyond that explained by a bound on the output (B_eff); attention-only
models learn, MLP-only ones do not (error of σ = 1 near that of zero, 2.19); causal 3-NN better than
all at large σ.  The last lines say of each seed whether this holds.
Zero and least squares are exact in either setting.  Interrupted runs go on where they stopped.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attention.command_line import run_script
from icl.evaluation import errors as evaluation
from icl.papers import published, reproduction
from icl.training import Experiment

REDUCED = ("1l1ah", "2l2ah", "2al2ah", "2mlp")
FULL = ("1l1ah", "1l4ah", "2l4ah", "3l4ah", "6l4ah", "12l8ah", "2al8ah", "12mlp")
BASELINES = ("zero", "least-squares", "knn-3")


def holds(rows: Sequence[Mapping[str, Any]], names: Mapping[str, str], seed: int) -> dict[str, Any]:
    """What the paper says, of the models of one seed; only of what was trained."""
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


def main(
    *,
    out: Path = Path("runs/linear"),
    models: str = "",
    full: bool = False,
    steps: int | None = None,
    normalizer: str = "softmax",
    functions: int = 100,
    seed: int = 0,
    seeds: int = 1,
) -> None:
    """Trains what is missing, evaluates, and writes table_2.csv and table_2.txt.

    Args:
        out: a run directory for each model, and the tables
        models: architectures between commas; none for those of the setting
        full: as published
        steps: of training; None for those of the setting
        normalizer: of attention scores
        functions: of 100, how many are evaluated (fewer is faster, and not Table 2)
        seed: of the training, the first one
        seeds: models of each kind, trained at once
    """
    chosen = [name for name in models.split(",") if name] or list(FULL if full else REDUCED)
    updates = steps or (500_000 if full else 4000)
    settings = reproduction.settings(full, seed, seeds)
    plans = {}
    for architecture in chosen:
        name = architecture if normalizer == "softmax" else f"{architecture} {normalizer}"
        plans[name] = Experiment(f"linear-{architecture}", normalizer=normalizer, **settings)
    reproduction.check(out, plans.values(), steps, functions=functions)
    cases = [c for c in published.evaluation_set(None, functions) if c.labels["inputs"] == "normal"]
    rows, _ = evaluation.evaluate(cases, evaluation.predictors(BASELINES, []))
    rows = [{**row, "seed": ""} for row in rows]
    for name, plan in plans.items():
        place = out / name.replace(" ", "-").replace(":", "-")
        for i, model in enumerate(reproduction.trained(plan, place, updates)):
            found, _ = evaluation.evaluate(cases, {name: evaluation.model_predictor(model)})
            rows += [{**row, "seed": seed + i} for row in found]
    names = dict(zip(plans, chosen, strict=True))
    found, text = published.table_2(rows, names)
    text += f"\n{updates} steps at learning rate {settings['learning_rate']:g}, "
    text += f"{functions} functions a sigma, {seeds} seed{'s' * (seeds > 1)}\n"
    for each in range(seed, seed + seeds):
        text += json.dumps(holds(found, names, each)) + "\n"
    reproduction.write(out, "table_2", found, text)


if __name__ == "__main__":
    run_script(main)
