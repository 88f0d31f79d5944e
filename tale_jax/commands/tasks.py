"""``tale tasks``: the tasks that have a name."""

from __future__ import annotations

from attention.command_line import Result, command
from tale_jax.tasks import named_tasks


@command
def tasks() -> Result:
    """List the tasks that have a name.

    Returns:
        One line about each.
    """
    found = named_tasks()
    return Result(found, *(f"{name:20}{line}" for name, line in found.items()))
