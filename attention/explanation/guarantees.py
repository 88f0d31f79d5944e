"""The guarantees of efficient attention, measured on the attention of one decision."""

from __future__ import annotations

import numpy as np

from attention.explanation.decision import Decision
from attention.explanation.efficient import efficient_attention
from attention.explanation.head_matrices import column_space, heads, with_ones
from attention.explanation.solver import by_active_set


def guarantees(decision: Decision) -> dict[str, float | None]:
    """Measure the largest violations over the chosen heads of one decision.

    Returns:
        ``idempotent``: the change when the result is decomposed again.  ``norm``: the growth of a
        row's norm.  ``oracle``: the distance to SciPy's NNLS, on one row of each head.  ``short``:
        the distance to the raw attention in heads with as many independent ``[V, 1]`` as tokens;
        None if there are none.
    """
    draw = np.random.default_rng([decision.seed, 7])
    found: dict[str, float | None] = {"idempotent": 0.0, "norm": 0.0, "oracle": 0.0, "short": None}

    def at_least(name: str, value: float) -> None:
        found[name] = max(found[name] or 0.0, float(value))

    for layer, chosen in zip(decision.layers, decision.chosen_LN, strict=True):
        small = layer.efficient
        again = efficient_attention(small, layer.values, layer.where)
        growth = np.linalg.norm(small, axis=-1) - np.linalg.norm(layer.rows, axis=-1)
        basis, rank = column_space(with_ones(heads(layer.rows, layer.values, layer.where)))
        for head in np.flatnonzero(chosen):
            own = head * len(layer.values) // len(chosen)
            at_least("idempotent", np.abs(again - small)[head].max())
            at_least("norm", growth[head].max())
            row = int(draw.integers(decision.real))
            target = layer.rows[head, row] @ basis[own]
            other = by_active_set(target, basis[own], layer.seen[head, row])
            at_least("oracle", np.abs(other - small[head, row]).max())
            if rank[own] == decision.real:
                at_least("short", np.abs(small - layer.rows)[head].max())
    return found
