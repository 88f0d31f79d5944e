"""The table of tasks: what a preset says before its architecture, as in ``linear-12l8ah``."""

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
        kind: the subclass of `Task`, or its name as ``package.module:Class``.
        settings: options of the kind that make it this task.
    """

    kind: type[Task] | str
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def make(self, **options: Any) -> Task:
        """The task with other options than the defaults.

        Raises:
            InputError: the kind of task has no such option, or the option no such value.
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
)
"""All tasks; ``module:Class`` names a task of one's own."""


def task_asked(options: PromptOptions, learned: Task | None = None) -> Task:
    """The task that a test asks.

    Args:
        options: name a task, or change some of its fields.  ``functions`` may name a task too.
        learned: the task of the first model that is tested.

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
