"""The look of every figure, and figures as files."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

# colours that the colour-blind can tell apart, by Okabe and Ito
BLUE, ORANGE, GREEN, PURPLE, VERMILION = "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00"
SKY, GREY = "#56b4e9", "#7f7f7f"
CYCLE = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY)
STYLE: dict[Any, Any] = {
    "svg.hashsalt": "tale",
    "svg.fonttype": "none",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}
INKED = ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color")


@contextlib.contextmanager
def style(ink: str = "#1d2329") -> Iterator[None]:
    """Our look, whatever the user's own matplotlibrc says."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE | dict.fromkeys(INKED, ink))
        yield


def save_figure(draw: Callable[[], Figure], stem: Path) -> list[Path]:
    """Write what ``draw`` draws as ``stem.svg`` and ``stem.png``."""
    files = [stem.with_suffix(end) for end in (".svg", ".png")]
    with style():
        figure = draw()
        figure.savefig(files[0], metadata={"Date": None})
        figure.savefig(files[1], dpi=150)
    return files
