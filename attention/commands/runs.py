"""``attn runs``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attention import files
from attention.command_line import Result, command
from attention.errors import InputError
from attention.terminal import plain_table

COLUMNS = ("run", "command", "what", "normalizer", "held-out loss", "state")


@command
def runs(under: Path = Path("runs")) -> Result:
    """List the runs below a folder: what was pretrained, probed, compared or explained.

    Args:
        under: the folder in which run directories lie, at any depth

    Returns:
        ``runs``: of each the ``run``, ``command``, ``what``, ``normalizer``, ``loss`` and
        ``state``.
    """
    found = []
    for run in files.find_runs(under, "attn"):
        settings = run.settings
        found.append(
            {
                "run": str(run.path.relative_to(under)),
                "command": run.command.partition(" ")[2],
                "what": _what(settings),
                "normalizer": settings.get("normalizer", ""),
                "loss": _loss(run.path / "summary.json"),
                "state": "finished" if run.ended else "unfinished",
            }
        )
    rows = [
        [str("" if v is None else f"{v:.4g}" if isinstance(v, float) else v) for v in each.values()]
        for each in found
    ]
    shown = plain_table(COLUMNS, rows, words=4) if rows else f"no runs below {under}"
    return Result({"runs": found}, shown)


def _what(settings: Mapping[str, Any]) -> str:
    """What a run is about: its model, its recipe, its task."""
    recipe = settings.get("recipe")
    if isinstance(recipe, Mapping):
        recipe = recipe.get("name") or recipe.get("description")
    parts = [settings.get("model"), recipe, settings.get("task")]
    return ", ".join(part for part in parts if isinstance(part, str))


def _loss(summary: Path) -> float | None:
    """The loss of a pretrained model on held-out text, if there is one."""
    if not summary.is_file():
        return None
    try:
        return float(files.read_json(summary)["in_domain"]["loss"])
    except (InputError, KeyError, TypeError, ValueError):
        return None
