"""What efficient attention promises, measured on the attention of one example."""

from __future__ import annotations

from typing import Any

import numpy as np

from attention.explanation.efficient import efficient_attention
from attention.explanation.head_matrices import column_space, heads, with_ones
from attention.explanation.interventions import Layer
from attention.explanation.solver import by_active_set


def guarantees(
    layers: list[Layer], efficient_LNTS: np.ndarray, chosen_LN: np.ndarray, real: int, seed: int
) -> dict[str, float | None]:
    """The largest violations over the chosen heads of one example.

    ``idempotent``: change when decomposed again; ``norm``: growth of a row's norm; ``oracle``:
    distance to SciPy's NNLS on one row a head; ``short``: distance to the raw attention in heads
    with as many independent ``[V, 1]`` as tokens, None if there are none.
    """
    draw = np.random.default_rng([seed, 7])
    found: dict[str, Any] = {"idempotent": 0.0, "norm": 0.0, "oracle": 0.0, "short": None}

    def at_least(name: str, value: float) -> None:
        found[name] = max(found[name] or 0.0, float(value))

    for layer, small, chosen in zip(layers, efficient_LNTS, chosen_LN, strict=True):
        again = efficient_attention(small, layer.values, layer.where)
        growth = np.linalg.norm(small, axis=-1) - np.linalg.norm(layer.rows, axis=-1)
        given = heads(layer.rows, layer.values, layer.where)
        basis, rank = column_space(with_ones(given))
        seen = np.broadcast_to(layer.where, layer.weights.shape)
        for head in np.flatnonzero(chosen):
            own = head * len(layer.values) // len(chosen)
            at_least("idempotent", np.abs(again - small)[head].max())
            at_least("norm", growth[head].max())
            row = int(draw.integers(real))
            target = layer.rows[head, row] @ basis[own]
            other = by_active_set(target, basis[own], seen[head, row])
            at_least("oracle", np.abs(other - small[head, row]).max())
            if rank[own] == real:
                at_least("short", np.abs(small - layer.rows)[head].max())
    return found
