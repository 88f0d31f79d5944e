"""Measures the accuracy of a model, whole or without some layers, on every split of a task."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from attention.statistics import mcnemar_p_value
from tale_jax.runs import measure, measure_answers
from tale_jax.scoring import JointScorer, Scorer
from tale_jax.tasks import Answer, count_cut, count_unparsed, fixed_answer_right
from tale_jax.units import Dropped


def measure_splits(scorer: Scorer, dropped: Dropped, halves: bool = False) -> dict[str, Any]:
    """The accuracy on every split that the scorer has.

    Args:
        scorer: the model, ready to be scored on the task.
        dropped: the layers and half-layers to leave out.
        halves: measure all examples together as well, as ``all``.

    Returns:
        For each split ``correct, total, accuracy, low, high`` (Wilson 95 % interval), ``unparsed``,
        ``cut`` (written answers cut off before their end) and ``protocols``, the correct answers by
        every protocol that the same pass gives, and, but for ``all``, ``fixed``, what naming the
        same choice every time gets at best, None without choices. With layers dropped each also has
        ``full``, the correct answers of the full model, and ``p_value`` of the exact McNemar test
        against it.
    """
    found, whole, parts = {}, ([], []), []
    for split in scorer.examples:
        full = scorer.answers(split, ()) if dropped else None
        read = scorer.readings(split, dropped)
        answers = read[scorer.protocol.name]
        parts.append({name: _count(given) for name, given in read.items()})
        fixed = fixed_answer_right(scorer.examples[split])
        found[split] = _compared(full, answers) | {"protocols": parts[-1], "fixed": fixed}
        whole[0].extend(full or answers)
        whole[1].extend(answers)
    if halves:
        protocols = {name: sum(part[name] for part in parts) for name in parts[0]}
        found["all"] = _compared(whole[0] if dropped else None, whole[1])
        found["all"] |= {"protocols": protocols}
    return found


def measure_against(
    scorer: Scorer | JointScorer, split: str, reference: Dropped, dropped: Dropped
) -> dict[str, Any]:
    """The accuracy of a model on one split, and its p-value against another.

    Args:
        scorer: the model, ready to be scored on the task or on several.
        split: one that it has.
        reference: what the model goes without that is compared with.
        dropped: what the measured model goes without.
    """
    drops = (dropped, reference)
    right, before = ([a.correct for a in scorer.answers(split, each)] for each in drops)
    return measure_answers(right, before, scorer.strata(split))


def _compared(full: Sequence[Answer] | None, answers: Sequence[Answer]) -> dict[str, Any]:
    found = measure(_count(answers), len(answers))
    found |= {"unparsed": count_unparsed(answers), "cut": count_cut(answers)}
    if full is not None:
        right = [[a.correct for a in given] for given in (full, answers)]
        found |= {"full": _count(full), "p_value": mcnemar_p_value(*right)}
    return found


def _count(answers: Iterable[Answer]) -> int:
    return sum(answer.correct for answer in answers)
