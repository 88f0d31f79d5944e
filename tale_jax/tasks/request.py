"""What a task is asked for by, and what can answer: the rows of the table of sources."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from tale_jax.tasks.examples import Task

Split = Literal["search", "test", "train", "validation"]
ChoiceForm = Literal["letters", "text"]
"""What the choices of a benchmark are: the letters of its options, or the options themselves."""


@dataclasses.dataclass(frozen=True)
class Request:
    """The arguments of :func:`~tale_jax.tasks.loading.load_task`.

    Attributes:
        name: of the task.
        data: folder of local files.
        test: file of examples to report on.
        train: file of examples to show.
        holdout: share of the task's file that becomes the test split.
        split: the one split that is wanted; None: search and test.
        choices: the form in which a benchmark is asked; None: the usual one.
        shots: answered examples before every prompt.
        seed: draws the shots.
    """

    name: str
    data: Path | None = None
    test: str | Path | None = None
    train: str | Path | None = None
    holdout: float | None = None
    split: Split | None = None
    choices: ChoiceForm | None = None
    shots: int = 0
    seed: int = 0


@dataclasses.dataclass(frozen=True)
class Source:
    """Where tasks of one kind come from.

    Attributes:
        read: makes the task of a request; ``"package.module:function"`` is imported when used.
        names: gives names, or patterns of names, each with one line about it.
        claims: says whether a name is of this kind, from the name and the folder of local files;
            None: the name is that of the row, or begins with it and a colon.
        own_splits: the task brings its splits, so that files and shares for them are refused.
        own_shots: the task puts the shots before its prompts.
        forms: the choices can be letters or texts.
    """

    read: Callable[[Request], Task] | str
    names: Callable[[], Mapping[str, str]] = dict
    claims: Callable[[str, Path | None], bool] | None = None
    own_splits: bool = True
    own_shots: bool = False
    forms: bool = False
