"""Every setting of a sweep, asked of a language model and of what is compared with it.

What can be wrong with a sweep, a run or a name is found before the model is loaded or asked.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from attention.errors import InputError
from icl.evaluation import Design, quantifier_evaluation, sweeps
from icl.evaluation import errors as evaluation
from icl.language import functions, quantifiers
from icl.language.answering import Answerer
from icl.tasks import Quantifiers, distribution
from icl.tasks.functions import FunctionClass, function_class

Rows = list[dict[str, Any]]
Ready = Callable[[str, Answerer, "Form"], tuple[Rows, list[str]]]


@dataclasses.dataclass(frozen=True)
class Form:
    """Of a question.

    Attributes:
        count: questions a setting.
        examples: worked ones.
        decimals: of every number.
        seed: of the numbers.
    """

    count: int = 100
    examples: int = 5
    decimals: int = 2
    seed: int = 0


def functions_asked(
    text: str,
    coefficients: str,
    inputs: str,
    points: int,
    names: Sequence[str],
    runs: Sequence[Path],
    sweep: Sequence[str],
) -> Ready:
    """``(name, answerer, form) -> (rows, lines)``.

    A row a setting and predictor; a line of JSON an answer.

    Raises:
        InputError: bad settings.
    """
    of = function_class(text)
    if of.d != 1:
        raise InputError("prompts as text are of functions of one number")
    settings = sweeps.designs(sweep, Design(inputs=inputs, points=points))
    for design in settings:  # raises what is wrong with them
        sweeps.drawn(design, of, coefficients, count=1, prompts=1)
    rivals = evaluation.predictors(names, runs) if names or runs else {}
    return functools.partial(_ask_functions, rivals, (of, coefficients), settings)


def _ask_functions(
    rivals: Mapping[str, evaluation.Predictor],
    of: tuple[FunctionClass, str],
    settings: Sequence[Design],
    name: str,
    answer: Answerer,
    form: Form,
) -> tuple[Rows, list[str]]:
    rows, lines, count = [], [], form.count
    for design in settings:
        case = sweeps.drawn(design, *of, count=count, prompts=count, seed=form.seed)
        found = functions.ask(
            case, answer, count=count, examples=form.examples, decimals=form.decimals
        )
        said = {name: found}
        said |= {rival: functions.compare(case, rivals[rival], count=count) for rival in rivals}
        for who, each in said.items():
            numbers = {"error": each.error, "error_over_zero": each.error / each.error_of_zero}
            numbers |= {"failures": each.failures, "asked": count}
            rows.append({"predictor": who, **case.labels, **numbers})
        lines += [json.dumps({**case.labels, "answer": text}) for text in found.texts]
    return rows, lines


def quantifiers_asked(
    kind: str,
    inputs: str,
    points: int,
    labels: bool,
    names: Sequence[str],
    runs: Sequence[Path],
    sweep: Sequence[str],
) -> Ready:
    """The same of quantifiers.

    Raises:
        InputError: bad settings.
    """
    task = Quantifiers(kind, distribution(inputs), points, labels=labels)  # type: ignore[arg-type]
    settings = quantifier_evaluation.settings(sweep)
    for setting in settings:
        quantifiers.questions(task, setting, 1, 0)
    rivals, _ = quantifier_evaluation.predictors(names, runs, task)
    return functools.partial(_ask_quantifiers, rivals, task, settings)


def _ask_quantifiers(
    rivals: Mapping[str, quantifier_evaluation.Predictor],
    task: Quantifiers,
    settings: Sequence[Mapping[str, Any]],
    name: str,
    answer: Answerer,
    form: Form,
) -> tuple[Rows, list[str]]:
    rows, lines = [], []
    for setting in settings:
        asked = quantifiers.questions(task, setting, form.count, form.seed)
        found = quantifiers.ask(
            task, asked, answer, setting, examples=form.examples, decimals=form.decimals
        )
        said = {name: found}
        said |= {who: quantifiers.compare(asked, rivals[who], setting) for who in rivals}
        for who, each in said.items():
            numbers = {**each.numbers, "failures": each.failures, "asked": form.count}
            rows.append({"predictor": who, **setting, "kind": task.kind, **numbers})
        labels = {**setting, "kind": task.kind}
        lines += [json.dumps({**labels, "answer": text}) for text in found.texts]
    return rows, lines
