"""What a command shows of an evaluation: tables on the terminal, the picture that fits a sweep."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from icl.evaluation import write_csv

AXES = ("inputs", "sigma", "degree", "points", "order", "deviant")
SETTINGS = ("design", "sigma", "points", "deviant")  # of quantifiers
SCORES = (
    "accuracy",
    "balanced_accuracy",
    "late_flip_accuracy",
    "late_flip_balanced_accuracy",
    "at_deviant",
    "after_deviant",
    "wrong_prompts",
)
NUMBERS = ("error", "error_over_zero")
Rows = Sequence[Mapping[str, Any]]
Item = TypeVar("Item")


def write(out: Path, rows: Rows, positions: Rows) -> None:
    """``errors.csv``, ``positions.csv``, ``errors.png``; the table is shown."""
    out.mkdir(parents=True, exist_ok=True)
    write_csv(out / "errors.csv", rows)
    write_csv(out / "positions.csv", positions)
    draw(out, rows, positions)
    show(rows, [name for name in rows[0] if name not in ("low", "high")])
    print(f"\n{out / 'errors.csv'}")


def write_scores(out: Path, rows: Rows) -> None:
    """``errors.csv`` and ``errors.png`` of quantifiers; the scores are shown."""
    out.mkdir(parents=True, exist_ok=True)
    write_csv(out / "errors.csv", rows)
    draw_scores(out, rows)
    show_scores(rows)
    print(f"\n{out / 'errors.csv'}")


def write_answers(out: Path, rows: Rows, lines: Sequence[str], quantified: bool) -> None:
    """``errors.csv``, ``answers.jsonl``; the table or, of quantifiers, the scores are shown."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "answers.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    write_csv(out / "errors.csv", rows)
    if quantified:
        show_scores(rows)
    else:
        show(rows, list(rows[0]), ("error", "error_over_zero", "failures"))
    print(f"\n{out / 'errors.csv'}")


def draw(out: Path, rows: Rows, positions: Rows) -> None:
    """``errors.png``: error by position; along one axis that varies; a heat map of two.

    Two axes of which one is a few words (order, deviant) are curves along the other.  More than two
    have no picture, which is said.
    """
    from icl import plots

    varying = [name for name in AXES if len({row.get(name) for row in rows}) > 1]
    words = [name for name in varying if name in ("order", "deviant")]
    if not varying:
        plots.curves(out / "errors.png", positions, "position")
    elif len(varying) == 1:
        plots.curves(out / "errors.png", rows, varying[0])
    elif len(varying) == 2 and words:
        across = next(name for name in varying if name != words[0])
        named = [{**row, "predictor": f"{row['predictor']}, {row[words[0]]}"} for row in rows]
        plots.curves(out / "errors.png", named, across)
    elif len(varying) == 2:
        plots.heat_map(out / "errors.png", rows, *varying)
    else:
        print(f"no picture: {', '.join(varying)} vary, and a picture has two axes")


def show(rows: Rows, columns: Sequence[str], always: Sequence[str] = NUMBERS) -> None:
    """A table of the columns that vary, and of those that are ``always`` shown."""
    from rich.console import Console
    from rich.table import Table

    varying = [c for c in columns if len({str(row[c]) for row in rows}) > 1]
    shown = [c for c in columns if c == "predictor" or c in always or c in varying]
    table = Table(box=None, pad_edge=False)
    for column in shown:
        table.add_column(
            column.replace("_", " "), justify="right" if column != shown[0] else "left"
        )
    for row in rows:
        table.add_row(
            *(f"{x:.4g}" if isinstance(x, float) else str(x) for x in map(row.get, shown))
        )
    Console().print(table)


def show_scores(rows: Rows) -> None:
    """A block a setting of quantifiers: every measure beside that of a constant answer."""
    for i, row in enumerate(rows):
        setting = [f"{name} {row[name]}" for name in SETTINGS if name in row]
        if i == 0 or setting != [f"{name} {rows[i - 1][name]}" for name in SETTINGS if name in row]:
            print(f"{row['kind']}: {', '.join(setting)}")
        print(f"  {row['predictor']}")
        for name in (name for name in SCORES if name in row):
            words, floor = name.replace("_", " "), row[f"constant_{name}"]
            print(f"    {words:28}{row[name]:8.4f}   a constant answer {floor:8.4f}")
        if row.get("failures"):
            print(f"    {'answers of neither':28}{row['failures']:8} of {row['asked']}, wrong")


def draw_scores(out: Path, rows: Rows) -> None:
    """``errors.png``: balanced accuracy along the longest axis, a curve for every other setting.

    Along deviants it is that of the positions after them.
    """
    from icl import plots

    values = {name: {row[name] for row in rows if name in row} for name in SETTINGS}
    across = max(SETTINGS, key=lambda name: len(values[name]))
    if len(values[across]) > 1:
        value = "after_deviant" if across == "deviant" else "balanced_accuracy"
        others = [name for name in SETTINGS if name != across and len(values[name]) > 1]
        named = [
            {
                **row,
                "predictor": ", ".join([row["predictor"], *(str(row[name]) for name in others)]),
                across: float(row[across]) if across in ("sigma", "points") else row[across],
            }
            for row in rows
        ]
        plots.accuracies(out / "errors.png", named, across, value)


def progress(items: Iterable[Item]) -> Iterable[Item]:
    """The same items, with a bar where there is a terminal."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(
        items, "settings", console=console, disable=not console.is_terminal, transient=True
    )
