"""What a command returns: values for programs, and the text for people."""

from __future__ import annotations

import base64
import dataclasses
import html
import io
import json
import math
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attention import files

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.console import RenderableType


class Result(dict[str, Any]):
    """The values of a command by name, which ``--json`` prints, and the text that shows them.

    ::

        return Result({"accuracy": 0.75, "total": 40}, "accuracy 75.0 %, 30 of 40")

    Args:
        values: what programs read; a JSON object.
        shown: texts and rich renderables, such as the tables of :mod:`attention.terminal`, in the
            order in which they are printed.  Without any, the values are printed as JSON.
        figure: draws the one figure that a notebook shows below the text.
    """

    def __init__(
        self,
        values: Mapping[str, Any],
        *shown: str | RenderableType,
        figure: Callable[[], Figure] | None = None,
    ):
        super().__init__(values)
        self.shown, self.figure = shown, figure

    def __str__(self) -> str:
        """The text to print, as wide as the terminal, or 80 columns if there is none."""
        if not self.shown:
            return as_json(self, indent=2)
        return "\n".join(part if isinstance(part, str) else _drawn(part) for part in self.shown)

    def _repr_html_(self) -> str:
        """The tables, texts and the figure, as a notebook shows them."""
        parts = list(filter(None, map(_html, self.shown or (str(self),))))
        if self.figure is not None:
            picture = base64.b64encode(files.figure_to_png(self.figure)).decode()
            parts.append(f'<img alt="figure" src="data:image/png;base64,{picture}">')
        return "\n".join(parts)


def _html(part: str | RenderableType) -> str:
    """A text or a table as HTML; every letter of it is escaped."""
    columns = getattr(part, "columns", None)
    if columns is None:
        text = part if isinstance(part, str) else getattr(part, "plain", None) or _drawn(part)
        return f"<pre>{html.escape(text)}</pre>" if text.strip() else ""
    heads = "".join(f"<th>{html.escape(str(column.header))}</th>" for column in columns)
    rows = zip(*(column.cells for column in columns), strict=True)
    cells = ("".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) for row in rows)
    body = "".join(f"<tr>{row}</tr>" for row in cells)
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"


def as_text(result: object) -> str:
    """The text to print for what a command returned; empty for None."""
    if result is None:
        return ""
    own = type(result).__str__ is not object.__str__
    return str(result) if own else as_json(result, indent=2)


def as_json(result: object, indent: int | None = None) -> str:
    """Write a value as JSON: dataclasses become objects, arrays lists, paths texts and NaN null."""
    return json.dumps(_plain(result), indent=indent)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if (as_list := getattr(value, "tolist", None)) is not None:  # arrays and their scalars
        return _plain(as_list())
    if isinstance(value, float) and not math.isfinite(value):
        return None  # JSON has no such number
    return str(value) if isinstance(value, Path) else value


def _drawn(renderable: RenderableType) -> str:
    """Print a rich renderable as text without colours."""
    from rich.console import Console  # not needed for texts

    width, page = shutil.get_terminal_size((80, 24)).columns, io.StringIO()
    console = Console(file=page, width=width, color_system=None, markup=False, emoji=False,
                      force_jupyter=False)  # fmt: skip
    console.print(renderable, highlight=False)
    return "\n".join(line.rstrip() for line in page.getvalue().splitlines())
