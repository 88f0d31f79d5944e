"""Softmax against SSA and its rivals on functions learnt in context (arXiv 2508.14685).

Command: ``python scripts/reproduce_scoring.py --out runs/scoring`` (some 20 minutes of one CPU
core), or with ``--full`` on an accelerator: the paper's 12 layers, 500,000 steps and every
normalizer.

Models that differ in nothing but the normalizer, at equal seeds and data, are trained on ``every``,
``some`` and linear functions of inputs from N(0, 1), and tested on prompts of 10 to 200 points, on
wider inputs (σ 1 to 30), with late flips and with one deviant among the inputs.  Written:
``results.json`` (every number, seed by seed), ``table.md`` and ``collapse.png``.  Ctrl-C and the
same command again go on.

The table counts balanced accuracy (labels hardly vary in these tasks: a constant answer has 0.5)
beside the plain one, or, of linear functions, the mean squared error over that of answering zero
(which has 1), always with the better constant answer.  Means and differences to softmax, paired by
seed, have 95 % intervals of Student's t.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from attention.command_line import run_script
from attention.files import read_json, write_json, write_text
from attention.normalizers import NORMALIZERS
from icl.analysis import collapse_of_model, collapse_of_scores, draw
from icl.papers import POINTS, table, test, value_of
from icl.training import Experiment
from icl.training import fitting as training

TASKS = ("every", "some", "linear")
REDUCED = ("softmax", "ssa", "ssa:learn=n+b,per=head", "temperature", "ssmax", "sparsemax")
STEPS = {"every": 400, "some": 400, "linear": 2000}  # reduced; linear functions take longer
FULL = (*NORMALIZERS, "ssa:learn=n+b,per=head", "ssa:n=2,learn=none")


def experiment_of(task: str, normalizer: str, seeds: int, full: bool) -> Experiment:
    """Models of all seeds that one run trains."""
    return Experiment(
        f"{task}-{'12l8ah' if full else '2l2ah'}",
        points=POINTS if full else 21,
        point_curriculum="11:41:2:2000" if full and task == "linear" else None,
        normalizer=normalizer,
        hidden_size=None if full else 32,
        batch=64 if full else 32,
        learning_rate=1e-4 if full else 2e-3,
        seeds=seeds,
    )


def train(experiment: Experiment, directory: Path, steps: int, every: int) -> Any:
    """Parameters of all seeds, stacked; resumes, with a checkpoint ``every`` so many steps."""
    every = min(steps, every)
    return training.train(
        experiment,
        directory,
        steps=steps,
        dispatch=min(100, every) if every % 100 == 0 else 1,
        save_every=every,
        log_every=every,
        quiet=True,
    ).params


def examine(experiment: Experiment, directory: Path, steps: int, prompts: int) -> dict[str, Any]:
    """Results of a model, and its collapse if it answers ``every``; read, if already written."""
    file = directory.with_name(f"{directory.name}-{steps}-{prompts}-{experiment.seeds}.json")
    if file.exists():
        return read_json(file)
    params = train(experiment, directory, steps, 10_000 if steps > 10_000 else 200)
    config, task = experiment.config(), experiment.kind
    found: dict[str, Any] = {"results": test(task, experiment.normalizer, config, params, prompts)}
    if task == "every":
        found["collapse"] = collapse_of_model(config, params).tolist()
    write_json(file, found)
    return found


def main(
    out: Path,
    full: bool = False,
    tasks: str = ",".join(TASKS),
    normalizers: str = "",
    seeds: int = 3,
    steps: int | None = None,
    prompts: int | None = None,
) -> None:
    """Train, test and write.

    Args:
        out: directory of the results.
        full: the paper's size; for accelerators.
        tasks: between commas.
        normalizers: between spaces; "" for the usual ones.
        seeds: models of each kind.
        steps: of training; None for 400 (2,000 on linear functions), or 500,000 if full.
        prompts: in a test; None for 128, or 1,024 if full.
    """
    names = normalizers.split() or list(FULL if full else REDUCED)
    prompts = prompts or (1024 if full else 128)
    lasting = {task: steps or (500_000 if full else STEPS[task]) for task in tasks.split(",")}
    settings = {"seeds": seeds, "steps": lasting, "prompts": prompts, "full": full}
    results: list[dict[str, Any]] = []
    of_models: dict[str, np.ndarray] = {}
    for name in names:
        for task, count in lasting.items():
            directory = out / "runs" / f"{task}-{name.replace(':', '-').replace(',', '-')}"
            found = examine(experiment_of(task, name, seeds, full), directory, count, prompts)
            results += found["results"]
            write_json(out / "results.json", settings | {"results": results})
            mean = np.mean([value_of(row) for row in found["results"] if row["test"] == "sigma"])
            print(f"{task:8}{name:28}{mean:.3f} over all σ", flush=True)
            if "collapse" in found:
                of_models[name] = np.array(found["collapse"])
    text = table(results, seeds, names)
    write_text(out / "table.md", text)
    of_scores = {n: collapse_of_scores(n) for n in {**dict.fromkeys(names), **NORMALIZERS}
                 if NORMALIZERS[n.partition(":")[0]].form == "scores"}  # fmt: skip
    panels = {"one of 32 scores": of_scores}
    if of_models:
        panels["one of 21 inputs of `every`, trained models"] = of_models
    draw(panels, out / "collapse.png")
    print(text)


if __name__ == "__main__":
    run_script(main)
