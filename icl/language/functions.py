"""Prompts of functions as text.

A prompt shows numbers ``[x1, f(x1), x2, …, xn]`` rounded to a few decimals, after worked examples,
and asks for f(xn) alone; the first number of the answer counts, and answers without one are counted
as failures.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from icl.evaluation import Case
from icl.evaluation.errors import Predictor
from icl.language.answering import Answerer

TASK = (
    "Each list holds inputs and values of one unknown function in turn: x1, f(x1), x2, f(x2), … "
    "Predict the value that follows the last input. Answer with the number alone."
)


@dataclasses.dataclass(frozen=True)
class Answers:
    """What came back.

    Attributes:
        predicted: NaN where no number was found.
        failures: how many those are.
        error: mean squared error of the others.
        error_of_zero: of predicting 0, on the same prompts.
    """

    predicted: Float[np.ndarray, " N"]
    texts: tuple[str, ...]
    failures: int
    error: float
    error_of_zero: float


def write(x_T: Any, y_T: Any, decimals: int = 2) -> str:
    """``[x1, f(x1), …, xn]``: the last value is left out."""
    numbers = [number for pair in zip(x_T, y_T, strict=True) for number in pair][:-1]
    return "[" + ", ".join(f"{_rounded(number, decimals)}" for number in numbers) + "]"


def _rounded(number: float, decimals: int) -> str:
    return f"{round(float(number), decimals) + 0.0:.{decimals}f}"  # + 0.0: no "-0.00"


def prompt(x_T: Any, y_T: Any, examples: int = 5, decimals: int = 2, seed: int = 0) -> str:
    """Worked examples of other linear functions, then the question."""
    rng, parts = np.random.default_rng(seed), [TASK, ""]
    for _ in range(examples):
        points, (a, b) = rng.normal(size=4), rng.normal(size=2)
        values = a * points + b
        answer = _rounded(values[-1], decimals)
        parts += [f"List: {write(points, values, decimals)}", f"Answer: {answer}", ""]
    return "\n".join([*parts, f"List: {write(x_T, y_T, decimals)}", "Answer:"])


def parse(text: str) -> float:
    """The first number, NaN if there is none; thousands' commas are read."""
    text = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text.replace("−", "-"))
    found = re.search(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?", text)
    return float(found.group()) if found else float("nan")


def ask(
    case: Case,
    answer: Answerer,
    *,
    count: int = 100,
    examples: int = 5,
    decimals: int = 2,
) -> Answers:
    """Asks for the last value of ``count`` prompts, a different function each where there are."""
    x_BTD, y_BT = _asked(case, count)
    texts = answer(
        [
            prompt(x_T, y_T, examples, decimals)
            for x_T, y_T in zip(x_BTD[:, :, 0], y_BT, strict=True)
        ]
    )
    return _scored(np.array([parse(text) for text in texts]), y_BT[:, -1], texts)


def compare(case: Case, predict: Predictor, *, count: int = 100) -> Answers:
    """What a trained model or a baseline says of the same last values, unrounded."""
    x_BTD, y_BT = _asked(case, count)
    return _scored(predict(x_BTD, y_BT[None])[0, :, -1], y_BT[:, -1], ())


def _asked(case: Case, count: int) -> tuple[np.ndarray, np.ndarray]:
    functions, prompts, _ = case.y_FBT.shape
    pairs = [(i % functions, (i // functions + i) % prompts) for i in range(count)]
    x_BTD = np.stack([case.x_BTD[b] for _, b in pairs])
    return x_BTD, np.stack([case.y_FBT[f, b] for f, b in pairs]).astype(np.float64)


def _scored(predicted: np.ndarray, truths: np.ndarray, texts: Sequence[str]) -> Answers:
    good = np.isfinite(predicted)
    squares = np.square(predicted - truths)[good]
    return Answers(
        predicted,
        tuple(texts),
        int((~good).sum()),
        float(squares.mean()) if squares.size else float("nan"),
        float(np.mean(np.square(truths))),
    )
