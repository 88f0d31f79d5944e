"""Models of one task with different normalizers, tested away from what they were trained on.

Longer prompts, wider inputs, designs whose labels flip late, and one deviant among the inputs; then
a table of means over seeds and of differences to softmax, paired by seed.  After arXiv 2508.14685.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats

from attention.transformer import TransformerConfig
from icl.tasks import Normal, Prompts, Quantifiers, measures, truth, with_deviant
from icl.training import Experiment
from icl.training import fitting as training

POINTS, LONGEST = 41, 200
LENGTHS = tuple(range(10, LONGEST + 1, 10))
SIGMAS = (1, 2, 5, 10, 20, 30)
DEVIANTS = (3.0, 10.0, 100.0, 1000.0)
SKIP = 3  # first positions that do not count, as in the paper

Result = dict[str, Any]  # task, normalizer, test, at, seed, and measures


@functools.partial(jax.jit, static_argnums=0)
def predictions(config: TransformerConfig, params: Any, x_BTD: Any, y_BT: Any) -> jax.Array:
    """Of all seeds: ``[seed, B, T]``."""
    one = functools.partial(training.predict, config)
    return jax.vmap(one, (0, None, None))(params, x_BTD, y_BT)


def prompts_of(task: str, key: jax.Array, sigma: float, points: int, prompts: int) -> Prompts:
    """Test prompts, drawn with keys that training never uses."""
    if task == "linear":
        drawn = Experiment("linear-1l1ah", points=points, inputs=f"normal:0,{sigma}").task()
    else:
        drawn = Quantifiers(task, Normal(0.0, sigma), points)  # type: ignore[arg-type]
    return drawn.sample(key, 0, prompts)


def deviated(task: str, prompts: Prompts, value: float) -> Prompts:
    """With one input of this size in the middle, and the values that follow from it."""
    place = prompts.x_BTD.shape[1] // 2
    x_BTD = with_deviant(prompts.x_BTD, place, value)
    if task == "linear":
        x_BT, y_BT = prompts.x_BTD[:, :, 0], prompts.y_BT
        x_mean, y_mean = (z.mean(axis=1, keepdims=True) for z in (x_BT, y_BT))
        slope = jnp.sum((x_BT - x_mean) * (y_BT - y_mean), axis=1, keepdims=True)
        slope /= jnp.sum(jnp.square(x_BT - x_mean), axis=1, keepdims=True)  # f is a line
        return Prompts(x_BTD, slope * (x_BTD[:, :, 0] - x_mean) + y_mean, prompts.where_BT)
    every_B1 = jnp.full((len(x_BTD), 1), task == "every")
    return Prompts(x_BTD, truth(x_BTD[:, :, 0], every_B1), prompts.where_BT)


def scores(task: str, predicted_BT: np.ndarray, y_BT: np.ndarray) -> dict[str, float]:
    """Of one model; after a deviant, only positions after it are given."""
    if task != "linear":
        return dict(measures(jnp.asarray(predicted_BT), jnp.asarray(y_BT), SKIP))
    squares, zero = np.square(predicted_BT - y_BT)[:, SKIP:], np.square(y_BT)[:, SKIP:]
    return {"error": float(squares.mean()), "error_of_zero": float(zero.mean())}


def test(
    task: str, normalizer: str, config: TransformerConfig, params: Any, prompts: int
) -> list[Result]:
    """Lengths, widths, designs and deviants."""
    key = functools.partial(jax.random.fold_in, jax.random.key(2**31 - 1))
    results: list[Result] = []

    def note(kind: str, at: float | str, found: np.ndarray, y_BT: np.ndarray) -> None:
        for seed, predicted_BT in enumerate(found):
            row = {"task": task, "normalizer": normalizer, "test": kind, "at": at, "seed": seed}
            results.append(row | scores(task, predicted_BT, y_BT))

    def run(given: Prompts) -> tuple[np.ndarray, np.ndarray]:
        found = predictions(config, params, given.x_BTD, given.y_BT)
        return np.asarray(found), np.asarray(given.y_BT)

    # Models are causal and points independent: a shorter prompt is the start of a longer one.
    found, y_BT = run(prompts_of(task, key(0), 1, LONGEST, prompts))
    for length in LENGTHS:
        note("length", length, found[:, :, :length], y_BT[:, :length])
    for i, sigma in enumerate(SIGMAS):
        note("sigma", sigma, *run(prompts_of(task, key(1 + i), sigma, POINTS, prompts)))
    if task != "linear":
        for i, design in enumerate(("balanced", "late")):
            drawn = Quantifiers(task, Normal(0.0, 1.0), POINTS, design)  # type: ignore[arg-type]
            note("design", design, *run(drawn.sample(key(50 + i), 0, prompts)))
    for i, value in enumerate(DEVIANTS):
        if task == "linear":
            given = prompts_of(task, key(70 + i), 1, POINTS, prompts)
        else:  # a late flip, so that something is left to answer after the deviant
            drawn = Quantifiers(task, Normal(0.0, 1.0), POINTS, "late")  # type: ignore[arg-type]
            given = drawn.sample(key(70 + i), 0, prompts)
        # A number of the common sign decides nothing, and must not distract either.
        signed = -value if task == "some" else value
        found, y_BT = run(deviated(task, given, signed))
        after = POINTS // 2 + 1 - SKIP
        note("deviant", value, found[:, :, after:], y_BT[:, after:])
    return results


def value_of(row: Result, measure: str = "balanced_accuracy") -> float:
    """What the table shows of a result: of linear functions, the error over that of zero."""
    if row["task"] == "linear":
        return row["error"] / row["error_of_zero"]
    return row[measure]


@dataclasses.dataclass(frozen=True)
class Column:
    """Mean of a measure over some settings of a test."""

    test: str
    where: Sequence[Any]
    measure: str = "balanced_accuracy"
    of_linear: bool = True  # whether linear functions have it

    def by_seed(self, rows: Sequence[Result], seeds: int, measure: str = "") -> np.ndarray:
        """The mean, seed by seed."""
        mine = [row for row in rows if row["test"] == self.test and row["at"] in self.where]
        values = [
            [value_of(row, measure or self.measure) for row in mine if row["seed"] == seed]
            for seed in range(seeds)
        ]
        return np.mean(values, axis=1)

    def floor(self, rows: Sequence[Result]) -> float:
        """What the better constant answer gets; of linear functions, 1."""
        if rows[0]["task"] == "linear":
            return 1.0
        return float(self.by_seed(rows, 1, f"constant_{self.measure}")[0])


COLUMNS = {
    "plain accuracy": Column("length", LENGTHS, "accuracy", of_linear=False),
    "10-40": Column("length", LENGTHS[:4]),
    "50-200": Column("length", LENGTHS[4:]),
    "σ 2-30": Column("sigma", SIGMAS[1:]),
    "late flip": Column("design", ("late",), "late_flip_balanced_accuracy", of_linear=False),
    "deviant 3, 10": Column("deviant", DEVIANTS[:2]),
    "deviant ≥ 100": Column("deviant", DEVIANTS[2:]),
}


def interval(values: np.ndarray) -> float:
    """Half of the 95 % interval of a mean, by Student's t; infinite for one value."""
    if len(values) < 2:
        return float("inf")
    spread = values.std(ddof=1) / len(values) ** 0.5
    return float(scipy.stats.t.ppf(0.975, len(values) - 1) * spread)


