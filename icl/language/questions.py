"""Asks a language model, and the predictors compared with it, the questions of every setting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from icl.language.answering import Answerer
from icl.tasks import Case, Form, Predictor, Row, Setting, Task


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
) -> tuple[list[Row], list[Row]]:
    """Ask a language model the questions of every setting, and its rivals to predict the same.

    Args:
        task: writes the questions, and reads and scores the answers.
        settings: of the task.
        name: the language model's name in the rows.
        answer: the answerer.
        rivals: trained models and baselines; their numbers are not rounded.
        form: how questions are written.

    Returns:
        A row of scores for each setting and predictor, with ``asked``, the number of questions, and
        ``failures``, the number of answers that cannot be read; and each answer with its setting.
    """
    rows, answers = [], []
    for setting in settings:
        case = task.questions(setting, form.count, form.seed)
        said = answer(texts(task, case, form))
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
