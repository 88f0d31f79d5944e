"""``icl runs``."""

from __future__ import annotations

from pathlib import Path

from attention import files
from attention.command_line import Result, command
from attention.terminal import plain_table

COLUMNS = ("run", "command", "what", "seeds", "step", "loss")


@command
def runs(under: Path = Path("runs")) -> Result:
    """List the runs below a folder: which preset was trained, how far, and to which loss.

    Args:
        under: the folder in which run directories lie, at any depth

    Returns:
        ``runs``: of each the ``run``, ``command``, ``what``, ``seeds``, last ``step`` and ``loss``.
    """
    found = []
    for run in files.find_runs(under, "icl"):
        metrics = run.path / "metrics.jsonl"
        last = files.read_json_lines(metrics)[-1:] if metrics.is_file() else []
        found.append(
            {
                "run": str(run.path.relative_to(under)),
                "command": run.command.partition(" ")[2],
                "what": run.settings.get("preset") or run.settings.get("model") or "",
                "seeds": run.settings.get("seeds", ""),
                "step": last[0].get("step", -1) + 1 if last else None,
                "loss": last[0].get("loss") if last else None,
            }
        )
    rows = [
        [str("" if v is None else f"{v:.4g}" if isinstance(v, float) else v) for v in each.values()]
        for each in found
    ]
    shown = plain_table(COLUMNS, rows, words=3) if rows else f"no runs below {under}"
    return Result({"runs": found}, shown)
