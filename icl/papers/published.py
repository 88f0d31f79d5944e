"""Tables 1 to 3 of arXiv 2411.11465, their evaluation set, and our rows beside them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Literal

import jax.numpy as jnp
import numpy as np

from attention.errors import InputError
from attention.files import open_regular
from icl.evaluation import effective_bound
from icl.tasks import PROMPTINGS, Case, Row, counted
from icl.tasks.functions import SKIP

LAWS = {
    "N": "normal:0,1",
    "B": "mix:normal:-1,1|normal:1,1",
    "U": "uniform:-5,5",
    "S": "uniform:-1,1",
}
"""Distributions of the inputs and of the coefficients in training, by the letter of a row."""
_TABLE_1 = """
3l4ah-N   0.0  0.0  0.22 0.4  1.73 6.56  8.56 20.44 39.73 53.93
3l4ah-B   0.03 0.15 0.53 1.32 2.74 3.91  5.52 10.22 13.86 22.72
3l4ah-U   0.02 0.03 0.13 0.36 0.84 1.79  2.54  7.06 11.38 17.75
6l4ah-N   0.0  0.0  0.2  0.38 1.58 5.72  7.99 15.53 32.96 50.35
6l4ah-B   0.01 0.04 0.23 0.44 1.19 2.15  3.08  4.8   9.98 18.01
6l4ah-U   0.02 0.04 0.11 0.24 0.57 1.36  1.82  4.62 10.23 15.07
12l8ah-N  0.0  0.0  0.32 1.34 3.14 8.8  12.13 30.14 49.37 73.93
12l8ah-N-sorted 0.0  0.01 0.32 1.63 3.69 8.39 10.06 27.11 43.23 58.56
12l8ah-B  0.0  0.01 0.08 0.29 0.78 2.23  3.66  9.04 18.68 30.23
12l8ah-B-sorted 0.01 0.03 0.18 0.25 0.74 2.27  2.62  6.87 13.73 20.8
12l8ah-U  0.0  0.01 0.13 0.71 1.92 6.78 10.92 27.91 38.75 64.39
12l8ah-U-sorted 0.01 0.01 0.13 0.75 2.12 6.18 10.5  26.8  36.3  53.48
zero      1.52 4.43 13.55 19.94 30.81 44.75 52.71 76.11 105.43 128.52
"""
_TABLE_2 = """
1l1ah  0.1 0.8 5.1 13.1 26.9 39.7 53.0 84.8 120.0 153.2
1l2ah  0.1 0.8 5.3 14.4 29.8 41.1 55.0 93.8 120.4 159.2
1l4ah  0.0 0.2 2.7  8.7 19.9 32.0 42.8 64.5  92.3 131.2
2l1ah  0.0 0.1 2.0  4.9 13.7 27.0 36.1 64.9  99.0 134.0
2l2ah  0.0 0.0 1.6  3.2  9.3 25.5 32.0 61.1  92.9 127.8
2l4ah  0.0 0.0 0.9  2.6  7.5 19.3 27.3 51.8  90.2 119.4
3l1ah  0.0 0.0 0.9  3.0  8.2 16.8 24.4 48.4  76.7 113.2
3l2ah  0.0 0.0 0.7  2.3  6.5 15.9 22.5 43.1  74.0 102.5
3l4ah  0.0 0.0 0.6  1.9  5.5 13.8 20.4 42.2  70.3 100.4
6l4ah  0.0 0.0 0.5  1.6  4.6 11.6 16.8 33.7  58.3  87.9
12l8ah 0.0 0.0 0.3  1.1  2.9  7.9 11.9 28.3  46.9  73.5
zero   2.19 7.05 19.22 33.94 52.23 73.08 86.02 127.43 165.27 199.31
"""
_TABLE_3 = """
1al1ah-S  0.38 2.29 9.3  14.97 25.25 37.54 45.4  67.0  95.19 117.6
2al8ah-S  0.1  0.62 5.53 10.59 18.62 30.61 36.97 57.79 83.26 103.58
3al4ah-S  0.35 1.42 8.17 15.13 24.15 37.99 45.2  68.73 96.37 118.3
3al8ah-S  0.12 1.16 5.45  9.36 18.22 28.77 35.62 52.44 78.12 100.18
2al32ah-N 0.06 0.91 5.96 10.43 18.96 30.11 36.77 55.59 81.66 103.17
zero      1.52 4.43 13.55 19.94 30.81 44.75 52.71 76.11 105.43 128.52
"""


@dataclasses.dataclass(frozen=True)
class PublishedRow:
    """A row of a table of the paper.

    Attributes:
        errors: squared error for σ = 1 … 10.
        architecture: of the model; empty for a baseline.
        law: distribution of inputs and coefficients in training.
        prompt: the prompting strategy of the test.
    """

    errors: tuple[float, ...]
    architecture: str = ""
    law: str = LAWS["N"]
    prompt: str = "drawn"


@dataclasses.dataclass(frozen=True)
class PublishedTable:
    """A table of the paper.

    Attributes:
        about: what it compares.
        inputs: distribution of the inputs of the test.
        rows: by name: ``ARCHITECTURE``, ``ARCHITECTURE-LAW`` or ``ARCHITECTURE-LAW-PROMPT``.
    """

    about: str
    inputs: Literal["normal", "uniform"]
    rows: Mapping[str, PublishedRow]

    def cases(self, functions: int | None = None, prompt: str = "drawn") -> list[Case]:
        """The prompts of the test for σ = 1 … 10.

        Args:
            functions: how many of the 100 functions are taken; None: all.
            prompt: the prompting strategy.
        """
        found = [c for c in evaluation_set(None, functions) if c.setting["inputs"] == self.inputs]
        arranged = []
        for case in found:
            points = jnp.asarray(case.x_BTD), jnp.asarray(case.y_FBT)
            x_BTD, y_FBT = map(np.asarray, PROMPTINGS.pick(prompt).arrange(*points))
            arranged.append(dataclasses.replace(case, x_BTD=x_BTD, y_FBT=y_FBT))
        return arranged if prompt != "drawn" else found


def _rows(text: str) -> dict[str, PublishedRow]:
    found = {}
    for line in text.strip().splitlines():
        name, *errors = line.split()
        numbers = tuple(map(float, errors))
        if name == "zero":
            found[name] = PublishedRow(numbers)
            continue
        architecture, law, prompt = (*name.split("-"), "", "")[:3]
        found[name] = PublishedRow(numbers, architecture, LAWS[law or "N"], prompt or "drawn")
    return found


TABLES = {
    1: PublishedTable("distributions of training", "uniform", _rows(_TABLE_1)),
    2: PublishedTable("sizes of models", "normal", _rows(_TABLE_2)),
    3: PublishedTable("attention only", "uniform", _rows(_TABLE_3)),
}
"""The paper's tables by number.

