"""``tale runs``, ``icl runs`` and ``attn runs``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attention import files, training
from attention.command_line import Result, command
from attention.errors import InputError
from attention.files import FoundRun
from attention.terminal import plain_table

COLUMNS = ("run", "command", "what", "task", "result")


@command
def runs(under: Path = Path("runs")) -> Result:
    """List the runs below a folder: what was asked of what, and what came out.

    Of a search these are BEST and BSBA, as layers dropped and search accuracy, and the change of
    BEST's accuracy on the test split with its p-value; of training the last step and its loss.

    Args:
        under: the folder in which run directories lie, at any depth

    Returns:
        ``runs``: of each the ``run``, ``command``, ``state``, ``what`` and ``task``; of a search
        ``best``, ``bsba`` and ``held_out``; of training ``step`` and ``loss``.
    """
    found = [_described(run, under) for run in files.find_runs(under)]
    rows = [[*(str(each[name]) for name in COLUMNS[:4]), _shown(each)] for each in found]
    shown = plain_table(COLUMNS, rows, words=len(COLUMNS)) if rows else f"no runs below {under}"
    return Result({"runs": found}, shown)


def _described(run: FoundRun, under: Path) -> dict[str, Any]:
    settings = run.settings
    what = (settings.get(name) for name in ("model", "preset", "recipe", "normalizer"))
    about: dict[str, Any] = {
        "run": str(run.path.relative_to(under)),
        "command": run.command,
        "state": "finished" if run.ended else "unfinished",
        "what": ", ".join(dict.fromkeys(each for each in what if isinstance(each, str) and each)),
        "task": files.short_name(str(settings.get("task") or "")),
    }
    try:
        return about | _searched(run.path) | _trained(run.path)
    except (InputError, KeyError, TypeError, ValueError, AttributeError):
        return about | {"state": "damaged"}


def _searched(path: Path) -> dict[str, Any]:
    """What a search found; nothing if the run is no finished search."""
    summary = files.read_json(path / "summary.json") if (path / "summary.json").is_file() else {}
    if "best" not in summary or "bsba" not in summary:
        return {}
    picks = {pick: _pick(summary[pick]) for pick in ("best", "bsba")}
    test, whole = summary["best"].get("test"), summary["baseline"].get("test")
    if test is None or whole is None:
        return picks
    change = float(test["accuracy"]) - float(whole["accuracy"])
    return picks | {"held_out": {"change": change, "p_value": float(test["p_value"])}}


def _pick(pick: Mapping[str, Any]) -> dict[str, Any]:
    return {"dropped": list(pick["dropped"]), "accuracy": float(pick["accuracy"])}


def _trained(path: Path) -> dict[str, Any]:
    """How far a training came; nothing if the run has no metrics."""
    last = training.read_metrics(path)[-1:] if (path / "metrics.jsonl").is_file() else []
    return {"step": last[0]["step"] + 1, "loss": float(last[0]["loss"])} if last else {}


def _shown(about: Mapping[str, Any]) -> str:
    """The result of a run in words; its state, if there is none."""
    if "loss" in about:
        return f"loss {about['loss']:.4g} after {about['step']} steps"
    if "best" not in about:
        return about["state"]
    parts = [
        f"{name} -{len(about[pick]['dropped'])} {100 * about[pick]['accuracy']:.1f} %"
        for pick, name in (("best", "BEST"), ("bsba", "BSBA"))
    ]
    if held := about.get("held_out"):
        parts.append(f"held out {100 * held['change']:+.1f} (p = {held['p_value']:.2g})")
    return ", ".join(parts)
