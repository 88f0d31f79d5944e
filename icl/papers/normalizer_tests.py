"""Tests of models that differ in the normalizer, on prompts unlike those of training.

The tests have longer prompts, wider inputs, designs whose labels flip late, and one deviant among
the inputs.  The table has means over seeds, and differences to softmax paired by seed.

Source: arXiv 2508.14685.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, Key

from attention.statistics import mean_with_margin, student_margin
from attention.transformer import TransformerConfig
from icl.tasks import TASKS, Case, Prompts, Task, counted, with_deviant
from icl.training import Params, predict

POINTS, LONGEST = 41, 200
LENGTHS = tuple(range(10, LONGEST + 1, 10))
SIGMAS = (1, 2, 5, 10, 20, 30)
DEVIANTS = (3.0, 10.0, 100.0, 1000.0)
SKIP = 3  # first positions that do not count, as in the paper

Result = dict[str, Any]
"""A row of scores: task, normalizer, test, at, seed, and the scores."""


@functools.partial(jax.jit, static_argnums=0)
def predictions(
    config: TransformerConfig,
    params: Params,
    x_BTD: Float[Array, "B T d"],
    y_BT: Float[Array, "B T"],
) -> Float[Array, "K B T"]:
    """The predictions of models of K seeds, whose parameters are stacked."""
    one = functools.partial(predict, config)
    return jax.vmap(one, (0, None, None))(params, x_BTD, y_BT)


def prompts_of(
    name: str,
    key: Key[Array, ""],
    prompts: int,
    *,
    deviant: float | None = None,
    **options: Any,
) -> Prompts:
    """Test prompts of a task.

    Args:
        name: of the task.
        key: one that training never uses.
        prompts: how many.
        deviant: size of an input in the middle; None: there is no deviant.
        options: of the task.
    """
    task = TASKS.pick(name).make(**{"points": POINTS, **options})
    if deviant is None:
        return task.sample(key, 0, prompts)
    change = functools.partial(
        with_deviant, position=task.points // 2, value=task.neutral * deviant
    )
    return task.sample(key, 0, prompts, change)


def run_tests(
    name: str, normalizer: str, config: TransformerConfig, params: Params, prompts: int
) -> list[Result]:
    """Test models of one normalizer on long prompts, wide inputs, designs and deviants.

    Args:
        name: of the task.
        normalizer: of the models.
        config: of the models.
        params: their parameters, stacked ``[seed, …]``.
        prompts: number of prompts of a test.

    Returns:
        A row of scores for each test, setting and seed.
    """
    key = functools.partial(jax.random.fold_in, jax.random.key(2**31 - 1))
    task = TASKS.pick(name).make()
    results: list[Result] = []

    def note(test: str, at: float | str, given: Prompts, part: slice, found_KBT: Any) -> None:
        x_BTD, y_BT = np.asarray(given.x_BTD)[:, part], np.asarray(given.y_BT)[:, part]
        case = Case({}, x_BTD, y_BT[None], counted(y_BT.shape[1], SKIP))
        for seed, predicted_BT in enumerate(found_KBT[:, :, part]):
            row = {"task": name, "normalizer": normalizer, "test": test, "at": at, "seed": seed}
            results.append(row | task.score(case, predicted_BT[None]))

    def run(given: Prompts) -> Float[np.ndarray, "K B T"]:
        return np.asarray(predictions(config, params, given.x_BTD, given.y_BT))

    # Models are causal and points independent: a shorter prompt is the start of a longer one.
    given = prompts_of(name, key(0), prompts, points=LONGEST, inputs="normal:0,1")
    found = run(given)
    for length in LENGTHS:
        note("length", length, given, slice(length), found)
    for i, sigma in enumerate(SIGMAS):
        given = prompts_of(name, key(1 + i), prompts, inputs=f"normal:0,{sigma}")
        note("sigma", sigma, given, slice(None), run(given))
    for i, design in enumerate(("balanced", "late") if "design" in task.readers else ()):
        given = prompts_of(name, key(50 + i), prompts, design=design)
        note("design", design, given, slice(None), run(given))
    # A late flip leaves something to answer after the deviant.
    late = {"design": "late"} if "design" in task.readers else {}
    for i, value in enumerate(DEVIANTS):
        given = prompts_of(name, key(70 + i), prompts, deviant=value, **late)
        note("deviant", value, given, slice(POINTS // 2 + 1 - SKIP, None), run(given))
    return results


def headline(row: Result) -> float:
    """The score of a row that the table shows."""
    return row[_task(row).measure.headline]


def _task(row: Result) -> Task:
    return TASKS.pick(row["task"]).make()


@dataclasses.dataclass(frozen=True)
class Column:
    """The mean of a measure over some settings of a test.

    Attributes:
        test: its name.
        where: its settings.
        measure: a column of the rows; empty for the headline of the task.
    """

    test: str
    where: Sequence[Any]
    measure: str = ""

    def in_rows(self, rows: Sequence[Result]) -> list[Result]:
        """The rows of which the mean is taken; none if the task has no such test or measure."""
        mine = [row for row in rows if row["test"] == self.test and row["at"] in self.where]
        return [row for row in mine if not self.measure or self.measure in row]

    def by_seed(self, rows: Sequence[Result], prefix: str = "") -> Float[np.ndarray, " K"]:
        """The mean for each seed."""
        mine = self.in_rows(rows)
        name = prefix + (self.measure or _task(mine[0]).measure.headline)
        seeds = sorted({row["seed"] for row in mine})
        return np.array([np.mean([r[name] for r in mine if r["seed"] == k]) for k in seeds])

    def floor(self, rows: Sequence[Result]) -> float:
        """The score of the best constant answer; an error relative to answering 0 has 1."""
        floor = _task(rows[0]).measure.floor
        return float(self.by_seed(rows, floor)[0]) if floor else 1.0


COLUMNS = {
    "plain accuracy": Column("length", LENGTHS, "accuracy"),
    "10-40": Column("length", LENGTHS[:4]),
    "50-200": Column("length", LENGTHS[4:]),
    "σ 2-30": Column("sigma", SIGMAS[1:]),
    "late flip": Column("design", ("late",), "late_flip_balanced_accuracy"),
    "deviant 3, 10": Column("deviant", DEVIANTS[:2]),
    "deviant ≥ 100": Column("deviant", DEVIANTS[2:]),
}


def comparison_table(results: Sequence[Result], normalizers: Sequence[str]) -> str:
    """A table of means over seeds and of differences to softmax, in Markdown.

    ``0.9 ± 0.1`` is a mean with its 95 % interval by Student's t.  After it comes the difference to
    softmax, paired by seed, with its interval, and "better" or "worse" if that does not cover 0.

    Args:
        results: of all tasks, normalizers and seeds.
        normalizers: in the order of the rows; those without results are left out.
    """
    lines = []
    for name in dict.fromkeys(row["task"] for row in results):
        own = [row for row in results if row["task"] == name]
        measure = _task(own[0]).measure
        columns = {head: column for head, column in COLUMNS.items() if column.in_rows(own)}
        rows = {n: [row for row in own if row["normalizer"] == n] for n in normalizers}
        rows = {n: found for n, found in rows.items() if found}
        lines += [f"## {name}: {measure.headline.replace('_', ' ')}", ""]
        lines += ["| normalizer | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
        floors = [column.floor(next(iter(rows.values()))) for column in columns.values()]
        lines += ["| a constant | " + " | ".join(f"{floor:.4g}" for floor in floors) + " |"]
        for n, mine in rows.items():
            other = rows["softmax"] if n != "softmax" and "softmax" in rows else None
            cells = [_cell(column, mine, other, measure.error) for column in columns.values()]
            lines.append(f"| {n} | " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join(lines)


def _cell(
    column: Column,
    mine: Sequence[Result],
    other: Sequence[Result] | None,
    less_is_better: bool,
) -> str:
    found = column.by_seed(mine)
    cell = mean_with_margin(found, ".3f")
    if other is None or len(found) < 2:
        return cell
    gap = found - column.by_seed(other)
    margin = student_margin(gap)
    cell += f" ({gap.mean():+.3f} ± {margin:.3f})"
    if abs(gap.mean()) <= margin:
        return cell
    return f"{cell} **{'better' if (gap.mean() < 0) == less_is_better else 'worse'}**"
