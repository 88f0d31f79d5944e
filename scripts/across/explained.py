"""A model, what elimination leaves of it, and what attention explains of each: rows and tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from rich.table import Table

from attention.errors import InputError
from attention.files import Record
from attention.terminal import plain_table
from tale_jax.units import Dropped


def variants(picks: Mapping[str, Dropped], depth: int, draws: int) -> dict[str, Dropped]:
    """The whole model, the picks, and as many layers as the deepest of them drops, at random.

    Raises:
        InputError: half-layers are dropped.
    """
    found: dict[str, Dropped] = {"whole": (), **picks}
    if not all(isinstance(unit, int) for dropped in found.values() for unit in dropped):
        raise InputError("half-layers were dropped: give a search of whole layers")
    most = max(map(len, picks.values()))
    for i in range(draws):
        order = np.random.default_rng(i).permutation(depth)
        found[f"random {i}"] = tuple(sorted(order[:most].tolist()))
    return found


def without(dropped: Dropped) -> str:
    """The part of a unit's name that says which layers the model goes without."""
    return "-".join(["without", *map(str, dropped)]) if dropped else "whole"


def numbers_of(summary: Mapping[str, Any], dropped: Dropped) -> Record:
    """What the tables need of the summary of an explanation."""
    flips = {name: summary["interventions"][name]["flip"] for name in ("uniform", "permuted")}
    aopc = {
        name: summary["aopc"][name]["comprehensiveness"]
        for name in ("efficient", "gradient × input")
    }
    supports = {name: summary["heads"][f"support_{name}"] for name in ("raw", "vertex")}
    found = {"dropped": list(dropped), "examples": summary["examples"]}
    right = summary["accuracy"]
    return {**found, "right": right, "support": supports, "flips": flips, "aopc": aopc}


def tables_of(found: dict[str, Record]) -> list[Table]:
    """A line for each variant: right answers and flips, and the areas over perturbation curves."""
    flips, areas, between = [], [], "{:.2f} [{:.2f}, {:.2f}]".format
    for name, row in found.items():
        support = "{vertex:.1f} of {raw:.1f}".format(**row["support"])
        flips.append(
            [name, f"{row['right']:.0%}", support, *(between(*x) for x in row["flips"].values())]
        )
        gone = " ".join(map(str, row["dropped"])) or "none"
        areas.append([name, gone, *(between(*x) for x in row["aopc"].values())])
    titles = ["model", "right", "support", "uniform flips", "permuted flips"]
    return [
        plain_table(titles, flips),
        plain_table(["model", "layers dropped", "AOPC efficient", "AOPC gradient"], areas, words=2),
    ]
