"""What the terminal shows while work runs, and the one style of tables."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from rich.text import Text

from attention.invocation import is_quiet

PATIENCE = 2.0  # seconds until a wait is told of
PAUSE = 60.0  # seconds between two lines of progress where there is no terminal


Steps = Callable[[str, int], contextlib.AbstractContextManager[Callable[[], None]]]
"""Shows progress: called with a description and a number of steps, as :meth:`Terminal.steps`."""


@contextlib.contextmanager
def no_steps(description: str, total: int) -> Iterator[Callable[[], None]]:
    """Show no progress."""
    del description, total
    yield lambda: None


class Terminal:
    """Lines and progress on the standard error, tables on the standard output.

    Progress bars appear where the standard error is a terminal.  Elsewhere, as in a log, long work
    writes one line a minute.

    Args:
        quiet: show nothing at all.
    """

    def __init__(self, quiet: bool = False):
        self._quiet = quiet = quiet or is_quiet()
        self._out = Console(quiet=quiet, highlight=False, soft_wrap=False)
        self._err = Console(quiet=quiet, highlight=False, stderr=True)

    def message(self, line: str) -> None:
        """Print one line."""
        self._err.print(escape(line), soft_wrap=True)

    def table(
        self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], words: int = 2
    ) -> None:
        """Print a title, and a table below it; see :func:`plain_table` for the arguments."""
        self._out.print(escape(title))
        self._out.print(plain_table(columns, rows, words))

    @contextlib.contextmanager
    def bar(self, *columns: ProgressColumn, stays: bool = False) -> Iterator[Progress]:
        """Show a progress display with columns of its own, hidden where there is no terminal.

        Args:
            columns: of the display; rich's own if there are none.
            stays: whether the last state stays on the terminal.
        """
        hidden = self._quiet or not self._err.is_terminal
        with Progress(*columns, console=self._err, transient=not stays, disable=hidden) as bar:
            yield bar

    @contextlib.contextmanager
    def waiting(self, doing: str) -> Iterator[None]:
        """Say what a block does that takes more than two seconds, and for how long.

        Args:
            doing: such as ``loading the model``.
        """
        if self._quiet:
            yield
        elif self._err.is_terminal:
            columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
            with self.bar(*columns) as bar:
                bar.add_task(escape(doing), total=None)
                yield
        else:
            late = threading.Timer(PATIENCE, self.message, [f"{doing} …"])
            late.daemon = True
            late.start()
            try:
                yield
            finally:
                late.cancel()

    @contextlib.contextmanager
    def steps(self, description: str, total: int) -> Iterator[Callable[[], None]]:
        """Show the progress of work in ``total`` steps; call the yielded function after each."""
        done, start = 0, time.monotonic()
        told = start
        with self.bar() as bar:
            task = bar.add_task(escape(description), total=total)

            def advance() -> None:
                nonlocal done, told
                done, now = done + 1, time.monotonic()
                bar.advance(task)
                if bar.disable and now - told >= PAUSE:
                    told = now
                    self.message(f"{description}: {done} of {total} ({now - start:.0f} s)")

            yield advance


def narrow_table(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int = 80) -> str:
    """Make a table as text; columns that do not fit stand below, beside the first one again.

    Args:
        columns: the headings; the first column has words, the others have numbers.
        rows: the texts of each row.
        width: of a line, in characters.
    """
    cells = [columns, *rows]
    sizes = [max(len(row[i]) for row in cells) for i in range(len(columns))]
    blocks: list[list[int]] = [[]]
    for i in range(1, len(columns)):
        taken = sizes[0] + sum(2 + sizes[j] for j in (*blocks[-1], i))
        if blocks[-1] and taken > width:
            blocks.append([])
        blocks[-1].append(i)
    texts = []
    for block in blocks:
        lines = [
            row[0].ljust(sizes[0]) + "".join(f"  {row[i]:>{sizes[i]}}" for i in block)
            for row in cells
        ]
        texts.append("\n".join(lines))
    return "\n\n".join(texts)


def plain_table(columns: Sequence[str], rows: Sequence[Sequence[str]], words: int = 2) -> Table:
    """Make a table without lines, for :class:`attention.results.Result` and for progress.

    Args:
        columns: the headings.
        rows: the texts of each row.
        words: how many of the first columns hold words, which stand on the left; the others hold
            numbers, which stand on the right.
    """
    table = Table(box=None, pad_edge=False)
    for number, column in enumerate(columns):
        justify = "left" if number < words else "right"
        table.add_column(column, overflow="fold", justify=justify)
    for row in rows:
        table.add_row(*map(Text, row))
    return table
