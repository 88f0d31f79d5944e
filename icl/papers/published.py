"""Table 2 of arXiv 2411.11465, its evaluation set, and our rows beside the published ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np

from attention.errors import InputError
from icl.evaluation import effective_bound
from icl.tasks import Case, Row, counted
from icl.tasks.functions import SKIP

_ROWS = """
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
TABLE_2 = {
    line.split()[0]: tuple(map(float, line.split()[1:])) for line in _ROWS.strip().splitlines()
}
"""Squared error for σ = 1 … 10, on x ~ N(0, 1), of models trained on N(0, 1) inputs and
coefficients."""


def table_2(rows: Sequence[Row], names: Mapping[str, str]) -> tuple[list[Row], str]:
    """Compare our errors with the published ones.

    Args:
        rows: rows of ``errors.csv`` on the published evaluation set.  If they have a ``seed``, the
            text has mean and standard deviation over the models of one name.
        names: the row of ``TABLE_2`` for each predictor that has one.

    Returns:
        Rows with our error, the published one, the difference and B_eff; and the same as text.
    """
    normal_set = [case for case in evaluation_set() if case.setting["inputs"] == "normal"]
    values = [case.y_FBT[:, :, SKIP:] for case in normal_set]
    out, lines = [], [_line("", range(1, 11)) + f"{'B_eff':>6}"]
    normal = [row for row in rows if row["inputs"] == "normal"]
    for name in dict.fromkeys(row["predictor"] for row in normal):
        mine = [row for row in normal if row["predictor"] == name]
        by_seed = {
            seed: [row["error"] for row in mine if row.get("seed", "") == seed]
            for seed in dict.fromkeys(row.get("seed", "") for row in mine)
        }
        bounds = {seed: effective_bound(values, errors) for seed, errors in by_seed.items()}
        theirs = TABLE_2.get(names.get(name, name))
        table = np.array([[*errors, bounds[seed]] for seed, errors in by_seed.items()])
        lines.append(_line(name, table.mean(axis=0)))
        if len(table) > 1:
            lines.append(_line("  deviation", table.std(axis=0, ddof=1)))
        if theirs is not None:
            lines.append(_line("  published", theirs))
            lines.append(_line("  difference", table[:, :-1].mean(axis=0) - theirs))
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
    try:
        with source.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            data = {name: arrays[name].astype(np.float64) for name in arrays.files}
        a, b = data["a"][:, :functions], data["b"][:, :functions]
        grids = {name: data[f"xs_{name}"] for name in ("normal", "uniform")}
    except FileNotFoundError:
        raise InputError(f"there is no file {path}") from None
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
