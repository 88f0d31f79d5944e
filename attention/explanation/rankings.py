"""Rankings of the tokens by importance, and what happens without the first ones (AOPC)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from operator import attrgetter

import numpy as np
from jaxtyping import Float

from attention.choices import Choices
from attention.explanation.classifier import softmax
from attention.explanation.decision import Decision
from attention.explanation.distances import kendall
from attention.explanation.layer_attention import DECOMPOSITIONS

SHARES = (0.05, 0.1, 0.2, 0.3, 0.5)  # of the tokens kept or deleted
Scores = Float[np.ndarray, " T"]


@dataclasses.dataclass(frozen=True)
class Ranking:
    """One way to measure how important each token is.

    Attributes:
        score: computes the importances; only their sizes count, not their signs.
        description: what they are, in a few words.
        attention: whether it ranks by attention, and is compared with the others.
        curves: whether tokens are kept and deleted in its order.
    """

    score: Callable[[Decision], Scores]
    description: str
    attention: bool = False
    curves: bool = True


def by_attention(name: str) -> Callable[[Decision], Scores]:
    """Rank tokens by the attention of the token that the head reads, averaged over chosen heads.

    Args:
        name: a key of ``DECOMPOSITIONS``.

    Returns:
        A function for ``Ranking.score``.
    """

    def score(decision: Decision) -> Scores:
        parts = np.stack([DECOMPOSITIONS[name].compute(layer) for layer in decision.layers])
        return np.abs(parts[:, :, decision.place][decision.chosen_LN]).mean(0)

    return score


def _by_chance(decision: Decision) -> Scores:
    return np.random.default_rng([decision.seed, 99]).random(len(decision.inputs.tokens))


def _by_removal(decision: Decision) -> Scores:
    return decision.classifier.leave_one_out(decision.inputs, decision.guess)


RANKINGS = Choices(
    "ranking",
    {
        "raw": Ranking(by_attention("raw"), "attention as it is", attention=True),
        "effective": Ranking(by_attention("effective"), "effective attention", attention=True),
        "efficient": Ranking(by_attention("efficient"), "efficient attention", attention=True),
        "gradient × input": Ranking(attrgetter("gradients.times_input"), "gradient × input state"),
        "integrated gradients": Ranking(attrgetter("gradients.integrated"), "from zero on"),
        "leave one out": Ranking(_by_removal, "fall of p without the token", curves=False),
        "random": Ranking(_by_chance, "chance: a control"),
    },
)


def agreement(decision: Decision, scores: Mapping[str, Scores]) -> dict[str, dict[str, float]]:
    """Compute Kendall's tau of each ranking by attention and each other one, over real tokens."""
    real = decision.inputs.where
    return {
        name: {
            other: kendall(scores[name][real], np.abs(scores[other])[real])
            for other, row in RANKINGS.items()
            if not row.attention
        }
        for name, row in RANKINGS.items()
        if row.attention
    }


def curves(decision: Decision, scores: Mapping[str, Scores]) -> list[dict[str, str | float]]:
    """Measure how much the probability of the guess falls, by ranking and share of tokens.

    ``sufficiency`` is the fall if only the top tokens are kept, ``comprehensiveness`` the fall
    without them.  The token whose state the head reads always stays.

    Source: DeYoung et al. 2020, arXiv:1911.03429.
    """
    inputs, place, guess = decision.inputs, decision.place, decision.guess
    real = np.flatnonzero(inputs.where & (np.arange(len(inputs.where)) != place))
    masks, rows = [], []
    for name in (name for name, row in RANKINGS.items() if row.curves):
        order = real[np.argsort(-np.abs(scores[name][real]), kind="stable")]
        for share in SHARES:
            top = order[: max(1, round(share * len(order)))]
            only, without = np.zeros_like(inputs.where), inputs.where.copy()
            only[[place, *top]] = True
            without[top] = False
            masks += [only, without]
            rows.append({"ranking": name, "share": share})
    everything = softmax(decision.classifier.logits(inputs))[0, guess]
    found = decision.classifier.logits(inputs, where_BT=np.stack(masks))
    p = softmax(found)[:, guess]
    return [
        {
            **row,
            "sufficiency": float(everything - only),
            "comprehensiveness": float(everything - out),
        }
        for row, only, out in zip(rows, p[::2], p[1::2], strict=True)
    ]
