"""Gives the prompts of every setting to every predictor, and scores the predictions."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from attention.errors import InputError
from icl.tasks import Case, Predictor, PromptOptions, Row, Task, Values, task_asked
from icl.training import load

Rows = list[Row]


def evaluate(
    task: Task,
    cases: Iterable[Case],
    by_name: Mapping[str, Predictor],
    advance: Callable[[], None] = lambda: None,
    look: Callable[[Case, Mapping[str, Values]], None] | None = None,
) -> tuple[Rows, Rows]:
    """Score every predictor on every case.

    Args:
        task: scores predictions.
        cases: the prompts of each setting.
        by_name: predictors by their names.
        advance: called after each case.
        look: called with each case and the answers of all predictors.

    Returns:
        The rows of ``errors.csv``, with predictor, setting and scores; and the rows of
        ``positions.csv``, with the error at each position, even if the position does not count.
    """
    rows, positions = [], []
    for case in cases:
        answers: dict[str, Values] = {}
        for name, predict in by_name.items():
            predicted_FBT = np.asarray(predict(case.x_BTD, case.y_FBT))
            if look is not None:
                answers[name] = predicted_FBT
            named = {"predictor": name, **case.setting}
            rows.append({**named, **task.score(case, predicted_FBT)})
            errors_T = task.loss.error(predicted_FBT, case.y_FBT).mean(axis=(0, 1))
            positions += [
                {**named, "position": t + 1, "error": float(error)}
                for t, error in enumerate(errors_T)
            ]
        if look is not None:
            look(case, answers)
        advance()
    return rows, positions


def run_tasks(options: PromptOptions, runs: Sequence[Path]) -> list[tuple[Task, list[Path]]]:
    """The tasks of a test, each with the runs that it tests.

    Args:
        options: change the tasks.
        runs: directories of ``icl train``; without runs there is one task, that of the options.

    Raises:
        InputError: a directory holds no run, or runs learned different kinds of tasks.
    """
    if not runs:
        return [(task_asked(options), [])]
    learned = [(load(run).task, run) for run in runs]
    kinds = {type(task) for task, _ in learned}
    if len(kinds) > 1:
        names = ", ".join(str(task) for task, _ in learned)
        raise InputError(f"runs of different kinds ({names}) have no scores in common: one by one")
    groups: dict[Hashable, tuple[Task, list[Path]]] = {}
    for task, run in learned:
        groups.setdefault(task.peers, (task_asked(options, task), []))[1].append(run)
    return list(groups.values())
