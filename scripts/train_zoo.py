"""Train the models that come along with the package as ``zoo:NAME``.

    python scripts/train_zoo.py --plan       # what is trained, what it costs, how far it is
    python scripts/train_zoo.py              # all: an hour of 2 cores for the quick ones, then 37
    python scripts/train_zoo.py --models linear-3l4ah-seed1 --steps 500000

A model is trained in units of under an hour.  After each one its folder in ``icl/assets/zoo`` is
written anew: parameters, settings, and a card that says the steps done, the recipe, the loss, and
the error on the published test beside the paper's.  The same line goes on where it stopped, and
more ``--steps`` go on from the last checkpoint.

The recipe is the published one, Adam at 1e-4 and 64 prompts of 41 points a step; the steps are
fewer than the published 500,000 where the hours do not suffice.  Models with ``quick`` in their
names are trained for minutes, 10,000 steps at 1e-3 and 32 prompts.  On an accelerator ``--steps
500000`` is the recipe in full; ``--models linear-12l8ah-seed0``, half an hour of an H200, is not in
the plan, because its 19 MB do not travel with the package.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from attention import files
from attention.command_line import Commas, Result, command, run_script
from attention.errors import InputError
from attention.options import Count
from attention.terminal import plain_table
from icl.papers import LAWS, PUBLISHED_STEPS, card_of
from icl.training import Experiment, Updates, save_model, train

ZOO = Path(__file__).parents[1] / "icl" / "assets" / "zoo"
UNIT = 50 * 60  # seconds
POLYNOMIALS = {"inputs": "uniform:-2,2", "functions": "polynomial:degrees=1+3+5@normal:0,1"}


class Planned(NamedTuple):
    """A model of the plan.

    Attributes:
        steps: of training by the published recipe.
        speed: such steps a second on 2 quiet cores without AVX-512: measured, but for 1L1AH, 6L4AH,
            SSA, every and some, which are estimated from the others by the products of a step.
        sweep: of the test, if it is not the published one.
    """

    steps: int
    speed: float
    sweep: str = ""


THREE = {  # of three seeds
    "linear-3l4ah": Planned(250_000, 21),
    "linear-2l2ah": Planned(250_000, 36),
    "linear-1l1ah": Planned(500_000, 72),
}
ONE = {
    "linear-2al8ah-S": Planned(200_000, 39),
    "linear-3al4ah-S": Planned(200_000, 36),
    "polynomial-3l4ah": Planned(150_000, 18, "degree=1:6"),
    "polynomial-3l4ah-ssa": Planned(150_000, 15, "degree=1:6"),
    "polynomial-3al4ah": Planned(150_000, 38, "degree=1:6"),
    "polynomial-3l4ah-inverse": Planned(150_000, 18, "degree=1:6"),
    **{
        f"{word}-2l2ah{end}": Planned(30_000, 36, "design=plain,balanced,late")
        for end in ("", "-ssa")
        for word in ("every", "some")
    },
    "linear-6l4ah": Planned(100_000, 10),
}
QUICK = {"learning_rate": 1e-3, "batch": 32}  # of names with the word quick
PUBLISHED = {
    **{f"{name}-seed0": row for name, row in (THREE | ONE).items()},
    **{f"{name}-seed{seed}": row for seed in (1, 2) for name, row in THREE.items()},
}
PLAN = {
    **{
        name.replace("-seed", "-quick-seed"): Planned(10_000, 2 * row.speed, row.sweep)
        for name, row in PUBLISHED.items()
    },
    **PUBLISHED,
}
BESIDES = {"linear-12l8ah-seed0": Planned(PUBLISHED_STEPS, 0.4)}


def experiment_of(name: str) -> Experiment:
    """What a model of the plan is trained on: ``TASK-ARCHITECTURE[-WORD…]-seedN``."""
    task, architecture, *rest, seed = name.split("-")
    fields: dict[str, Any] = POLYNOMIALS if task == "polynomial" else {}
    words: dict[str, dict[str, Any]] = {"quick": QUICK, "inverse": {"inverse": True}}
    words |= {word: {"inputs": law, "functions": law} for word, law in LAWS.items()}
    for word in rest:
        fields = fields | words.get(word, {"normalizer": word})
    return Experiment(f"{task}-{architecture}", seed=int(seed.removeprefix("seed")), **fields)


def listing(plan: Mapping[str, Planned], done: Mapping[str, int]) -> Result:
    """The plan as a table: steps, units, hours, and the hours so far."""
    rows, hours = [], 0.0
    for name, row in plan.items():
        left = row.steps / row.speed / 3600
        hours += left
        units = -(-row.steps // unit_of(row))
        cells = [
            f"{done.get(name, 0):,}",
            f"{row.steps:,}",
            str(units),
            f"{left:.1f}",
            f"{hours:.1f}",
        ]
        rows.append([name, *cells])
    heads = ["model", "done", "steps", "units", "hours", "so far"]
    return Result({"hours": hours, "models": list(plan)}, plain_table(heads, rows, words=1))


def unit_of(row: Planned) -> int:
    """Steps of a unit, in thousands."""
    return max(1000, int(UNIT * row.speed) // 1000 * 1000)


@command
def main(
    *,
    models: Annotated[tuple[str, ...], Commas(metavar="NAME,NAME")] = tuple(PLAN),
    out: Path = Path("runs/zoo"),
    zoo: Path = ZOO,
    steps: Count | None = None,
    unit: Count | None = None,
    plan: bool = False,
) -> Result:
    """Train models of the zoo, unit by unit.

    Args:
        models: names of models; by default all of the plan, in its order
        out: directory of the runs, with their checkpoints
        zoo: folder that gets the models
        steps: of each model; by default those of the plan
        unit: steps of a unit, a multiple of 1000; by default what 50 minutes of 2 quiet cores do
        plan: train nothing, and print the plan
    """
    rows = PLAN | BESIDES
    if unknown := [name for name in models if name not in rows]:
        raise InputError(f"no model {unknown[0]!r}; there are {', '.join(rows)}")
    chosen = {name: rows[name]._replace(steps=steps or rows[name].steps) for name in models}
    cards = map(files.read_json, zoo.glob("*/card.json"))
    done = {card["name"]: card["steps"] for card in cards}
    if plan:
        return listing(chosen, done)
    files.use_compilation_cache()
    for name, row in chosen.items():
        size, end = unit or unit_of(row), 0
        while end < row.steps:
            end = min(end + size, row.steps)
            if done.get(name, 0) >= end:
                continue
            train(experiment_of(name), out / name, Updates(end))
            save_model(zoo / name, *card_of(name, out / name, end, row.sweep))
            print(f"{name}: {end:,} steps", flush=True)
    return listing(chosen, {name: row.steps for name, row in chosen.items()})


if __name__ == "__main__":
    run_script(main)
