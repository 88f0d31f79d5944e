"""Everything that is measured on one example."""

from __future__ import annotations

from typing import Any

import numpy as np

from attention.explanation import distances
from attention.explanation.classifier import Inputs, Probe, softmax
from attention.explanation.efficient import effective_attention, efficient_attention
from attention.explanation.guarantees import guarantees
from attention.explanation.interventions import INTERVENTIONS, Layer, replacements

SHARES = (0.05, 0.1, 0.2, 0.3, 0.5)  # of the tokens kept or deleted
SHIFT_LIMIT = {False: 1e-5, True: 1e-10}  # of max |logit|, by precision


def explain_example(
    probe: Probe, inputs: Inputs, label: int, chosen_LN: np.ndarray, seed: int,
    adversary: Probe | None = None, *, show: bool,
) -> dict[str, Any]:  # fmt: skip
    """Distances of the decompositions, interventions, agreement and curves, as JSON values."""
    logits, seen = probe.attention(inputs)
    layers = [
        Layer(*parts)
        for parts in zip(seen["attention_weights"], seen["values"], seen["where"], strict=True)
    ]
    raw = np.stack([layer.rows for layer in layers])
    parts = {
        "raw": raw,
        "effective": np.stack([effective_attention(*layer) for layer in layers]),
        "efficient": np.stack([efficient_attention(*layer) for layer in layers]),
        "vertex": np.stack([efficient_attention(*layer, "min_support") for layer in layers]),
    }
    probabilities = softmax(logits)
    guess = int(probabilities.argmax())
    found = {
        "label": label,
        "guess": guess,
        "probabilities": probabilities.tolist(),
        "place": reading_place(probe, inputs),
        "guarantees": guarantees(
            layers, parts["efficient"], chosen_LN, int(inputs.where.sum()), seed
        ),
        "heads": _heads(parts, layers, chosen_LN, int(inputs.where.sum())),
        "interventions": _interventions(
            probe, inputs, layers, seen, chosen_LN, logits, label, seed, adversary
        ),
    }
    rankings = _rankings(probe, inputs, parts, chosen_LN, guess, seed)
    found["agreement"] = _agreement(rankings, inputs.where)
    found["curves"] = _curves(probe, inputs, rankings, guess)
    if show:
        real = int(inputs.where.sum())
        found["attention"] = {
            name: np.round(array[:, :, :real, :real], 4).tolist() for name, array in parts.items()
        }
        found["importance"] = {name: np.round(r[:real], 5).tolist() for name, r in rankings.items()}
    return found


