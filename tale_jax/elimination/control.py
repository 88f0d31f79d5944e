"""The null control: the same search on shuffled answers, where there is nothing to find.

A search picks the best of many candidates, and the best of many is high by luck alone.  If the
answers are dealt anew among the examples, no layer can matter for the task.  What a search then
gains comes from selection alone.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from attention.files import Record
from tale_jax.elimination.loop import Score
from tale_jax.elimination.objectives import Joint
from tale_jax.elimination.results import Result
from tale_jax.tasks import Answer, Example, extract
from tale_jax.units import Dropped


def shuffled(examples: Sequence[Example], seed: int, joint: Joint | None = None) -> list[Example]:
    """The same examples with their answers dealt anew among examples with as many choices.

    Args:
        examples: of a split.
        seed: of the deal.
        joint: the tasks that the examples are of; answers stay within their task.
    """
    if joint is not None:
        return [each for part in joint.divide(examples) for each in shuffled(part, seed)]
    draw = random.Random(f"control {seed}").random  # the one draw no Python version changes
    kinds: dict[int, list[int]] = {}
    for i, example in enumerate(examples):
        kinds.setdefault(len(example.choices or ()), []).append(i)
    found = list(examples)
    for places in kinds.values():
        dealt = sorted(places, key=lambda _: draw())
        for place, source in zip(places, dealt, strict=True):
            found[place] = dataclasses.replace(examples[place], answer=examples[source].answer)
    return found


class NullControl:
    """Searches on shuffled answers; predictions, which do not change, are made once a model."""

    def __init__(
        self,
        answers: Callable[[Dropped], Sequence[Answer]],
        examples: Sequence[Example],
        search: Callable[[Score], Result],
        joint: Joint | None = None,
    ):
        """Prepare the control of a search.

        Args:
            answers: returns a model's answers to ``examples``.
            examples: of the search split.
            search: searches as the real search did, no deeper, with a function that counts correct
                answers.
            joint: the tasks that the examples are of, if there are several.
        """
        self._answers, self._examples, self._search = answers, examples, search
        self._joint = joint
        self._predictions: dict[Dropped, list[Any]] = {}

    def run(self, seed: int) -> Record:
        """Search once.

        Args:
            seed: of the shuffle.

        Returns:
            The numbers of correct answers of ``baseline`` and ``best``, and the layers that the
            best model has ``dropped``.
        """
        wanted = [_prediction(example) for example in shuffled(self._examples, seed, self._joint)]

        def count(models: Sequence[Dropped]) -> Iterator[int]:
            for dropped in models:
                if dropped not in self._predictions:
                    given = self._answers(dropped)
                    self._predictions[dropped] = [answer.prediction for answer in given]
                pairs = zip(self._predictions[dropped], wanted, strict=True)
                verdicts = [prediction == right for prediction, right in pairs]
                yield sum(verdicts) if self._joint is None else self._joint.verdicts(verdicts)

        result = self._search(count)
        return {
            "baseline": result.baseline.correct,
            "best": result.best.correct,
            "dropped": list(result.best.dropped),
        }


def _prediction(example: Example) -> Any:
    """The right prediction for an example."""
    if isinstance(example.answer, str):
        return extract(example.answer, example.choices)
    return example.answer


def compare_gains(result: Result, controls: Sequence[Record]) -> Record | None:
    """Compare the gain of a search, of BEST over its baseline, with the gains of its controls.

    Args:
        result: of the search.
        controls: what `NullControl.run` returned.

    Returns:
        None without controls; otherwise ``shuffles``, the number of controls, and the shares of
        the examples ``gain``, ``gains`` (of the controls) and ``mean_gain``.  ``p_value`` is the
        share of searches that gain at least as much as the real one, which is counted too:
        (1 + #{control ≥ real}) / (1 + #controls).
    """
    if not controls:
        return None
    gain, total = result.best.correct - result.baseline.correct, result.total
    gains = [control["best"] - control["baseline"] for control in controls]
    at_least = sum(other >= gain for other in gains)
    return {
        "shuffles": len(gains),
        "gain": gain / total,
        "gains": [other / total for other in gains],
        "mean_gain": sum(gains) / len(gains) / total,
        "p_value": (1 + at_least) / (1 + len(gains)),
    }
