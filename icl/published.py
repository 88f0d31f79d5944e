"""Rows of arXiv 2411.11465, and tables of ours beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from icl import evaluation, training
from icl.experiments import Experiment
from icl.saturation import effective_bound

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
# Table 2: trained on N(0,1) twice, tested on x ~ N(0,1); squared error for sigma = 1 … 10
TABLE_2 = {
    line.split()[0]: tuple(map(float, line.split()[1:])) for line in _ROWS.strip().splitlines()
}


def table_2(
    rows: Sequence[Mapping[str, Any]], names: Mapping[str, str]
) -> tuple[list[dict[str, Any]], str]:
    """Our errors beside the published ones, with the difference and B_eff, as rows and text.

    Args:
        rows: of ``errors.csv`` on the published evaluation set.
        names: predictor → row of ``TABLE_2``; those with none stand alone.
    """
    values = [case.y_FBT for case in evaluation.published() if case.labels["inputs"] == "normal"]
    counted = [y[:, :, evaluation.SKIP :] for y in values]
    out, lines = [], [f"{'':22}" + "".join(f"{s:>8}" for s in range(1, 11)) + f"{'B_eff':>8}"]
    for name in dict.fromkeys(row["predictor"] for row in rows):
        errors = [
            row["error"] for row in rows if row["predictor"] == name and row["inputs"] == "normal"
        ]
        bound = effective_bound(counted, errors)
        theirs = TABLE_2.get(names.get(name, name))
        texts = [("ours", errors)]
        if theirs is not None:
            texts += [("published", theirs), ("difference", np.subtract(errors, theirs))]
        for what, numbers in texts:
            bounds = f"{bound:>8.1f}" if what == "ours" else ""
            label = name if what == "ours" else f"  {what}"
            lines.append(f"{label:22}" + "".join(f"{x:>8.2f}" for x in numbers) + bounds)
        for sigma, error in enumerate(errors, 1):
            published = None if theirs is None else theirs[sigma - 1]
            out.append(
                {
                    "predictor": name,
                    "sigma": sigma,
                    "error": error,
                    "published": published,
                    "difference": None if published is None else error - published,
                    "b_eff": bound,
                }
            )
    return out, "\n".join(lines)


def trained(experiment: Experiment, directory: Path, steps: int) -> training.Trained:
    """The model of a run of so many steps, trained now as far as it is missing."""
    training.train(experiment, directory, steps=steps, log_every=500, save_every=500)
    return training.load(directory)
