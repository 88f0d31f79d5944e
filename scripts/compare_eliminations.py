"""Do two searches drop the same layers, and come as deep?  Softmax against another normalizer.

    python scripts/compare_eliminations.py --runs runs/softmax,runs/ssa        # seconds

The runs are finished searches for one task, of models of one depth: a checkpoint and its copy with
another scoring function, or a pair that was pretrained alike.  TEXT is a file that the model reads:

    tale search --model MODEL --task TASK --out runs/softmax
    attn convert --model MODEL --text TEXT --normalizer ssa --out runs/converted
    tale finetune --model runs/converted --task TASK --full --out runs/tuned
    tale search --model runs/tuned/model --task TASK --out runs/ssa

A search ranks layers: by the step that drops them; those that stay come last, all alike.  For each
pair of runs the table has the layers that both BSBAs drop, how many chance would give and the
probability of as many (hypergeometric); the rank correlation of the two orders with its 95 %
bootstrap interval over layers; and for each run the layers that it drops at the baseline's accuracy
and within 1 and 3 points of it.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import scipy.stats

from attention.command_line import Commas, Result, command, run_script
from attention.errors import InputError
from attention.files import Record
from attention.statistics import rank_correlation
from attention.terminal import plain_table
from tale_jax.runs import FinishedRun, load_run
from tale_jax.units import Unit

LOSSES = (0.0, 0.01, 0.03)  # of accuracy
DRAWS = 2000


def depth_of(run: FinishedRun) -> int:
    """The layers of the model: all have been tried in the first round."""
    layers = [row["layer"] for row in run.candidates if row["iteration"] == 1]
    if not all(isinstance(layer, int) for layer in layers):
        raise InputError(f"{run.directory} dropped half-layers: give searches of whole layers")
    return len(layers)


def ranks(run: FinishedRun) -> np.ndarray:
    """The step at which each layer goes; one more than the last for those that stay."""
    steps = np.full(depth_of(run), len(run.trajectory) + 1)
    for row in run.trajectory:
        steps[row["layer"]] = row["iteration"]
    return steps


def deepest(run: FinishedRun, loss: float) -> int:
    """The most layers dropped without losing more than so much accuracy."""
    whole = run.summary["baseline"]["correct"]
    met = [row for row in run.trajectory if row["correct"] >= whole - loss * row["total"]]
    return max((len(row["dropped"]) for row in met), default=0)


def likeness(pairs_L2: np.ndarray) -> tuple[float, float, float]:
    """The rank correlation of two orders, and its bootstrap interval over layers."""
    rng, count = np.random.default_rng(0), len(pairs_L2)
    drawn = [pairs_L2[rng.integers(count, size=count)] for _ in range(DRAWS)]
    low, high = np.nanquantile([rank_correlation(each) for each in drawn], (0.025, 0.975))
    return rank_correlation(pairs_L2), float(low), float(high)


def compared(first: FinishedRun, second: FinishedRun) -> Record:
    """What two searches share.

    Raises:
        InputError: they are not of one task, or not of one depth.
    """
    depth = depth_of(first)
    if depth != depth_of(second) or first.tasks != second.tasks:
        raise InputError(
            f"{first.directory} and {second.directory} have other tasks or numbers of layers"
        )
    one, other = set(first.dropped("bsba")), set(second.dropped("bsba"))
    both = scipy.stats.hypergeom(depth, len(one), len(other))
    order = likeness(np.stack([ranks(first), ranks(second)], axis=1))
    return {
        "runs": [first.directory.name, second.directory.name],
        "both": sorted(one & other),
        "by_chance": float(both.mean()),
        "p_value": float(both.sf(len(one & other) - 1)),
        "order": order,
    }


def listed(layers: Sequence[Unit]) -> str:
    """Layers in a cell."""
    return " ".join(map(str, layers)) or "none"


@command
def main(runs: Annotated[tuple[Path, ...], Commas(Path, "RUN,RUN")]) -> Result:
    """Compare the layers that searches drop.

    Args:
        runs: directories of finished searches, for one task
    """
    searches: Sequence[FinishedRun] = [load_run(path) for path in runs]
    if len(searches) < 2:
        raise InputError("give two runs or more")
    pairs = [compared(*pair) for pair in itertools.combinations(searches, 2)]
    depths = {run.directory.name: [deepest(run, loss) for loss in LOSSES] for run in searches}
    shared = []
    for row in pairs:
        chance = [f"{row['by_chance']:.1f}", f"{row['p_value']:.2g}"]
        order = "{:.2f} [{:.2f}, {:.2f}]".format(*row["order"])
        shared.append([" ".join(row["runs"]), listed(row["both"]), *chance, order])
    deep = []
    for run in searches:
        reached = [f"{n} of {depth_of(run)}" for n in depths[run.directory.name]]
        deep.append([run.directory.name, listed(run.dropped("bsba")), *reached])
    return Result(
        {"pairs": pairs, "depths": depths},
        plain_table(["runs", "both drop", "by chance", "p", "order"], shared, words=2),
        plain_table(["run", "BSBA drops", *(f"at −{x:.0%}" for x in LOSSES)], deep, words=2),
    )


if __name__ == "__main__":
    run_script(main)
