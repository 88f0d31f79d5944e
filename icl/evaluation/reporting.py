"""What a command shows of an evaluation: tables on the terminal, the picture that fits a sweep."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from icl.evaluation.errors import write_csv

AXES = ("inputs", "sigma", "degree", "points", "order", "deviant")
SETTINGS = ("design", "sigma", "points", "deviant")  # of quantifiers
# measure → its two lines at the head of a table
SCORES = {
    "accuracy": ("", "accuracy"),
    "balanced_accuracy": ("balanced", "accuracy"),
    "late_flip_accuracy": ("late", "flip"),
    "late_flip_balanced_accuracy": ("late", "balanced"),
    "at_deviant": ("at the", "deviant"),
    "after_deviant": ("after", "deviant"),
    "wrong_prompts": ("wrong", "prompts"),
}
CONSTANT = "a constant answer"
WIDTH, CELL = 80, 9
ROWS = 60  # of a table on the terminal; the file has them all
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
    print(f"\n{out / 'errors.csv'}{_more(rows)}")


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
    print(f"\n{out / 'errors.csv'}{'' if quantified else _more(rows)}")


def _more(rows: Rows) -> str:
    return f", {len(rows) - ROWS} rows more" if len(rows) > ROWS else ""


def draw(out: Path, rows: Rows, positions: Rows) -> None:
    """``errors.png``: error by position; along one axis that varies; a heat map of two.

    Two axes of which one is a few words (order, deviant) are curves along the other.  More than two
    have no picture, which is said.
    """
    from icl.evaluation import plots

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
    """A table of the columns that vary, and of those that are ``always`` shown; ``ROWS`` rows."""
    from rich.console import Console
    from rich.table import Table

    varying = [c for c in columns if len({str(row[c]) for row in rows}) > 1]
    shown = [c for c in columns if c == "predictor" or c in always or c in varying]
    table = Table(box=None, pad_edge=False)
    for column in shown:
        table.add_column(
            column.replace("_", " "), justify="right" if column != shown[0] else "left"
        )
    for row in rows[:ROWS]:
        table.add_row(
            *(f"{x:.4g}" if isinstance(x, float) else str(x) for x in map(row.get, shown))
        )
    Console().print(table)


def show_scores(rows: Rows) -> None:
    """A table a setting of quantifiers: every measure, the better constant answer's above.

    One question a prompt makes "wrong prompts" what accuracy lacks to 1: it is left out there.
    """
    for (kind, *setting), group in itertools.groupby(rows, _setting):
        mine = list(group)
        asked = mine[0].get("asked")
        names = [name for name in SCORES if name in mine[0]]
        names = [name for name in names if asked is None or name != "wrong_prompts"]
        heads = [SCORES[name] for name in names] + [("failed", f"of {asked}")] * (asked is not None)
        longest = max(map(len, [CONSTANT, *(row["predictor"] for row in mine)]))
        width = min(longest, WIDTH - CELL * len(heads))
        print("\n" + ", ".join([kind, *setting]))
        for line in (0, 1):
            print(" " * width + "".join(f"{head[line]:>{CELL}}" for head in heads))
        constant = {name: mine[0][f"constant_{name}"] for name in names}
        for row in ({"predictor": CONSTANT, **constant}, *mine):
            cells = [f"{row[name]:.3f}" for name in names]
            cells += [str(row.get("failures", 0))] * (asked is not None)
            name = row["predictor"]
            name = name if len(name) <= width else f"{name[: width - 1]}…"
            print(f"{name:{width}}" + "".join(f"{cell:>{CELL}}" for cell in cells))


def _setting(row: Mapping[str, Any]) -> tuple[str, ...]:
    said = (f"{name}={row[name]}" for name in SETTINGS if name in row)
    return (row["kind"], *said)


def draw_scores(out: Path, rows: Rows) -> None:
    """``errors.png``: balanced accuracy along the longest axis, a curve for every other setting.

    Along deviants it is that of the positions after them.
    """
    from icl.evaluation import plots

    values = {name: {row[name] for row in rows if name in row} for name in SETTINGS}
    across = max(SETTINGS, key=lambda name: len(values[name]))
    if len(values[across]) > 1:
        value = "after_deviant" if across == "deviant" else "balanced_accuracy"
        others = [name for name in SETTINGS if name != across and len(values[name]) > 1]
        others += ["kind"] * (len({row["kind"] for row in rows}) > 1)
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
