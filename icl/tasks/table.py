"""The table of tasks; a preset such as ``linear-12l8ah`` names one before its architecture."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attention.choices import Choices, resolve
from icl.tasks import functions
from icl.tasks.options import PromptOptions, given_options

if TYPE_CHECKING:
    from icl.tasks.kind import Task

VALUES, SENTENCES = "icl.tasks.functions:FunctionTask", "icl.tasks.quantifiers:Quantifiers"


@dataclasses.dataclass(frozen=True)
class TaskRow:
    """A task that can be chosen by name.

    Attributes:
        kind: a subclass of `Task`, or its name as ``package.module:Class``.
        settings: options of that class which make this task.
    """

    kind: type[Task] | str
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def make(self, **options: Any) -> Task:
        """Make the task.

        Args:
            options: options that are not the default.

        Raises:
            InputError: the kind of task has no such option, or the option has no such value.
        """
        kind: type[Task] = resolve(self.kind)
        return kind().changed(**self.settings).changed(**options)


TASKS = Choices(
    "task",
    {
        "linear": TaskRow(VALUES, {"functions": "affine"}),
        "polynomial": TaskRow(VALUES, {"functions": "polynomial:degree=3"}),
        "chebyshev": TaskRow(VALUES, {"functions": "chebyshev:degree=5"}),
        "garg": TaskRow(VALUES, {"functions": "linear:d=20"}),
        **{
            name: TaskRow(VALUES, {"functions": name})
            for name in ("sparse", "noisy", "quadratic", "relu-network", "tree", "classification")
        },
        **{name: TaskRow(SENTENCES, {"quantifier": name}) for name in ("every", "some", "mix")},
    },
    own=TaskRow,
    group="in context task",
)
"""All tasks; ``module:Class`` names a task of one's own."""


def task_asked(options: PromptOptions, learned: Task | None = None) -> Task:
    """The task of a test.

    Args:
        options: name a task, or change some of its options.  ``functions`` may name a task too.
        learned: the task that the first model under test learned; it is tested unless another
            task is named.

    Raises:
        InputError: there is no such task, or it has no such option.
    """
    given = given_options(options)
    given.pop("sweep", None)
    name = given.pop("task", None)
    if options.functions in TASKS and options.functions not in functions.FUNCTIONS:
        name = given.pop("functions")
    task = TASKS.pick(name or "linear").make() if name or learned is None else learned
    return task.changed(**given)
