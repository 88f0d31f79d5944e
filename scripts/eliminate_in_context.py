"""Which layers does a model need that learns in context?  Greedy elimination of zoo models.

    python scripts/eliminate_in_context.py                  # all zoo models, a minute each
    python scripts/eliminate_in_context.py --models runs/mine,zoo:linear-3l4ah-seed0

TALE's elimination (``tale_jax.elimination``) of layers and of half-layers counts prompts.  For
functions a prompt counts whose squared error is at most 1.1 times the whole model's median error on
prompts as in training, the same at σ = 1, 3 and 10.  For quantifiers a prompt of the design
``balanced`` counts whose last answer is right.  Other prompts choose layers than test them.

The table has a line for each step of a search: the layers dropped (* the best, + BSBA); the prompts
that are right where they were chosen, and held out at each σ; B_eff (does a shallower model reach
further?); and the limit c+, at x = 1e6 and from the weights.  A unit is one model and granularity,
named by the folder of its run and its seed.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from rich.table import Table

from attention import files
from attention.command_line import Commas, Result, command, run_script
from attention.options import Count
from attention.terminal import plain_table
from attention.transformer import keep_halves
from icl.analysis import has_boundary, survey
from icl.evaluation import model_predictor
from icl.tasks import SQUARED, Case, Row, Sampling
from icl.training import Trained, load_all, zoo_names
from tale_jax.elimination import SearchOptions, eliminate
from tale_jax.units import Dropped, kept_halves, missing_halves

DATA = Path("docs/results/data/across")
SIGMAS = (1, 3, 10)
LIMITS = ("effective_bound", "observed_limits", "limits_from_weights")
COLUMNS = ["σ", "dropped", "right", *(f"σ={s}" for s in SIGMAS), "B_eff", "c+", "predicted"]


def pruned(model: Trained, dropped: Dropped) -> Trained:
    """The model without some layers or half-layers."""
    gone = (*dropped, *missing_halves(model.config.halves))
    kept = kept_halves(gone, model.config.num_hidden_layers)
    config, params = model.config.keep_halves(kept), keep_halves(model.params, kept)
    return dataclasses.replace(model, config=config, params=params)


def drawn(model: Trained, sigma: float, prompts: int, seed: int) -> Case:
    """Prompts of a spread, each of a function of its own; of quantifiers with one question each."""
    task, squared = model.task, model.task.loss is SQUARED
    (setting,) = task.settings([f"sigma={sigma}"] + ([] if squared else ["design=balanced"]))
    case = task.questions(setting, prompts, seed)
    counted_BT = task.draw(setting, Sampling(1, 1)).where_BT if squared else case.where_BT
    return dataclasses.replace(case, where_BT=counted_BT)


def errors(model: Trained, case: Case) -> np.ndarray:
    """The mean error of each prompt over the positions that count."""
    found_FBT = model.task.loss.error(model_predictor(model)(case.x_BTD, case.y_FBT), case.y_FBT)
    return found_FBT.mean(axis=2, where=np.broadcast_to(case.where_BT, found_FBT.shape)).ravel()


def threshold_of(model: Trained, prompts: int) -> float:
    """The error up to which a prompt counts as right."""
    if model.task.loss is not SQUARED:
        return 0.25  # a wrong sign has 1, an answer of exactly 0 has a half
    return 1.1 * float(np.median(errors(model, drawn(model, 1, prompts, seed=2))))


def examine(model: Trained, granularity: Any, prompts: int) -> list[Row]:
    """The steps of a search at each spread."""
    bound, missing = threshold_of(model, prompts), missing_halves(model.config.halves)
    cases = {(i, sigma): drawn(model, sigma, prompts, seed=i) for i in (0, 1) for sigma in SIGMAS}

    @functools.cache
    def right(dropped: Dropped, seed: int, sigma: int) -> int:
        return int(np.sum(errors(pruned(model, dropped), cases[seed, sigma]) <= bound))

    @functools.cache
    def limits(dropped: Dropped) -> Row:
        if not has_boundary(model.task):
            return {}
        found = survey(pruned(model, dropped), count=5).numbers
        return {name: list(found[name]) for name in LIMITS if name in found}

    rows = []
    for sigma in SIGMAS:

        def score(candidates: Sequence[Dropped], sigma: int = sigma) -> list[int]:
            return [right(dropped, 0, sigma) for dropped in candidates]

        options = SearchOptions(epsilon=1.0, granularity=granularity)  # all the way down
        found = eliminate(score, len(model.config.halves), prompts, options, missing=missing)
        for step in (found.baseline, *found.steps):
            held = {str(s): right(step.dropped, 1, s) for s in SIGMAS}
            picks = [name for name in ("best", "bsba") if getattr(found, name) == step]
            rows.append(
                {"sigma": sigma, "dropped": list(step.dropped), "right": step.correct}
                | {"held_out": held, "picks": picks, "threshold": bound, "prompts": prompts}
                | limits(step.dropped)
            )
    return rows


def listing(rows: Sequence[Row]) -> Table:
    """A line for each step; * marks the best model, + the shallowest as good as the whole."""
    lines = []
    for row in rows:
        marks = "*" * ("best" in row["picks"]) + "+" * ("bsba" in row["picks"])
        far = [f"{row[name][0]:.3g}" if name in row else "" for name in LIMITS]
        gone = " ".join(map(str, row["dropped"])) or "none"
        counts = (row["right"], *row["held_out"].values())
        lines.append([str(row["sigma"]), gone + marks, *map(str, counts), *far])
    return plain_table(COLUMNS, lines, words=2)


@command
def main(
    *,
    models: Annotated[tuple[str, ...], Commas(metavar="RUN,RUN")] = (),
    data: Path = DATA,
    prompts: Count = 200,
) -> Result:
    """Eliminate layers and half-layers of trained models, and write the steps.

    Args:
        models: directories of `icl train`, or zoo:NAME; by default all that come along
        data: folder of the finished units
        prompts: of each count
    """
    runs, shown, values = models or [f"zoo:{name}" for name in zoo_names()], [], {}
    named = [each for run in runs for each in load_all(Path(run)).items()]  # a model for each seed
    for (name, model), granularity in itertools.product(named, ("layer", "sublayer")):
        unit = f"{files.file_name(name)}-{granularity}-{prompts}"
        look = functools.partial(examine, model, granularity, prompts)
        values[unit] = files.finished(data / f"{unit}.json", look)
        shown += [f"{name}, by {granularity}; {prompts} prompts", listing(values[unit]), ""]
    return Result(values, *shown)


if __name__ == "__main__":
    run_script(main)
