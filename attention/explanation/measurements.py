"""All measurements on one decision, as a record of JSON values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
from jaxtyping import Float

from attention.explanation.classifier import softmax
from attention.explanation.decision import Decision
from attention.explanation.distances import DISTANCES, PROPERTIES, cosine, jsd, tvd
from attention.explanation.efficient import efficient_attention
from attention.explanation.head_matrices import column_space, heads, with_ones
from attention.explanation.interventions import INTERVENTIONS
from attention.explanation.layer_attention import DECOMPOSITIONS, LayerAttention
from attention.explanation.rankings import RANKINGS, agreement, curves
from attention.explanation.solver import by_active_set
from attention.explanation.supports import measure_context, measure_supports
from attention.files import Natural

Parts = Mapping[str, Float[np.ndarray, "L N T S"]]


class Explained(msgspec.Struct):
    """A line of the journal: a decision of the classifier, and what was measured of it."""

    example: Natural
    tokens: list[str]
    label: Natural
    guess: Natural
    probabilities: list[float]
    place: Natural
    guarantees: Any
    heads: list[dict[str, Any]]
    interventions: Any
    supports: Any
    context: Any
    agreement: Any
    curves: Any
    read: Natural | None = None


def measure_decision(decision: Decision, label: int, *, show: bool = False) -> dict[str, Any]:
    """Measure the decompositions, interventions, rankings and curves of one decision.

    Args:
        decision: the decision.
        label: the right label.
        show: also keep the attention and the importance of each token.

    Returns:
        JSON values.
    """
    parts = {
        name: np.stack([row.compute(layer) for layer in decision.layers])
        for name, row in DECOMPOSITIONS.items()
    }
    scores = {name: row.score(decision) for name, row in RANKINGS.items()}
    found = {
        "label": label,
        "guess": decision.guess,
        "probabilities": decision.probabilities.tolist(),
        "place": decision.place,
        "guarantees": guarantees(decision),
        "heads": [
            _head(decision.layers[i], int(head), {name: part[i] for name, part in parts.items()},
                  decision.real)
            for i, head in np.argwhere(decision.chosen_LN)
        ],
        "interventions": _interventions(decision, label),
        "supports": measure_supports(decision),
        "context": measure_context(decision),
        "agreement": agreement(decision, scores),
        "curves": curves(decision, scores),
    }  # fmt: skip
    if show:
        real = decision.real
        found["layers"] = [layer.layer for layer in decision.layers]
        found["attention"] = {
            name: np.round(part[:, :, :real, :real], 4).tolist() for name, part in parts.items()
        }
        found["importance"] = {name: np.round(s[:real], 5).tolist() for name, s in scores.items()}
    return found


def _head(layer: LayerAttention, head: int, parts: Mapping[str, Any], real: int) -> dict[str, Any]:
    """Measure the distances of one head's decompositions from its attention, and their errors."""
    rows = {name: part[head, :real] for name, part in parts.items()}
    raw, small, vertex, effective = (
        rows[name] for name in ("raw", "efficient", "vertex", "effective")
    )
    value = layer.values[head * len(layer.values) // len(layer.weights)]
    scale = max(1.0, float(np.abs(value).max()))
    found = {name: distance.mean(raw, small) for name, distance in DISTANCES.items()}
    for name, measure in PROPERTIES.items():
        for part, row in DECOMPOSITIONS.items():
            found[f"{name}_{part}"] = measure.mean(rows[part], signed=row.signed)
    found |= {
        "cosine_effective": cosine(raw, effective).mean(),
        "output_error": np.abs((small - raw) @ value).max() / scale,
        "output_error_vertex": np.abs((vertex - raw) @ value).max() / scale,
        "least_entry": small.min(),
        "sum_error": np.abs(small.sum(-1) - raw.sum(-1)).max(),
        "effective_least_entry": effective.min(),
        "effective_sum_error": np.abs(effective.sum(-1) - raw.sum(-1)).max(),
    }
    place = {"layer": layer.layer, "head": head, "tokens": real}
    return place | {name: float(number) for name, number in found.items() if number is not None}


def _interventions(decision: Decision, label: int) -> list[dict[str, Any]]:
    """Measure what each replacement does to the output, and its distance from the attention."""
    before, found = decision.probabilities, []
    chosen, real = decision.chosen_LN, decision.inputs.where
    raw_HRS = np.stack([layer.rows for layer in decision.layers])[chosen][:, real]
    sums_LBNT1 = np.stack([layer.sums for layer in decision.layers])[:, None]
    for name, row in INTERVENTIONS.items():
        if row.adversary and decision.adversary is None:
            continue
        new_LBNTS = row.replacements(decision)
        after = decision.classifier.logits(decision.inputs, new_LBNTS, chosen)
        sums = sums_LBNT1 if row.signed else new_LBNTS.sum(-1, keepdims=True)
        rows_LBNTS = new_LBNTS / np.where(sums > 0, sums, 1)
        for draw, logits in enumerate(after):
            output = softmax(logits)
            moved = np.abs(logits - decision.logits).max() / np.abs(decision.logits).max()
            found.append(
                {
                    "intervention": name,
                    "draw": draw,
                    "tvd": float(tvd(before, output)),
                    "jsd": float(jsd(before, output)),
                    "flip": bool(output.argmax() != decision.guess),
                    "correct": bool(output.argmax() == label),
                    "logits_moved": float(moved),
                    **_compared(
                        rows_LBNTS[:, draw][chosen][:, real],
                        raw_HRS,
                        min(decision.place, decision.real - 1),
                        row.signed,
                    ),
                }
            )
    return found


def _compared(
    new_HRS: Float[np.ndarray, "H R S"],
    old_HRS: Float[np.ndarray, "H R S"],
    place: int,
    signed: bool,
) -> dict[str, float | None]:
    """Compute means over heads and rows; None for measures that need distributions."""
    new_HRS = new_HRS if signed else np.maximum(new_HRS, 0)  # rounding
    found: dict[str, float | None] = {}
    for name, distance in DISTANCES.items():
        pair = (rows[:, place] if distance.one_row else rows for rows in (new_HRS, old_HRS))
        found[f"attention_{name}"] = distance.mean(*pair, signed=signed)
    for name, measure in PROPERTIES.items():
        found[f"attention_{name}"] = measure.mean(new_HRS, signed=signed)
    return found


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
