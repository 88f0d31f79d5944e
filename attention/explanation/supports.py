"""Is the support of efficient attention sufficient, is each of its tokens necessary, is it minimal?

What is looked at is the row of the last layer that the decision is read from, in every chosen head.
Its support is that of the vertex of efficient attention (``min_support``): a set of tokens that can
give the head's output, and from which none can be left out while the output stays exactly the same.
Exactly is not noticeably: these measurements say what happens to the decision.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from attention.explanation.classifier import softmax
from attention.explanation.decision import Decision
from attention.explanation.distances import tvd

AT_ONCE = 16  # replacements in one program
MOST = 32  # tokens of a set that are taken out one by one, drawn if there are more
MOVED = 0.01  # TVD of the output from which a token counts as necessary
SHUFFLES = 5
SETS = {
    "vertex": "the support, with the vertex's weights",
    "support": "the support, with the model's own weights",
    "random": "as many tokens drawn at random, with the model's own weights",
}
Rows = Float[np.ndarray, "N S"]


def measure_supports(decision: Decision) -> list[dict[str, Any]]:
    """Keep a set of tokens, and then take out each of its tokens.

    Args:
        decision: the decision.

    Returns:
        A row for each of ``SETS``: ``tvd`` and ``flip`` of keeping the set alone (0 says that it is
        sufficient); ``removed_tvd`` and ``removed_flip``, the means over its tokens of taking out
        one more; ``necessary``, the share of tokens whose removal moves the output by a TVD of 0.01
        or more; ``minimal``, whether that is so of all; ``size``, the tokens of all heads together.
    """
    layer = decision.layers[_last(decision)]
    row_NS, vertex_NS = layer.rows[:, decision.place], layer.vertex[:, decision.place]
    seen_NS = layer.seen[:, decision.place]
    support_NS = vertex_NS > 0
    draw = np.random.default_rng([decision.seed, 3])
    chance_NS = _as_many(support_NS, seen_NS, draw)
    given = {
        "vertex": np.where(support_NS, vertex_NS, 0),
        "support": np.where(support_NS, row_NS, 0),
        "random": np.where(chance_NS, row_NS, 0),
    }
    return [{"set": name, **_taken_apart(decision, given[name], draw)} for name in SETS]


def _last(decision: Decision) -> int:
    """The last layer of which a head is chosen."""
    return int(np.flatnonzero(decision.chosen_LN.any(axis=1))[-1])


def _as_many(
    support_NS: Bool[np.ndarray, "N S"],
    seen_NS: Bool[np.ndarray, "N S"],
    draw: np.random.Generator,
) -> Bool[np.ndarray, "N S"]:
    """For each head a random set of seen tokens, as large as its support."""
    found = np.zeros_like(support_NS)
    for head, seen_S in enumerate(seen_NS):
        size = int(support_NS[head].sum())
        found[head, draw.choice(np.flatnonzero(seen_S), size, replace=False)] = True
    return found


def _taken_apart(decision: Decision, kept_NS: Rows, draw: np.random.Generator) -> dict[str, Any]:
    """Measure the set of tokens that have weight, and the set without each of them."""
    chosen_N = decision.chosen_LN[_last(decision)]
    tokens = np.flatnonzero((kept_NS[chosen_N] > 0).any(axis=0))
    taken = tokens if len(tokens) <= MOST else draw.choice(tokens, MOST, replace=False)
    without_BNS = np.where(np.arange(kept_NS.shape[1]) == taken[:, None, None], 0, kept_NS)
    whole, *parts = _outputs(decision, np.concatenate([kept_NS[None], without_BNS]))
    moved = np.array([float(tvd(whole, part)) for part in parts])
    flips = [part.argmax() != whole.argmax() for part in parts]
    return {
        "size": len(tokens),
        "tvd": float(tvd(decision.probabilities, whole)),
        "flip": bool(whole.argmax() != decision.guess),
        "removed_tvd": float(moved.mean()),
        "removed_flip": float(np.mean(flips)),
        "necessary": float((moved >= MOVED).mean()),
        "minimal": bool((moved >= MOVED).all()),
    }


def _outputs(decision: Decision, rows_BNS: Float[np.ndarray, "B N S"]) -> Float[np.ndarray, "B C"]:
    """The probabilities with other weights in the row that is read, scaled to the row's sum.

    A head that is left without any weight keeps its own row.
    """
    place, last = decision.place, _last(decision)
    layer = decision.layers[last]
    total_BN1 = rows_BNS.sum(axis=-1, keepdims=True)
    scaled_BNS = rows_BNS / np.where(total_BN1 > 0, total_BN1, 1)
    scaled_BNS = np.where(total_BN1 > 0, scaled_BNS, layer.rows[:, place]) * layer.sums[:, place]
    chosen_LN = np.zeros_like(decision.chosen_LN)
    chosen_LN[last] = decision.chosen_LN[last]
    every = np.stack([each.weights for each in decision.layers])
    found = []
    for start in range(0, len(scaled_BNS), AT_ONCE):
        part = scaled_BNS[start : start + AT_ONCE]
        new = np.repeat(every[:, None], AT_ONCE, axis=1)  # one size, so one program
        new[last, : len(part), :, place] = part
        logits = decision.classifier.logits(decision.inputs, new, chosen_LN)
        found.append(softmax(logits)[: len(part)])
    return np.concatenate(found)


def measure_context(decision: Decision) -> dict[str, float]:
    """How much the decision needs the order of its context.

    The tokens of each segment, without its first and last one and the one that is read, are
    shuffled: the same words, in another order.

    Args:
        decision: the decision.

    Returns:
        ``shuffled_tvd`` and ``shuffled_flip``, means over five shuffles.
    """
    inputs, moved, flips = decision.inputs, [], []
    for i in range(SHUFFLES):
        draw = np.random.default_rng([decision.seed, 5, i])
        tokens = inputs.tokens.copy()
        for kind in np.unique(inputs.types[inputs.where]):
            inside = np.flatnonzero(inputs.where & (inputs.types == kind))[1:-1]
            inside = inside[inside != decision.place]
            tokens[inside] = draw.permutation(tokens[inside])
        output = softmax(decision.classifier.logits(dataclasses.replace(inputs, tokens=tokens)))[0]
        moved.append(float(tvd(decision.probabilities, output)))
        flips.append(bool(output.argmax() != decision.guess))
    return {"shuffled_tvd": float(np.mean(moved)), "shuffled_flip": float(np.mean(flips))}