def table(results: Sequence[Result], seeds: int, normalizers: Sequence[str]) -> str:
    """Means over seeds, and differences to softmax that are beyond noise.

    ``0.9 ± 0.1`` is a mean with its interval; after it stand the difference to softmax, paired by
    seed, its interval, and "better" or "worse" where that does not cover 0.
    """
    lines = []
    for task in dict.fromkeys(row["task"] for row in results):
        linear = task == "linear"
        names = [name for name, each in COLUMNS.items() if each.of_linear or not linear]
        rows = {n: [r for r in results if (r["task"], r["normalizer"]) == (task, n)]
                for n in normalizers}  # fmt: skip
        rows = {name: found for name, found in rows.items() if found}
        what = "error over that of answering zero" if linear else "balanced accuracy"
        lines += [f"## {task}: {what}", ""]
        lines += ["| normalizer | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
        floors = [COLUMNS[name].floor(next(iter(rows.values()))) for name in names]
        lines += ["| a constant | " + " | ".join(f"{floor:.4g}" for floor in floors) + " |"]
        for name, mine in rows.items():
            cells = [
                _cell(
                    COLUMNS[each].by_seed(mine, seeds),
                    COLUMNS[each].by_seed(rows["softmax"], seeds)
                    if name != "softmax" and "softmax" in rows
                    else None,
                    less_is_better=linear,
                )
                for each in names
            ]
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join(lines)


def _cell(found: np.ndarray, softmax: np.ndarray | None, less_is_better: bool) -> str:
    if len(found) < 2:
        return f"{found.mean():.3f}"
    cell = f"{found.mean():.3f} ± {interval(found):.3f}"
    if softmax is None:
        return cell
    gap = found - softmax
    cell += f" ({gap.mean():+.3f} ± {interval(gap):.3f})"
    if abs(gap.mean()) <= interval(gap):
        return cell
    return f"{cell} **{'better' if (gap.mean() < 0) == less_is_better else 'worse'}**"
