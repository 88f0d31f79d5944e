"""Pictures of an evaluation: heat maps, curves, boundary values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Rows = Sequence[Mapping[str, Any]]
Numbers = Sequence[float] | np.ndarray
MAPS_ACROSS = 4  # then another row of them


def _axes(
    columns: int = 1, width: float = 4.6, height: float = 3.6, rows: int = 1
) -> tuple[Any, list[Any]]:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(
        rows,
        columns,
        figsize=(width * columns, height * rows),
        squeeze=False,
        layout="constrained",
    )
    return figure, list(axes.flat)


def _save(figure: Any, path: Path) -> None:
    from matplotlib import pyplot

    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def heat_map(path: Path, rows: Rows, down: str, across: str) -> None:
    """``error_over_zero`` of each predictor over two axes of a sweep, logarithmic colours."""
    from matplotlib.colors import LogNorm

    names = list(dict.fromkeys(row["predictor"] for row in rows))
    ys, xs = (list(dict.fromkeys(row[axis] for row in rows)) for axis in (down, across))
    columns = min(len(names), MAPS_ACROSS)
    tall = max(1.2, min(3.6, 0.5 * len(ys) + 0.8))
    figure, axes = _axes(columns, 3.6, tall, -(-len(names) // columns))
    image = None
    for i, (ax, name) in enumerate(zip(axes, names, strict=False)):
        table = np.full((len(ys), len(xs)), np.nan)
        for row in rows:
            if row["predictor"] == name:
                place = ys.index(row[down]), xs.index(row[across])
                table[place] = max(row["error_over_zero"], 1e-4)
        image = ax.imshow(
            table, norm=LogNorm(1e-3, 2), origin="lower", aspect="auto", cmap="viridis"
        )
        first, last = i % columns == 0, i + columns >= len(names)
        ax.set(title=name, xlabel=across if last else "", ylabel=down if first else "")
        ax.set_xticks(range(len(xs)), [_tick(x) for x in xs])
        ax.set_yticks(range(len(ys)), [_tick(y) if first else "" for y in ys])
    for ax in axes[len(names) :]:
        ax.set_visible(False)
    figure.colorbar(image, ax=axes, label="error / error of zero", extend="both")
    _save(figure, path)


def _tick(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _line(ax: Any, xs: Sequence[Any], ys: Sequence[float], name: str) -> Any:
    """Words stand side by side, numbers where they are."""
    words = isinstance(xs[0], str)
    (line,) = ax.plot(range(len(xs)) if words else xs, ys, "o-", label=name)
    if words:
        ax.set_xticks(range(len(xs)), xs, rotation=20)
    elif len(xs) <= 10:
        ax.set_xticks(xs, [_tick(x) for x in xs])
    return line


def curves(path: Path, rows: Rows, across: str, *, value: str = "error") -> None:
    """``error`` of each predictor along one axis, logarithmic, with its interval."""
    figure, (ax,) = _axes(1, 6.0)
    for name in dict.fromkeys(row["predictor"] for row in rows):
        mine = [row for row in rows if row["predictor"] == name]
        xs, ys = [row[across] for row in mine], [max(row[value], 1e-6) for row in mine]
        line = _line(ax, xs, ys, name)
        if "low" in mine[0]:
            low, high = ([max(row[end], 1e-6) for row in mine] for end in ("low", "high"))
            ax.fill_between(line.get_xdata(), low, high, color=line.get_color(), alpha=0.2)
    ax.set(xlabel=across, ylabel=value, yscale="log")
    ax.legend(fontsize=8)
    _save(figure, path)


def accuracies(path: Path, rows: Rows, across: str, value: str) -> None:
    """``value`` of each predictor along one axis, between 0 and 1, beside a constant answer's."""
    figure, (ax,) = _axes(1, 6.4)
    for name in dict.fromkeys(row["predictor"] for row in rows):
        mine = [row for row in rows if row["predictor"] == name]
        _line(ax, [row[across] for row in mine], [row[value] for row in mine], name)
    floor = max(row[f"constant_{value}"] for row in rows)
    ax.axhline(floor, ls=":", color="grey", label="a constant answer")
    words = value.replace("_", " ")
    ax.set(xlabel=across, ylabel=words if "accuracy" in words else f"balanced accuracy {words}")
    ax.set_ylim(min(0.45, *(row[value] for row in rows)) - 0.02, 1.02)
    ax.legend(fontsize=8)
    _save(figure, path)


def boundary(
    path: Path,
    slopes: Numbers,
    along_slopes: Numbers,
    queries: Numbers,
    along_queries: Numbers,
    limits: tuple[float, float] | None,
) -> None:
    """Output against the true value, along slopes and along inputs, with the limits c±."""
    figure, (left, right) = _axes(2)
    left.plot(slopes, slopes, ":", color="grey", label="f(1) = c")
    left.plot(slopes, along_slopes, label="model")
    left.set(title="f = c·x at x = 1", xlabel="c", ylabel="output")
    right.plot(queries, queries, ":", color="grey", label="f(x) = x")
    right.plot(queries, along_queries, label="model")
    right.set(title="f = x, at a last x far away", xlabel="x")
    right.set_xscale("symlog", linthresh=1)
    right.set_xticks([-1e4, -1e2, -1, 1, 1e2, 1e4])
    for ax, curve in ((left, along_slopes), (right, along_queries)):
        bounds = [*curve, *(limits or ())]
        room = 0.3 * (max(bounds) - min(bounds)) + 1e-9
        ax.set_ylim(min(bounds) - room, max(bounds) + room)
    for i, limit in enumerate(limits or ()):
        right.axhline(limit, ls="--", lw=0.8, color="C3", label="c+, c−, from weights" * (not i))
    left.legend(fontsize=8)
    right.legend(fontsize=8)
    _save(figure, path)
