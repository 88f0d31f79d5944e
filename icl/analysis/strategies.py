"""Which strategy a model follows: the known predictor whose answers are nearest to the model's.

Two predictors with equal errors may do quite different things.  So answers are compared with
answers, prompt by prompt, and not errors with errors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from attention.statistics import bootstrap_interval
from icl.tasks import Case, Row, Values

STRATEGIES = (
    "least-squares",
    "ridge-1",
    "gradient-descent-10",
    "knn-3",
    "clipped-10",
    "dmmse-64",
    "dmmse-4096",
)
"""Names of baselines.  The last is near the Bayes predictor of the distribution of training."""
PARTS = 3  # of the positions that count
TIE = 1e-9  # of the distance


def distances(
    model_FBT: Values, strategy_FBT: Values, positions: Sequence[int]
) -> Float[np.ndarray, "F B"]:
    """The mean squared difference of two predictors' answers in each prompt.

    Args:
        model_FBT: answers of one.
        strategy_FBT: answers of the other.
        positions: those that count.
    """
    difference_FBT = np.asarray(model_FBT, np.float64) - strategy_FBT
    return np.square(difference_FBT[:, :, list(positions)]).mean(axis=2)


def shares_of_nearest(distance_SFB: Float[np.ndarray, "S F B"]) -> Float[np.ndarray, "S F"]:
    """For each function the share of prompts in which a strategy is the nearest one.

    Strategies that are equally near share a prompt.
    """
    least_FB = distance_SFB.min(axis=0)
    near_SFB = distance_SFB <= least_FB * (1 + TIE)
    return (near_SFB / near_SFB.sum(axis=0)).mean(axis=2)


def nearest_strategies(
    case: Case, model: str, answers: Mapping[str, Values], strategies: Sequence[str]
) -> list[Row]:
    """How near each strategy is to a model, in one setting.

    Args:
        case: the prompts.
        model: name of the model.
        answers: of the model and of all strategies, by name.
        strategies: names.

    Returns:
        For all positions that count, and for each third of them, a row for every strategy:
        ``distance``, the mean over prompts; ``nearest``, the share of prompts in which it is the
        nearest; and the 95 % bootstrap intervals of both over functions (``…_low``, ``…_high``).
    """
    counted = np.flatnonzero(case.where_BT[0])
    parts = [part for part in np.array_split(counted, PARTS) if len(part)]
    rows: list[Row] = []
    for part in [counted, *(parts if len(parts) > 1 else [])]:
        each = [distances(answers[model], answers[name], part) for name in strategies]
        distance_SFB = np.stack(each)
        shares_SF = shares_of_nearest(distance_SFB)
        for name, distance_FB, share_F in zip(strategies, distance_SFB, shares_SF, strict=True):
            distance_F = distance_FB.mean(axis=1)
            low, high = bootstrap_interval(distance_F)
            least, most = bootstrap_interval(share_F)
            rows.append(
                {
                    "model": model,
                    **case.setting,
                    "positions": f"{part[0] + 1}-{part[-1] + 1}",
                    "all_positions": len(part) == len(counted),
                    "strategy": name,
                    "distance": float(distance_F.mean()),
                    "distance_low": low,
                    "distance_high": high,
                    "nearest": float(share_F.mean()),
                    "nearest_low": least,
                    "nearest_high": most,
                }
            )
    return rows


def nearest_listing(rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """Headings and rows of text: for each model, setting and part the strategy that is nearest.

    The nearest one has the smallest mean distance; beside it stands the second.  What is the same
    in all rows, such as a model that is alone, has no column.
    """
    own = ("strategy", "positions", "all_positions")
    varying = [
        name
        for name in rows[0]
        if name not in own
        and not name.startswith(("distance", "nearest"))
        and len({str(row[name]) for row in rows}) > 1
    ]
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        key = (*(str(row[name]) for name in varying), row["positions"])
        groups.setdefault(key, []).append(row)
    found = []
    for key, group in groups.items():
        first, second = (sorted(group, key=lambda row: row["distance"]) * 2)[:2]
        low, high = 100 * first["nearest_low"], 100 * first["nearest_high"]
        share = f"{first['nearest']:.0%} [{low:.0f}, {high:.0f}]"
        beside = [
            f"{first['distance']:.3g}",
            share,
            second["strategy"],
            f"{second['distance']:.3g}",
        ]
        found.append([*key, first["strategy"], *beside])
    heads = [*varying, "positions", "nearest", "distance", "prompts", "second", "distance"]
    return heads, found
