"""The style of all figures; figures as files, and as parts of a page."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib
from cycler import cycler
from markupsafe import Markup
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from attention.errors import InputError
from attention.files.writing import write_bytes

# Colours that colour-blind people can tell apart. Source: Okabe and Ito (2008).
BLUE, ORANGE, GREEN, PURPLE, VERMILION = "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00"
SKY, GREY = "#56b4e9", "#7f7f7f"
CYCLE = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY)
# `figure_to_svg` replaces these two by the colours of the page around the figure.
INK, FAINT = "#010203", "#040506"
DARK = "#1d2329"  # ink of a figure in a file of its own
DOTS = 150  # per inch
NOTEBOOK_DOTS = 80
STYLE: dict[Any, Any] = {
    "svg.hashsalt": "tale",
    "svg.fonttype": "none",
    "font.size": 10,
    "axes.prop_cycle": cycler(color=CYCLE),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}
INKED = ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color")


@contextlib.contextmanager
def figure_style(ink: str = DARK) -> Iterator[None]:
    """Use the project's style in a block, whatever the user's matplotlibrc says."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE | dict.fromkeys(INKED, ink))
        yield


def save_figure(draw: Callable[[], Figure], *files: str | Path) -> None:
    """Draw a figure in the project's style, and write it to files.

    Args:
        draw: makes the figure, as ``Figure(figsize=(7, 4), layout="constrained")``.
        files: each name ends in the format: ``.svg``, ``.png``, ``.pdf``, …

    Raises:
        InputError: a name does not end in the format of a picture, or a file cannot be written.
    """
    kinds = FigureCanvasAgg.get_supported_filetypes()
    for file in files:
        if Path(file).suffix[1:] not in kinds:
            raise InputError(f"{file}: a picture's name ends in {', '.join(sorted(kinds))}")
    with figure_style():
        figure = draw()
        for file in files:
            kind = Path(file).suffix[1:]
            undated = {"Date": None} if kind == "svg" else None  # the same bytes every time
            data = io.BytesIO()
            figure.savefig(data, format=kind, dpi=DOTS, metadata=undated)
            write_bytes(file, data.getvalue())


def figure_to_png(draw: Callable[[], Figure]) -> bytes:
    """Draw a figure in the project's style on white, as the bytes of a PNG file."""
    data = io.BytesIO()
    with figure_style():
        draw().savefig(data, format="png", dpi=NOTEBOOK_DOTS)
    return data.getvalue()


def figure_to_svg(draw: Callable[[], Figure], description: str) -> Markup:
    """Draw a figure as an SVG element of an HTML page.

    Text and lines take the text colour of the page; ``FAINT`` becomes ``var(--line)``.

    Args:
        draw: makes the figure.
        description: what the figure shows, for those who cannot see it.
    """
    text = io.StringIO()
    nothing: dict[str, Any] = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with figure_style(INK):
        draw().savefig(text, format="svg", transparent=True, metadata=nothing)
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r' xmlns(:xlink)?="[^"]*"', "", svg)  # HTML needs no addresses for these names
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)  # two figures of a page may not have the same id
    svg = svg.replace("xlink:href", "href")
    svg = svg.replace(INK, "currentColor").replace(FAINT, "var(--line)")
    label = Markup.escape(description)
    return Markup(svg.replace("<svg", f'<svg role="img" aria-label="{label}"', 1))
