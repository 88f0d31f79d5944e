"""``attn probe``: what does a language model know of grammar?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from attention import files
from attention.command_line import Commas, OneOf, Result, command
from attention.language import probing
from attention.language.probing import PROBES, Asked
from attention.options import Devices, Display, Hub
from attention.terminal import plain_table


@command
def probe(
    model: str,
    task: Annotated[tuple[str, ...], Commas(metavar="NAME,NAME"), OneOf(PROBES)],
    *,
    out: Path | None = None,
    resume: bool = False,
    asked: Asked = Asked(),
    devices: Devices = Devices(),
    hub: Hub = Hub(),
    display: Display = Display(),
) -> Result:
    """Ask a language model what it knows of grammar, and write a report.

    Every score stands beside chance and beside the scores of n-gram models.

    Args:
        model: a run of attn pretrain, local folder, GGUF file, package:NAME or hub id
        task: what is asked
        out: directory of the results; by default probe/ in the run that is probed
        resume: go on with the probing in --out
        asked: what is asked, and how
        devices: that hold the model
        hub: what is taken from the hub
        display: what is shown

    Raises:
        InputError: the model or the data cannot be read, a task or rule is not for this kind of
            model, or --out cannot be used.
    """
    files.use_compilation_cache()
    summary = probing.probe_model(
        model, task, out, asked, devices=devices, revision=hub.revision, resume=resume,
        quiet=display.quiet,
    )  # fmt: skip
    page = Path(summary["out"]) / "report.html"
    return Result({**summary, "report": page}, *_shown(summary), f"report: {page}")


def _shown(summary: dict[str, Any]) -> list[Any]:
    """The tables for the terminal."""
    parts: list[Any] = []
    if tasks := summary["tasks"]:
        floors = list(next(iter(tasks.values()))["floors"])
        columns = ["task", "rule", "accuracy [95 %]", "chance", *floors]
        rows = [
            [
                task, row["rule"] or "", _interval(row), _percent(row["chance"]),
                *(_percent(row["floors"][f]["accuracy"]) for f in floors if f in row["floors"]),
            ]
            for task, row in tasks.items()
        ]  # fmt: skip
        parts.append(plain_table(columns, rows))
    if layers := summary["layers"]:
        columns = ["label", "best layer", "accuracy [95 %]", "control", "untrained", "majority"]
        rows = [
            [label, str(row["layer"]), _interval(row)]
            + [_percent(row[name]) for name in ("control", "untrained", "majority")]
            for label, row in layers.items()
        ]
        parts += [*([""] if parts else []), plain_table(columns, rows, 1)]
    return parts + summary["notes"]


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _interval(row: dict[str, float]) -> str:
    return "{} [{}, {}]".format(*(_percent(row[name]) for name in ("accuracy", "low", "high")))
