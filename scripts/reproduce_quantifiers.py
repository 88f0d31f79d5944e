"""``every`` and ``some`` learnt in context (arXiv 2508.14685, section on in-context learning).

    python scripts/reproduce_quantifiers.py            # reduced: minutes on 2 quiet cores
    python scripts/reproduce_quantifiers.py --seeds 3  # mean and spread; three times as long
    python scripts/reproduce_quantifiers.py --full     # 12L8AH, 500,000 steps: an accelerator, half
                                                       # an hour a model

Models trained on plain prompts of N(0, 1), with and without the labels in context, attention-only
and MLP-only ones, tested on wider inputs, on designs whose labels do vary, and with a deviant in
the middle, of the sign that decides nothing: scored at the deviant and at the positions after it.
The scoring functions are compared by reproduce_scoring.py.  All scores but the first two columns
are balanced: a constant answer has 0.5.

Expected: with labels, balanced accuracy near 1 in distribution for models with attention, and for
the MLP-only one what the current number alone tells.  The paper gives curves and no numbers: the
column beside ours is the best constant answer, which is right in 15 of 16 plain prompts from the
fourth number on.  Interrupted runs go on where they stopped.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from attention.command_line import run_script
from icl.evaluation import model_predictor, score
from icl.papers import reproduction
from icl.training import Experiment

COLUMNS = {
    "accuracy": "accuracy",
    "constant_accuracy": "constant",
    "balanced_accuracy": "balanced",
    "late_flip_balanced_accuracy": "late flip",
    "at_deviant": "at dev.",
    "after_deviant": "after dev.",
}


def experiments(full: bool, seed: int, seeds: int) -> dict[str, Experiment]:
    """Name of a run → what it is trained on."""
    settings: dict[str, Any] = {
        **reproduction.settings(full, seed, seeds),
        "points": 41 if full else 21,
        "hidden_size": None if full else 32,
    }
    model, bare, flat = ("12l8ah", "2al8ah", "12mlp") if full else ("2l2ah", "2al2ah", "2mlp")
    return {
        f"every {model}": Experiment(f"every-{model}", **settings),
        f"some {model}": Experiment(f"some-{model}", **settings),
        f"every {model}, no labels": Experiment(f"every-{model}", labels=False, **settings),
        f"every {bare}": Experiment(f"every-{bare}", **settings),
        f"every {flat}": Experiment(f"every-{flat}", **settings),
    }


def table(rows: Sequence[dict[str, Any]]) -> str:
    """A line a test below each model; of several seeds the mean, and the deviation below it."""
    lines = [f"{'':14}" + "".join(f"{word:>11}" for word in COLUMNS.values())]
    for model, of_model in itertools.groupby(rows, lambda row: row["model"]):
        lines.append(model)
        by_test: dict[str, list[dict[str, Any]]] = {}
        for row in of_model:
            by_test.setdefault(row["test"], []).append(row)
        for test, same in by_test.items():
            there = {name: same[0].get(name, "") for name in COLUMNS}
            shown = [name for name, x in there.items() if x != "" and not np.isnan(x)]
            scores = {name: np.array([row[name] for row in same]) for name in shown}
            lines.append(_line(f"  {test}", {name: x.mean() for name, x in scores.items()}))
            if len(same) > 1:
                spread = {name: x.std(ddof=1) for name, x in scores.items()}
                lines.append(_line("    deviation", spread))
    return "\n".join(lines)


def _line(label: str, scores: Mapping[str, float]) -> str:
    cells = [f"{scores[name]:.3f}" if name in scores else "" for name in COLUMNS]
    return (f"{label:14}" + "".join(f"{cell:>11}" for cell in cells)).rstrip()


def main(
    *,
    out: Path = Path("runs/quantifiers"),
    full: bool = False,
    steps: int | None = None,
    prompts: int = 512,
    seed: int = 0,
    seeds: int = 1,
) -> None:
    """Trains what is missing, evaluates, and writes quantifiers.csv and quantifiers.txt.

    Args:
        out: a run directory for each model, and the table
        full: the paper's 12 layers, 500,000 steps
        steps: of training; None for those of the setting
        prompts: a test
        seed: of the training, the first one, and of the tests
        seeds: models of each kind, trained at once
    """
    updates = steps or (500_000 if full else 1500)
    tests = {
        "plain": ["design=plain"],
        "balanced": ["design=balanced"],
        "late": ["design=late"],
        "sigma 30": ["design=balanced", "sigma=30"],
    }
    rows, plans = [], experiments(full, seed, seeds)
    reproduction.check(out, plans.values(), steps, prompts=prompts)
    for name, plan in plans.items():
        run = out / name.replace(", ", "-").replace(" ", "-")
        models = reproduction.trained(plan, run, updates)
        by_name = {str(seed + i): model_predictor(model) for i, model in enumerate(models)}
        task: Any = models[0].task
        # A number of this sign decides nothing, so that later labels stay as they are.
        sign, place = -1 if plan.kind == "some" else 1, plan.points // 2
        deviants = {
            f"deviant {size}": ["design=balanced", f"deviant={place}:{sign * size}"]
            for size in (10, 1000)
        }
        for test, sweeps in {**tests, **deviants}.items():
            rows += [
                {"model": name, "test": test, "seed": row.pop("predictor"), **row}
                for row in score(by_name, task, sweeps, prompts, seed)
            ]
    columns = dict.fromkeys(key for row in rows for key in row)
    rows = [{key: row.get(key, "") for key in columns} for row in rows]
    ending = f"{updates} steps, {seeds} seed{'s' * (seeds > 1)}\n"
    reproduction.write(out, "quantifiers", rows, f"{table(rows)}\n{ending}")


if __name__ == "__main__":
    run_script(main)
