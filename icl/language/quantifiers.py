"""Prompts of quantifiers as text.

A prompt shows numbers, rounded, and after each whether the sentence (every number so far is
positive, or some is) holds: ``[0.52, True, -1.20, False, 0.33]``; what follows the last number is
asked for, after worked examples of both answers.  Without labels in context it shows numbers alone,
and the sentence stands in the question.  The first "true" or "false" of an answer counts; an answer
with neither is a failure, counted, and wrong.

Each prompt is asked about one position: every other one about its last, and those between about one
drawn from the positions before (with a deviant: about that), so that both sides of a late flip are
asked about.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from icl.evaluation import SKIP, Asked, Labels, Predictor, drawn, read_deviant, scored
from icl.language.answering import Answerer
from icl.tasks import Quantifiers

TASK = (
    "Each list holds numbers, each followed by True or False, by a rule about the numbers so far. "
    "Say what follows the last number. Answer with True or False alone."
)
QUESTIONS = {
    "every": "Is every number of the list positive? Answer with True or False alone.",
    "some": "Is some number of the list positive? Answer with True or False alone.",
}
EXAMPLE = 6  # numbers of a worked example


def write(x_T: Any, y_T: Any, labels: bool = True, decimals: int = 2) -> str:
    """``[x1, True, x2, False, …, xn]``: the last label is left out, or all are.

    A number keeps its sign: what would be rounded to 0 is the smallest number that is not.
    """
    words = []
    for x, y in zip(x_T, y_T, strict=True):
        words.append(_rounded(float(x), decimals))
        words += [str(bool(y > 0))] if labels else []
    return f"[{', '.join(words[:-1] if labels else words)}]"


def _rounded(number: float, decimals: int) -> str:
    near = round(number, decimals)
    if near == 0:
        near = (1 if number > 0 else -1) * 10.0**-decimals
    return f"{near:.{decimals}f}"


def prompt(
    task: Quantifiers, x_T: Any, y_T: Any, examples: int = 5, decimals: int = 2, seed: int = 0
) -> str:
    """Worked examples of the same quantifier, both answers in turn, then the question."""
    rng = np.random.default_rng(seed)
    parts = [TASK if task.labels else QUESTIONS[task.kind], ""]
    for i in range(examples):
        every = task.kind == "every" or (task.kind == "mix" and i % 4 < 2)
        size = abs(rng.normal(size=EXAMPLE))
        holds = np.where(np.arange(EXAMPLE) >= (rng.integers(EXAMPLE) if i % 2 else EXAMPLE), -1, 1)
        signs = np.where(holds == 1, 1, rng.choice([-1, 1], EXAMPLE))
        signs[np.argmin(holds)] = -1 if i % 2 else 1  # where it flips, if it does
        x, y = (size * signs, holds) if every else (-size * signs, -holds)
        parts += [f"List: {write(x, y, task.labels, decimals)}", f"Answer: {y[-1] > 0}", ""]
    return "\n".join([*parts, f"List: {write(x_T, y_T, task.labels, decimals)}", "Answer:"])


def parse(text: str) -> float:
    """1 for the first "true", −1 for the first "false", NaN if there is neither."""
    found = re.search(r"\b(true|false)\b", text, re.IGNORECASE)
    return float("nan") if found is None else 1.0 if found[1].lower() == "true" else -1.0


@dataclasses.dataclass(frozen=True)
class Answers:
    """What came back.

    Attributes:
        predicted_B: 1, −1, or NaN where neither was said.
        texts: as answered; none of predictors.
        failures: how many said neither.
        numbers: scores, a failure being wrong.
    """

    predicted_B: Float[np.ndarray, " B"]
    texts: tuple[str, ...]
    failures: int
    numbers: Mapping[str, float]


def questions(task: Quantifiers, setting: Mapping[str, Any], count: int, seed: int) -> Asked:
    """``count`` prompts of a setting, each asked about one position; half of each kind of a mix."""
    kinds = 2 if task.kind == "mix" else 1
    asked = drawn(task, setting, -(-count // kinds), seed)
    order = np.arange(count) // kinds + (np.arange(count) % kinds) * -(-count // kinds)
    x_BTD, y_BT = asked.x_BTD[order], asked.y_BT[order]
    points, rng = y_BT.shape[1], np.random.default_rng(seed)
    early_B = rng.integers(min(SKIP, points - 1), max(points - 1, SKIP + 1), count)
    if "deviant" in setting:
        early_B[:] = read_deviant(setting["deviant"])[0]
    place_B = np.where(np.arange(count) // kinds % 2 == 0, points - 1, early_B)
    return Asked(x_BTD, y_BT, np.arange(points)[None] == place_B[:, None])


def ask(
    task: Quantifiers,
    asked: Asked,
    answer: Answerer,
    setting: Mapping[str, Any],
    *,
    examples: int = 5,
    decimals: int = 2,
) -> Answers:
    """Asks every question; see ``questions``."""
    place_B = asked.where_BT.argmax(axis=1)
    texts = answer(
        [
            prompt(task, x_TD[: t + 1, 0], y_T[: t + 1], examples, decimals)
            for x_TD, y_T, t in zip(asked.x_BTD, asked.y_BT, place_B, strict=True)
        ]
    )
    return _scored(asked, np.array([parse(text) for text in texts]), texts, setting)


def compare(asked: Asked, predict: Predictor, setting: Mapping[str, Any]) -> Answers:
    """What a trained model or a baseline says of the same positions, of numbers unrounded."""
    predicted_BT: Labels = np.asarray(predict(asked.x_BTD, asked.y_BT))
    return _scored(asked, np.sign(predicted_BT[asked.where_BT]), (), setting)


def _scored(
    asked: Asked, predicted_B: np.ndarray, texts: Sequence[str], setting: Mapping[str, Any]
) -> Answers:
    predicted_BT = np.broadcast_to(predicted_B[:, None], asked.y_BT.shape)
    failures = int(np.isnan(predicted_B).sum())
    return Answers(predicted_B, tuple(texts), failures, scored(asked, predicted_BT, setting))