Table 1 says that its inputs are U(−1, 1); another version of the text says N(0, 1), and the rows of
12L8AH look like the latter.  Table 3 labels 2AL32AH with N, among models of U(−1, 1)."""


def beside_published(
    rows: Sequence[Row], names: Mapping[str, str], table: PublishedTable = TABLES[2]
) -> tuple[list[Row], str]:
    """Compare our errors with the published ones.

    Args:
        rows: rows of ``errors.csv`` on the published evaluation set.  If they have a ``seed``, the
            text has mean and standard deviation over the models of one name.
        names: the row of the table for each predictor that has one.
        table: of the paper.

    Returns:
        Rows with our error, the published one, the difference and B_eff; and the same as text.
    """
    values = [case.y_FBT[:, :, SKIP:] for case in table.cases()]
    out, lines = [], [_line("", range(1, 11)) + f"{'B_eff':>6}"]
    tested = [row for row in rows if row["inputs"] == table.inputs]
    for name in dict.fromkeys(row["predictor"] for row in tested):
        mine = [row for row in tested if row["predictor"] == name]
        by_seed = {
            seed: [row["error"] for row in mine if row.get("seed", "") == seed]
            for seed in dict.fromkeys(row.get("seed", "") for row in mine)
        }
        bounds = {seed: effective_bound(values, errors) for seed, errors in by_seed.items()}
        published = table.rows.get(names.get(name, name))
        theirs = None if published is None else published.errors
        ours = np.array([[*errors, bounds[seed]] for seed, errors in by_seed.items()])
        lines.append(_line(name, ours.mean(axis=0)))
        if len(ours) > 1:
            lines.append(_line("  deviation", ours.std(axis=0, ddof=1)))
        if theirs is not None:
            lines.append(_line("  published", theirs))
            lines.append(_line("  difference", ours[:, :-1].mean(axis=0) - theirs))
        for seed, errors in by_seed.items():
            for sigma, error in enumerate(errors, 1):
                there = None if theirs is None else theirs[sigma - 1]
                row = {"predictor": name, "seed": seed, "sigma": sigma, "error": error}
                row |= {"published": there, "difference": None if there is None else error - there}
                out.append({**row, "b_eff": bounds[seed]})
    return out, "\n".join(lines)


def _line(label: str, numbers: Iterable[float]) -> str:
    """A line of 80 columns: 13 letters of the name, four digits of each number."""
    texts = [str(x) if isinstance(x, int) else f"{x:.2f}" for x in numbers]
    texts = [text if len(text) < 6 else f"{float(text):.1f}" for text in texts]
    return f"{label:13.13}" + "".join(f"{text:>6}" for text in texts)


def evaluation_set(path: Path | None = None, functions: int | None = None) -> Iterable[Case]:
    """The published evaluation set: σ = 1 … 10, inputs ``normal`` and ``uniform``.

    Args:
        path: an npz file with a, b ``[sigma, function]`` and xs_normal, xs_uniform
            ``[prompt, point]``; None: the bundled one.
        functions: how many functions are taken; None: all.

    Raises:
        InputError: there is no such file, or it lacks the arrays.
    """
    source = files("icl") / "assets" / "linear_functions.npz" if path is None else path
    if path is not None and not path.exists():
        raise InputError(f"there is no file {path}")
    try:
        with open_regular(str(source)) as file, np.load(file, allow_pickle=False) as arrays:
            data = {name: arrays[name].astype(np.float64) for name in arrays.files}
        a, b = data["a"][:, :functions], data["b"][:, :functions]
        grids = {name: data[f"xs_{name}"] for name in ("normal", "uniform")}
    except (KeyError, ValueError, OSError, EOFError):
        raise InputError(
            f"{path} is no evaluation set, an npz of a, b, xs_normal, xs_uniform"
        ) from None
    if a.shape != b.shape or a.ndim != 2 or any(grid.ndim != 2 for grid in grids.values()):
        raise InputError(f"{path}: a and b must be [sigma, function], xs_… [prompt, point]")
    for name, x_BT in grids.items():
        for i in range(len(a)):
            y_FBT = a[i][:, None, None] * x_BT + b[i][:, None, None]
            where_1T = counted(x_BT.shape[1], SKIP)
            yield Case({"inputs": name, "sigma": i + 1}, x_BT[:, :, None], y_FBT, where_1T)
