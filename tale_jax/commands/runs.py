"""``tale runs``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from attention import files
from attention.command_line import Result, command
from attention.errors import InputError
from attention.files import FoundRun
from attention.terminal import plain_table
from tale_jax import runs as room

COLUMNS = ("run", "command", "model", "task", "BEST", "BSBA", "held out")


@command
def runs(under: Path = Path("runs")) -> Result:
    """List the runs below a folder: what was searched, what was found, and whether it holds.

    Held out is the change of BEST's accuracy on the test split against the whole model, in points,
    with an exact p-value.

    Args:
        under: the folder in which run directories lie, at any depth

    Returns:
        ``runs``: of each the ``run``, ``command``, ``state``, ``model`` and ``task``, and of a
        finished search ``best``, ``bsba`` and ``held_out``.
    """
    found = [_described(run, under) for run in files.find_runs(under, "tale")]
    rows = [[str(each[name]) for name in ("run", "command", "model", "task")] + _cells(each)
            for each in found]  # fmt: skip
    shown = plain_table(COLUMNS, rows, words=len(COLUMNS)) if rows else f"no runs below {under}"
    return Result({"runs": found}, shown)


def _described(run: FoundRun, under: Path) -> dict[str, Any]:
    about: dict[str, Any] = {
        "run": str(run.path.relative_to(under)),
        "command": run.command.partition(" ")[2],
        "state": "finished" if run.ended else "unfinished",
        "model": run.settings.get("model", ""),
        "task": run.settings.get("task", ""),
    }
    if run.command != room.SEARCH or not run.ended:
        return about
    try:
        found = room.load_run(run.path)
    except InputError as error:
        return about | {"state": f"damaged: {error}"}
    picks = {pick: found.summary[pick] for pick in ("best", "bsba")}
    test, whole = picks["best"]["test"], found.summary["baseline"]["test"]
    if test is not None and whole is not None:
        about["held_out"] = {
            "change": test["accuracy"] - whole["accuracy"], "p_value": test["p_value"],
        }  # fmt: skip
    return about | picks


def _cells(about: dict[str, Any]) -> list[str]:
    """BEST, BSBA and the verdict of a run in words; its state, if it is no finished search."""
    if "best" not in about:
        return [about["state"], "", ""]
    cells = [f"-{len(about[pick]['dropped'])}: {100 * about[pick]['accuracy']:.1f} %"
             for pick in ("best", "bsba")]  # fmt: skip
    held = about.get("held_out")
    if held is None:
        return [*cells, "no test split"]
    return [*cells, f"{100 * held['change']:+.1f} ({room.p_text(held['p_value'])})"]
