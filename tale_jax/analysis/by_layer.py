"""What analyses have in common that measure the state after every layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attention.files import Record
from tale_jax.runs import layer_list
from tale_jax.units import Dropped

EMBEDDING = -1
"""Stands for a layer in the rows of the state before the first one."""


def variants(dropped: Dropped) -> list[tuple[str, Dropped]]:
    """The full model and, if layers are dropped, the one without them, each with its name."""
    after = [(f"without {layer_list(dropped)}", dropped)] if dropped else []
    return [("full", ()), *after]


def layer_table(
    rows: Sequence[Record], show: Callable[[Record], str]
) -> tuple[list[str], list[list[str]]]:
    """The columns and lines of a table of layers by models.

    Args:
        rows: with ``layer`` and ``model``.
        show: the text of a row's cell.
    """
    cells: dict[int, dict[str, str]] = {}
    for row in rows:
        cells.setdefault(row["layer"], {})[row["model"]] = show(row)
    names = list(dict.fromkeys(row["model"] for row in rows))
    return ["layer", *names], [
        ["before" if layer == EMBEDDING else str(layer), *(of.get(name, "–") for name in names)]
        for layer, of in sorted(cells.items())
    ]
