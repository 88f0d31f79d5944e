"""Asks a language model, and the predictors compared with it, the questions of every setting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from attention.errors import InputError
from attention.files import Journal, RecordKind
from icl.language.answering import Answerer
from icl.tasks import Case, Form, Predictor, Row, Setting, Task
from icl.tasks.functions import FunctionTask, require_functions, root_questions

ROOTS = (
    "Each list holds inputs and values of one unknown function in turn: x1, f(x1), x2, f(x2), … "
    "Find an input at which the function is 0. Answer with the number alone."
)
WORKED_POINTS = 6  # of a worked example of a root


KINDS = {
    "answered": RecordKind(
        ("setting", "first"),
        ("setting", "first", "answers"),
        shape="icl.language.journal_shapes:Answered",
    )
}
"""Records of the journal: the answers of a setting from its question ``first`` on."""


def check(task: Task, settings: Sequence[Setting]) -> None:
    """Check that every setting can be asked as text, before a model is loaded.

    Raises:
        InputError: a setting cannot be asked.
    """
    for setting in settings:
        texts(task, task.questions(setting, 1, 0), Form())


def texts(task: Task, case: Case, form: Form) -> list[str]:
    """The questions of a case as text; each prompt ends at the position that it asks about."""
    where_BT = np.broadcast_to(case.where_BT, case.y_FBT.shape[1:])
    return [
        task.as_text(x_TD[: t + 1, 0], y_T[: t + 1], form)
        for x_TD, y_T, t in zip(case.x_BTD, case.y_FBT[0], where_BT.argmax(axis=1), strict=True)
    ]


def ask(
    task: Task,
    settings: Sequence[Setting],
    name: str,
    answer: Answerer,
    rivals: Mapping[str, Predictor],
    form: Form,
    journal: Journal | None = None,
) -> tuple[list[Row], list[Row]]:
    """Ask a language model the questions of every setting, and its rivals to predict the same.

    Args:
        task: writes the questions, and reads and scores the answers.
        settings: of the task.
        name: the language model's name in the rows.
        answer: the answerer.
        rivals: trained models and baselines; their numbers are not rounded.
        form: how questions are written.
        journal: keeps each part of the answers, and has those that were given before.

    Returns:
        A row of scores for each setting and predictor, with ``asked``, the number of questions, and
        ``failures``, the number of answers that cannot be read; and each answer with its setting.
    """
    rows, answers = [], []
    for number, setting in enumerate(settings):
        case = task.questions(setting, form.count, form.seed)
        said = _answers(number, texts(task, case, form), answer, journal)
        read_B = np.array([task.read(text) for text in said])
        predicted = {name: np.broadcast_to(read_B[None, :, None], case.y_FBT.shape)}
        for rival, predict in rivals.items():
            predicted[rival] = np.asarray(predict(case.x_BTD, case.y_FBT))
        where_FBT = np.broadcast_to(case.where_BT, case.y_FBT.shape)
        for who, found_FBT in predicted.items():
            failures = int(np.isnan(found_FBT[where_FBT]).sum())
            scores = {**task.score(case, found_FBT), "failures": failures, "asked": form.count}
            rows.append({"predictor": who, **case.setting, **scores})
        answers += [{**case.setting, "answer": text} for text in said]
    return rows, answers


def _answers(
    setting: int, prompts: Sequence[str], answer: Answerer, journal: Journal | None
) -> list[str]:
    """The answers to all prompts of a setting; only those that the journal lacks are asked."""
    said: list[str] = []
    while journal and (part := journal.get("answered", setting, len(said))) is not None:
        said += part["answers"]
    if len(said) > len(prompts):
        raise InputError(
            "the journal has more answers than there are questions: choose a new --out"
        )
    for part in answer(prompts[len(said) :]) if len(said) < len(prompts) else ():
        if journal is not None:
            journal.append("answered", setting=setting, first=len(said), answers=part)
        said += part
    return said


def ask_roots(
    task: Task,
    settings: Sequence[Setting],
    answer: Answerer,
    form: Form,
    journal: Journal | None = None,
) -> tuple[list[tuple[Setting, dict[str, float]]], list[Row]]:
    """Ask a language model for roots; worked examples come from the class that is asked.

    Args:
        task: of functions of one number.
        settings: of the task.
        answer: the answerer.
        form: how questions are written.
        journal: as for `ask`.

    Returns:
        Each setting with what `RootQuestions.score` returns, and each answer with its setting.

    Raises:
        InputError: the functions have no roots to compare with, or a setting is not possible.
    """
    functions = require_functions(task)
    drawn = [root_questions(functions, s, count=form.count, seed=form.seed) for s in settings]
    found, answers = [], []
    for number, (setting, asked) in enumerate(zip(settings, drawn, strict=True)):
        front = f"{ROOTS}\n\n{_worked_roots(functions, setting, form)}"
        prompts = [
            f"{front}{_pairs(functions, x_T, y_T, form)}\nAnswer:"
            for x_T, y_T in zip(asked.x_BT, asked.y_BT, strict=True)
        ]
        said = _answers(number, prompts, answer, journal)
        read = [functions.read(text) for text in said]
        scores = asked.score([np.array([] if np.isnan(x) else [x]) for x in read])
        found.append((setting, scores))
        answers += [{**setting, "answer": text} for text in said]
    return found, answers


def _worked_roots(task: FunctionTask, setting: Setting, form: Form) -> str:
    """Worked examples: other functions of the setting, each with its root nearest to 0."""
    short = {**setting, "points": WORKED_POINTS}
    worked = root_questions(task, short, count=16 * form.examples + 1, seed=form.seed + 1)
    found = ""
    for i in [i for i, roots in enumerate(worked.roots) if roots.size][: form.examples]:
        root = worked.roots[i][np.argmin(np.abs(worked.roots[i]))]
        found += f"{_pairs(task, worked.x_BT[i], worked.y_BT[i], form)}\n"
        found += f"Answer: {task.number(root, form.decimals)}\n\n"
    return found


def _pairs(
    task: FunctionTask,
    x_T: Float[np.ndarray, " T"],
    y_T: Float[np.ndarray, " T"],
    form: Form,
) -> str:
    numbers = [each for pair in zip(x_T, y_T, strict=True) for each in pair]
    return f"List: [{', '.join(task.number(each, form.decimals) for each in numbers)}]"
