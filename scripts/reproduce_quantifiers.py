"""``every``, ``some`` and a mix of both, learned in context (arXiv 2508.14685).

    python scripts/reproduce_quantifiers.py            # reduced: minutes on 2 quiet cores
    python scripts/reproduce_quantifiers.py --seeds 3  # mean and spread; three times as long
    python scripts/reproduce_quantifiers.py --full     # 12L8AH, 500,000 steps: an accelerator, half
                                                       # an hour a model

Models are trained on plain prompts of N(0, 1), with and without the labels in context; some have
attention only or MLPs only.  They are tested on wider inputs, on designs whose labels do vary, and
with a deviant in the middle.  The deviant has the sign that decides nothing; answers are scored at
it and at the positions after it.  All scores but the first two columns are balanced: a constant
answer has 0.5.  reproduce_scoring.py compares the scoring functions.

What to expect: with labels, models with attention have a balanced accuracy near 1 in distribution,
and the MLP-only one has what the current number alone tells.  The paper gives curves and no
numbers, so that the column beside ours is the best constant answer: from the fourth number on it is
right in 15 of 16 plain prompts.  Interrupted runs go on where they stopped.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from attention.command_line import command, run_script
from attention.options import Count
from icl.evaluation import evaluate, model_predictor
from icl.papers import Plan, check, trained_models, write_tables
from icl.tasks import Sampling
from icl.training import Experiment

COLUMNS = {
    "accuracy": "accuracy",
    "constant_accuracy": "constant",
    "balanced_accuracy": "balanced",
    "late_flip_balanced_accuracy": "late flip",
    "at_deviant": "at dev.",
    "after_deviant": "after dev.",
}


def experiments(plan: Plan) -> dict[str, Experiment]:
    """Name of a run → what it is trained on."""
    settings: dict[str, Any] = {
        **plan.fields,
        "points": plan.choose(41, 21),
        "hidden_size": plan.choose(None, 32),
    }
    model, bare, flat = plan.choose(("12l8ah", "2al8ah", "12mlp"), ("2l2ah", "2al2ah", "2mlp"))
    return {
        f"every {model}": Experiment(f"every-{model}", **settings),
        f"some {model}": Experiment(f"some-{model}", **settings),
        f"mix {model}": Experiment(f"mix-{model}", **settings),
        f"every {model}, no labels": Experiment(f"every-{model}", labels=False, **settings),
        f"every {bare}": Experiment(f"every-{bare}", **settings),
        f"every {flat}": Experiment(f"every-{flat}", **settings),
    }


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Below each model a line for each test; several seeds have a mean and a deviation."""
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


@command
def main(
    *,
    out: Path = Path("runs/quantifiers"),
    prompts: Count = 512,
    plan: Plan = Plan(),
) -> None:
    """Train what is missing, evaluate, and write quantifiers.csv and quantifiers.txt.

    Args:
        out: a run directory for each model, and the table
        prompts: prompts of a test
        plan: how much is trained; its seed is that of the tests too
    """
    updates, rows = plan.updates(1500), []
    tests = {
        "plain": ["design=plain"],
        "balanced": ["design=balanced"],
        "late": ["design=late"],
        "sigma 30": ["design=balanced", "sigma=30"],
    }
    chosen = experiments(plan)
    check(out, chosen.values())
    for name, experiment in chosen.items():
        run = out / name.replace(", ", "-").replace(" ", "-")
        models = trained_models(experiment, run, updates)
        by_name = {str(plan.seed + i): model_predictor(model) for i, model in enumerate(models)}
        task, place = models[0].task, experiment.points // 2
        # A deviant of this sign decides nothing, so that later labels stay as they are.
        deviants = {
            f"deviant {size}": ["design=balanced", f"deviant={place}:{task.neutral * size}"]
            for size in (10, 1000)
        }
        for test, sweeps in {**tests, **deviants}.items():
            sampling = Sampling(prompts=prompts, seed=plan.seed)
            cases = [task.draw(setting, sampling) for setting in task.settings(sweeps)]
            rows += [
                {"model": name, "test": test, "seed": row.pop("predictor"), **row}
                for row in evaluate(task, cases, by_name)[0]
            ]
    ending = f"{updates} steps, {plan.told}\n"
    write_tables(out, "quantifiers", rows, f"{table(rows)}\n{ending}")


if __name__ == "__main__":
    run_script(main)
