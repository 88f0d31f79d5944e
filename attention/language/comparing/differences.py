"""Differences of paired arms: Student's t over seeds, a bootstrap over seeds and paradigms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy
from jaxtyping import Float

from attention.errors import InputError
from attention.language.comparing.arms import PERPLEXITIES, Arm, Paradigm
from attention.language.comparing.margins import Margin, margin_of
from attention.statistics import holm, student_margin, two_level_interval


class Difference(NamedTuple):
    """An arm against the reference in one measure; a row of ``comparison.csv``.

    Attributes:
        arm: specification of the normalizer.
        measure: name of the measure.
        seeds: number of paired seeds.
        reference: mean of the reference, in per cent or as a perplexity.
        value: mean of the arm.
        difference: mean of the paired differences, in the unit of the measure.
        t_low: lower end of the 95 % interval by Student's t over seeds.
        t_high: its upper end.
        low: lower end of the bootstrap interval over seeds and paradigms.
        high: its upper end.
        margin: differences within ± this count as none; None: there is no such margin.
        verdict: ``better``, ``worse``, ``equivalent`` or ``not settled``.
    """

    arm: str
    measure: str
    seeds: int
    reference: float
    value: float
    difference: float
    t_low: float
    t_high: float
    low: float
    high: float
    margin: float | None
    verdict: str

    @property
    def interval(self) -> str:
        """The wider ends of both intervals, which the verdict takes."""
        low, high = min(self.t_low, self.low), max(self.t_high, self.high)
        return f"[{low:+.2f}, {high:+.2f}]" if math.isfinite(high - low) else "no interval"


def compare_arms(arms: Sequence[Arm], draws: int = 2000, seed: int = 0) -> list[Difference]:
    """Compare each arm with the first one, in each measure that all runs have.

    Accuracies differ in points, their mean over paradigms; perplexities in per cent of the
    reference, by the mean logarithm of their ratio.

    Args:
        arms: the reference, and the others.
        draws: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        InputError: an arm has no seed in common with the reference.
    """
    reference, *others = arms
    found = []
    for arm in others:
        seeds = paired_seeds(reference, arm)
        for measure in _measures(arms):
            row = margin_of(measure)
            theirs, own = (_values(each, seeds, measure) for each in (reference, arm))
            if row.unit == "%":
                changes = 100 * np.log(own / theirs)
                shown = (float(np.exp(np.log(theirs).mean())), float(np.exp(np.log(own).mean())))
                back = _of_log
            else:
                changes = 100 * (own - theirs)
                shown = (float(100 * theirs.mean()), float(100 * own.mean()))
                back = float
            mean, half = float(changes.mean()), student_margin(changes.mean(axis=1))
            ends = (mean - half, mean + half, *two_level_interval(changes, draws, seed))
            t_low, t_high, low, high = (back(end) for end in ends)
            found.append(
                Difference(
                    arm.name, measure, len(seeds), *shown, back(mean), t_low, t_high, low, high,
                    row.equal, verdict(min(t_low, low), max(t_high, high), row),
                )
            )  # fmt: skip
    return found


def verdict(low: float, high: float, margin: Margin) -> str:
    """Put an interval of a difference into a word.

    It is ``equivalent`` if it lies within the margin, even if it leaves out zero: the difference is
    then too small to matter. Otherwise it is ``better`` or ``worse`` if it leaves out zero.

    Args:
        low: lower end.
        high: upper end.
        margin: of the measure.
    """
    if margin.equal is not None and -margin.equal < low and high < margin.equal:
        return "equivalent"
    if low <= 0 <= high:
        return "not settled"
    return "better" if (low > 0) != margin.lower_is_better else "worse"


def compare_paradigms(arms: Sequence[Arm]) -> list[dict[str, Any]]:
    """Compare each arm with the first one in every paradigm.

    The standard error is the larger one of the spread over seeds and of that over pairs; p-values
    are of Student's t over seeds, corrected by Holm over all paradigms of an arm.

    Args:
        arms: the reference, and the others.

    Returns:
        Rows of ``paradigms.csv``.
    """
    reference, *others = arms
    found = []
    for arm in others:
        seeds = paired_seeds(reference, arm)
        rows = [_paradigm_row(reference, arm, seeds, key) for key in _paradigms(arms)]
        for row, corrected in zip(rows, holm([row["p"] for row in rows]), strict=True):
            settled = "better" if row["difference"] > 0 else "worse"
            verdict = settled if corrected < 0.05 else "not settled"
            found.append(row | {"p_holm": corrected, "verdict": verdict})
    return found


def _paradigm_row(reference: Arm, arm: Arm, seeds: Sequence[int], key: Paradigm) -> dict[str, Any]:
    theirs, own = (
        np.array([each.runs[seed].accuracies[key] for seed in seeds]) for each in (reference, arm)
    )
    changes, pairs = own - theirs, arm.runs[seeds[0]].pairs[key]
    error = math.inf
    if len(seeds) > 1:
        sampling = np.mean(theirs * (1 - theirs) + own * (1 - own)) / pairs / len(seeds)
        error = math.sqrt(max(changes.var(ddof=1) / len(seeds), sampling))
    change = float(changes.mean())
    freedom = max(1, len(seeds) - 1)
    half = scipy.stats.t.ppf(0.975, freedom) * error
    p = 1.0
    if change and math.isfinite(error):
        p = 2 * float(scipy.stats.t.sf(abs(change) / error, freedom)) if error else 0.0
    task, phenomenon, paradigm = key
    return {
        "arm": arm.name, "task": task, "phenomenon": phenomenon, "paradigm": paradigm,
        "pairs": pairs, "seeds": len(seeds), "reference": 100 * float(theirs.mean()),
        "value": 100 * float(own.mean()), "difference": 100 * change,
        "low": 100 * (change - half), "high": 100 * (change + half), "p": p,
    }  # fmt: skip


def paired_seeds(reference: Arm, arm: Arm) -> list[int]:
    """The seeds that two arms share, ascending.

    Raises:
        InputError: there are none.
    """
    seeds = sorted(set(reference.runs) & set(arm.runs))
    if not seeds:
        raise InputError(f"{reference.name} and {arm.name} have no seed in common: nothing to pair")
    return seeds


def _paradigms(arms: Sequence[Arm]) -> list[Paradigm]:
    return list(next(iter(arms[0].runs.values())).accuracies)


def _measures(arms: Sequence[Arm]) -> list[str]:
    runs = [scores for arm in arms for scores in arm.runs.values()]
    perplexities = [name for name in PERPLEXITIES if all(name in r.perplexities for r in runs)]
    return [*perplexities, *dict.fromkeys(task for task, _, _ in _paradigms(arms))]


def _values(arm: Arm, seeds: Sequence[int], measure: str) -> Float[np.ndarray, "S P"]:
    """The values of an arm by seed and, for accuracies, by paradigm."""
    runs = [arm.runs[seed] for seed in seeds]
    if measure in PERPLEXITIES:
        return np.array([[run.perplexities[measure]] for run in runs])
    return np.array([[v for k, v in run.accuracies.items() if k[0] == measure] for run in runs])


def _of_log(change: float) -> float:
    """Per cent of a ratio whose logarithm is given in hundredths."""
    return 100 * math.expm1(change / 100) if change < 1e4 else math.inf