def _heads(parts: dict, layers: list[Layer], chosen_LN: np.ndarray, real: int) -> list[dict]:
    rows = []
    for layer, head in np.argwhere(chosen_LN):
        raw, small, vertex, effective = (
            parts[name][layer, head, :real] for name in ("raw", "efficient", "vertex", "effective")
        )
        values = layers[layer].values
        value = values[head // (len(raw_heads(parts)) // len(values))]
        scale = max(1.0, float(np.abs(value).max()))
        rows.append(
            {
                "layer": int(layer),
                "head": int(head),
                "tokens": real,
                "tvd": distances.tvd(raw, small).mean(),
                "jsd": distances.jsd(raw, small).mean(),
                "hellinger": distances.hellinger(raw, small).mean(),
                "cosine": distances.cosine(raw, small).mean(),
                "cosine_effective": distances.cosine(raw, effective).mean(),
                "kendall": np.mean(
                    [distances.kendall(a, b) for a, b in zip(raw, small, strict=True)]
                ),
                "entropy_raw": distances.entropy(raw).mean(),
                "entropy_efficient": distances.entropy(small).mean(),
                "support_raw": distances.support_size(raw).mean(),
                "support_efficient": distances.support_size(small).mean(),
                "support_vertex": distances.support_size(vertex).mean(),
                "output_error": np.abs((small - raw) @ value).max() / scale,
                "output_error_vertex": np.abs((vertex - raw) @ value).max() / scale,
                "least_entry": small.min(),
                "sum_error": np.abs(small.sum(-1) - raw.sum(-1)).max(),
                "effective_least_entry": effective.min(),
                "effective_sum_error": np.abs(effective.sum(-1) - raw.sum(-1)).max(),
            }
        )
    return [{k: v if isinstance(v, int) else float(v) for k, v in row.items()} for row in rows]


def raw_heads(parts: dict) -> np.ndarray:
    """Query heads of the first layer."""
    return parts["raw"][0]


def _interventions(
    probe, inputs, layers, seen, chosen_LN, logits, label, seed, adversary
) -> list[dict]:
    rows = []
    raw = np.stack([layer.rows for layer in layers])
    before, largest = softmax(logits), float(np.abs(logits).max())
    makers: dict[str, list] = {
        name: [replacements(name, layer, seed + i) for i, layer in enumerate(layers)]
        for name in INTERVENTIONS
    }
    makers["adversarial"] = [[new] for new in probe.adversarial(inputs, seen, chosen_LN)]
    if adversary is not None:  # its own attention, row sums included
        other = adversary.attention(inputs)[1]["attention_weights"]
        makers["trained adversary"] = [[new] for new in other]
    for name, drawn in makers.items():
        new_LBNTS = np.stack([np.stack(draws) for draws in drawn])
        after = probe.logits(inputs, new_LBNTS, chosen_LN)
        sums = np.stack([layer.sums for layer in layers])[:, None]
        sums = new_LBNTS.sum(-1, keepdims=True) if name == "trained adversary" else sums
        rows_LBNTS = new_LBNTS / np.where(sums > 0, sums, 1)
        for draw, row in enumerate(after):
            out = softmax(row)
            near = _nearness(
                rows_LBNTS[:, draw][chosen_LN][:, inputs.where],
                raw[chosen_LN][:, inputs.where],
                min(reading_place(probe, inputs), int(inputs.where.sum()) - 1),
                name != "effective",
            )
            rows.append(
                {
                    "intervention": name,
                    "draw": draw,
                    "tvd": float(distances.tvd(before, out)),
                    "jsd": float(distances.jsd(before, out)),
                    "flip": bool(out.argmax() != before.argmax()),
                    "correct": bool(out.argmax() == label),
                    "logits_moved": float(np.abs(row - logits).max() / largest),
                    **near,
                }
            )
    return rows


def _nearness(new_HRS, old_HRS, place: int, distribution: bool) -> dict[str, float | None]:
    """Distances of attention from what replaces it: means over heads and rows.

    Kendall's tau is of the row that is read; a divergence of what is no distribution is None.
    """
    new_HRS = np.maximum(new_HRS, 0) if distribution else new_HRS  # rounding
    divergences = {"jsd": distances.jsd, "hellinger": distances.hellinger}
    taus = [
        distances.kendall(a, b) for a, b in zip(new_HRS[:, place], old_HRS[:, place], strict=True)
    ]
    return {
        "attention_tvd": float(distances.tvd(new_HRS, old_HRS).mean()),
        **{
            f"attention_{name}": float(of(new_HRS, old_HRS).mean()) if distribution else None
            for name, of in divergences.items()
        },
        "attention_entropy": float(distances.entropy(new_HRS).mean()) if distribution else None,
        "attention_support": float(distances.support_size(new_HRS).mean()),
        "attention_cosine": float(distances.cosine(new_HRS, old_HRS).mean()),
        "attention_kendall": float(np.mean(taus)),
    }


def _rankings(probe, inputs, parts, chosen_LN, guess, seed) -> dict[str, np.ndarray]:
    """Importance of each token: attention of the reading place, gradients, removal, chance."""
    place = reading_place(probe, inputs)
    found = {
        name: np.abs(parts[name][:, :, place][chosen_LN]).mean(0)
        for name in ("raw", "effective", "efficient")
    }
    found |= probe.gradients(inputs, guess)
    found["leave one out"] = probe.leave_one_out(inputs, guess)
    found["random"] = np.random.default_rng([seed, 99]).random(len(inputs.tokens))
    return found


def reading_place(probe: Probe, inputs: Inputs) -> int:
    """The token whose state the head reads."""
    if inputs.read is not None:
        return inputs.read
    return int(inputs.where.sum()) - 1 if probe.config.causal else 0


def _agreement(rankings: dict[str, np.ndarray], where: np.ndarray) -> dict[str, dict[str, float]]:
    """Kendall's tau between attention and the other rankings, over real tokens."""
    others = ("gradient × input", "integrated gradients", "leave one out", "random")
    return {
        name: {
            other: distances.kendall(rankings[name][where], np.abs(rankings[other])[where])
            for other in others
        }
        for name in ("raw", "effective", "efficient")
    }


def _curves(probe, inputs, rankings, guess) -> list[dict]:
    """``p(guess)`` with only the top tokens, and without them; the place that is read stays."""
    place = reading_place(probe, inputs)
    real = np.flatnonzero(inputs.where & (np.arange(len(inputs.where)) != place))
    names = [n for n in rankings if n != "leave one out"]
    masks, rows = [], []
    for name in names:
        order = real[np.argsort(-np.abs(rankings[name][real]), kind="stable")]
        for share in SHARES:
            top = order[: max(1, round(share * len(order)))]
            only, without = np.zeros_like(inputs.where), inputs.where.copy()
            only[[place, *top]] = True
            without[top] = False
            masks += [only, without]
            rows.append({"ranking": name, "share": share})
    everything = softmax(probe.logits(inputs))[0, guess]
    p = softmax(probe.logits(inputs, where_BT=np.stack(masks)))[:, guess]
    return [
        {
            **row,
            "sufficiency": float(everything - only),
            "comprehensiveness": float(everything - out),
        }
        for row, only, out in zip(rows, p[::2], p[1::2], strict=True)
    ]
