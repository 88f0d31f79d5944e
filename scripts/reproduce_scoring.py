"""Softmax against SSA and its rivals on functions learned in context (arXiv 2508.14685).

Command: ``python scripts/reproduce_scoring.py --out runs/scoring`` (some 20 minutes of one CPU
core), or with ``--full`` on an accelerator: the paper's 12 layers, 500,000 steps and every
normalizer.

Models that differ in nothing but the normalizer, at equal seeds and data, are trained on ``every``,
``some``, a mix of both (``mix``) and linear functions of inputs from N(0, 1).  They are tested on
prompts of 10 to 200 points, on wider inputs (σ 1 to 30), with late flips and with one deviant among
the inputs.  The script writes ``results.json`` (every number, seed by seed), ``table.md`` and
``collapse.png``.  After Ctrl-C the same command goes on.

The table has the balanced accuracy beside the plain one, because labels hardly vary in these tasks
(a constant answer has 0.5).  For linear functions it has the mean squared error over that of
answering zero (which has 1).  The better constant answer always stands above.  Means and
differences to softmax, paired by seed, have 95 % intervals of Student's t.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from attention import files
from attention.command_line import Commas, command, run_script
from attention.normalizers import NORMALIZERS
from attention.options import Count
from icl.analysis import collapse_of_model, collapse_of_scores, draw
from icl.papers import POINTS, Plan, check, comparison_table, headline, run_tests
from icl.training import Experiment, Params, Updates, train

TASKS = ("every", "some", "mix", "linear")
REDUCED = ("softmax", "ssa", "ssa:learn=n+b,per=head", "temperature", "ssmax", "sparsemax")
STEPS = {"linear": 2000}  # reduced; linear functions take longer than the 400 of others
FULL = (*NORMALIZERS, "ssa:learn=n+b,per=head", "ssa:n=2,learn=none")


def experiment_of(task: str, normalizer: str, plan: Plan) -> Experiment:
    """The models of all seeds, which one run trains."""
    return Experiment(
        f"{task}-{plan.choose('12l8ah', '2l2ah')}",
        points=plan.choose(POINTS, 21),
        point_curriculum="11:41:2:2000" if plan.full and task == "linear" else None,
        normalizer=normalizer,
        hidden_size=plan.choose(None, 32),
        batch=plan.choose(64, 32),
        learning_rate=plan.choose(1e-4, 2e-3),
        seed=plan.seed,
        seeds=plan.seeds,
    )


def trained_params(experiment: Experiment, directory: Path, steps: int) -> Params:
    """Parameters of all seeds, stacked; an interrupted run goes on."""
    every = min(steps, 10_000 if steps > 10_000 else 200)
    dispatch = min(100, every) if every % 100 == 0 else 1
    updates = Updates(steps, dispatch, save_every=every, log_every=every)
    return train(experiment, directory, updates, quiet=True).params


def examine(
    task: str, experiment: Experiment, directory: Path, steps: int, prompts: int
) -> dict[str, Any]:
    """Results of models, and their collapse if they learned ``every``; read if already written."""
    file = directory.with_name(f"{directory.name}-{steps}-{prompts}-{experiment.seeds}.json")
    if file.exists():
        return files.read_json(file)
    params = trained_params(experiment, directory, steps)
    config, normalizer = experiment.config(), experiment.normalizer
    found: dict[str, Any] = {"results": run_tests(task, normalizer, config, params, prompts)}
    if task == "every":
        found["collapse"] = collapse_of_model(config, params).tolist()
    files.write_json(file, found)
    return files.read_json(file)


def curves_of_scores(names: Sequence[str]) -> dict[str, np.ndarray]:
    """The collapse of each normalizer of scores: those of the table, and all others.

    A normalizer by head has no curve of its own.
    """
    single = [name for name in names if not re.search("[/*]", name)]
    every = {**dict.fromkeys(single), **NORMALIZERS}
    of_scores = [name for name in every if NORMALIZERS[name.partition(":")[0]].form == "scores"]
    return {name: collapse_of_scores(name) for name in of_scores}


@command
def main(
    out: Path,
    *,
    tasks: Annotated[tuple[str, ...], Commas(metavar="NAME,NAME")] = TASKS,
    normalizers: str = "",
    prompts: Count | None = None,
    plan: Plan = Plan(seeds=3),
) -> None:
    """Train, test and write.

    The reduced setting has 400 steps, or 2,000 on linear functions.

    Args:
        out: directory of the results
        tasks: names of tasks
        normalizers: between spaces; by default those of the setting
        prompts: prompts of a test; by default 128, or 1,024 in full
        plan: how much is trained
    """
    names = normalizers.split() or list(plan.choose(FULL, REDUCED))
    count: int = plan.choose(1024, 128) if prompts is None else prompts
    steps = {task: plan.updates(STEPS.get(task, 400)) for task in tasks}
    plans = {(name, task): experiment_of(task, name, plan) for name in names for task in tasks}
    check(out, plans.values())
    settings = {"seeds": plan.seeds, "steps": steps, "prompts": count, "full": plan.full}
    results: list[dict[str, Any]] = []
    of_models: dict[str, np.ndarray] = {}
    for (name, task), experiment in plans.items():
        directory = out / "runs" / f"{task}-{files.file_name(name)}"
        found = examine(task, experiment, directory, steps[task], count)
        results += found["results"]
        files.write_json(out / "results.json", settings | {"results": results})
        mean = np.mean([headline(row) for row in found["results"] if row["test"] == "sigma"])
        print(f"{task:8}{name:28}{mean:.3f} over all σ", flush=True)
        if "collapse" in found:
            of_models[name] = np.array(found["collapse"])
    text = comparison_table(results, names)
    files.write_text(out / "table.md", text)
    of_scores = curves_of_scores(names)
    panels = {"one of 32 scores": of_scores}
    if of_models:
        panels["one of 21 inputs of `every`, trained models"] = of_models
    files.save_figure(lambda: draw(panels), out / "collapse.png")
    print(text)


if __name__ == "__main__":
    run_script(main)
