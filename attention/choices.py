"""Tables of what can be chosen by name, such as criteria, tasks and normalizers.

A table is a dict from names to rows.  A row is any value, usually a frozen dataclass, and holds all
that the rest of the code needs to know.  Nothing here imports JAX.  A row may name a function as
``"package.module:function"``; :func:`resolve` imports it when it is used.

Rows of one's own come in three ways: by assignment, as ``module:function``, and from an installed
package whose entry points are in the group ``tale_jax.KIND``.  A name that only a file of others
holds, such as a config.json or the settings of a run, must not import anything:
:func:`check_trusted` sees to it, and within a command every import passes it.
"""

from __future__ import annotations

import contextlib
import difflib
import functools
import importlib.metadata
import os
import pkgutil
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from attention.errors import InputError

Row = TypeVar("Row")
GROUP = "tale_jax."
"""Begins the group of entry points of each table."""
VARIABLE = "TALE_JAX_MODULES"
"""The environment variable that names modules which may be imported, between commas."""
_trusted: set[str] = set()
_commands: list[None] = []
"""One item for each command that runs, of any thread."""


class Choices(dict[str, Row]):
    """A table of rows by name.

    ::

        CRITERIA = Choices("criterion", {"accuracy": Criterion(...), "cosine": Criterion(...)})
        CRITERIA["mine"] = Criterion(...)  # one more row, added from anywhere
        CRITERIA.pick("accuracy")

    Args:
        kind: what a row is, in one or two words, for error messages.
        rows: the rows by name.
        own: makes a row of a function of the user, so that ``module:function`` can be picked.  A
            row that is named in this way stays what it is.
        parameters: makes the row of ``name:text`` from the row ``name`` and the text, and raises
            InputError if it cannot read the text.
        group: names the group of entry points, ``tale_jax.GROUP``; by default it is the kind.
    """

    def __init__(
        self,
        kind: str,
        rows: Mapping[str, Row],
        *,
        own: Callable[[Any], Row] | None = None,
        parameters: Callable[[Row, str], Row] | None = None,
        group: str | None = None,
    ):
        super().__init__(rows)
        self.kind, self.own, self.parameters = kind, own, parameters
        self.group = GROUP + (group or kind).replace(" ", "_")
        self._rows = tuple({type(row) for row in rows.values()})

    def pick(self, name: str) -> Row:
        """Find a row.

        Args:
            name: of a row, of an entry point, or ``module:function`` of the user; each may be
                followed by a colon and parameters.

        Raises:
            InputError: there is no such row; the message lists the names.
        """
        if name in self:
            return self[name]
        before, colon, after = name.partition(":")
        if before not in self and before in self.installed:
            self[before] = self._row(self._loaded(self.installed[before]))
        if before in self and colon:
            return self._changed(before, after)
        if before in self:
            return self[before]
        if colon and self.own is not None:
            function, colon, after = after.partition(":")
            row = self._row(_imported(self.kind, f"{before}:{function}"))
            if colon and self.parameters is None:
                raise InputError(f"the {self.kind} {before}:{function} takes no parameters")
            return self.parameters(row, after) if colon and self.parameters else row
        raise InputError(
            f"unknown {self.kind} {name!r}{nearest(before, self)}; there are {self.listed}"
        )

    @property
    def installed(self) -> Mapping[str, importlib.metadata.EntryPoint]:
        """Rows of installed packages, by name; one is loaded when it is picked."""
        return {point.name: point for point in _entry_points().select(group=self.group)}

    @property
    def listed(self) -> str:
        """All names that can be picked, as a text: ``accuracy, cosine``."""
        own = ", or MODULE:FUNCTION of your own" if self.own is not None else ""
        return f"{', '.join(dict.fromkeys([*self, *self.installed]))}{own}"

    def _changed(self, name: str, text: str) -> Row:
        """The row of a name and parameters."""
        if self.parameters is None:
            raise InputError(f"the {self.kind} {name!r} takes no parameters, as in '{name}:{text}'")
        return self.parameters(self[name], text)

    def _row(self, value: Any) -> Row:
        """The row of a value of the user."""
        if self.own is None or isinstance(value, self._rows):
            return value
        return self.own(value)

    def _loaded(self, point: importlib.metadata.EntryPoint) -> Any:
        """What an entry point names.

        Raises:
            InputError: it cannot be imported.
        """
        try:
            return point.load()
        except Exception as error:  # the import runs the package's code
            raise _failed(self.kind, f"{point.name} ({point.value})", error) from error


def check_trusted(kind: str, name: str) -> None:
    """Check a name that a file holds, before it is picked: it may not import what nobody named.

    Raises:
        InputError: it is ``module:function`` of a module that neither the command line nor the
            environment names.
    """
    module = name.partition(":")[0]
    if module not in _trusted and module not in os.environ.get(VARIABLE, "").split(","):
        raise InputError(
            f"the {kind} {name!r} is code, which a file named and you did not: "
            f"{VARIABLE}={module} lets it run"
        )


def trust(*texts: str) -> None:
    """Trust the modules that these texts name, as in ``my_module:entropy``.

    Commands do so for their own arguments, which a person wrote.

    Args:
        texts: arguments of any kind; what has no colon names no module.
    """
    for text in texts:
        _trusted.update(re.findall(r"([A-Za-z_][\w.]*):", text))


@contextlib.contextmanager
def named_only() -> Iterator[None]:
    """Import only what the command line or the environment names, while the block runs.

    A command reads files that others may have written.  Python code of the user, outside of a
    command, may import what it likes.
    """
    _commands.append(None)
    try:
        yield
    finally:
        _commands.pop()


def nearest(name: str, names: Iterable[str]) -> str:
    """The hint `` (did you mean accuracy?)``; empty if no name is similar."""
    close = difflib.get_close_matches(name, list(names), 1)
    return f" (did you mean {close[0]}?)" if close else ""


def resolve(value: Any) -> Any:
    """Import what a text ``"package.module:name"`` names; any other value is returned as it is."""
    return pkgutil.resolve_name(value) if isinstance(value, str) else value


@functools.cache
def _entry_points() -> Any:  # its type depends on the version of Python
    """The entry points of all installed packages, which are read once."""
    return importlib.metadata.entry_points()


def _imported(kind: str, name: str) -> Any:
    """Import the user's own object, from the path or the current folder.

    Raises:
        InputError: it cannot be imported, or a command runs that did not name it.
    """
    if _commands:
        check_trusted(kind, name)
    if os.getcwd() not in sys.path and "" not in sys.path:  # noqa: PTH109 - sys.path has texts
        sys.path.append(os.getcwd())  # noqa: PTH109
    try:
        return pkgutil.resolve_name(name)
    except Exception as error:  # the import runs the user's code
        raise _failed(kind, repr(name), error) from error


def _failed(kind: str, name: str, error: Exception) -> InputError:
    """The error that code of the user could not be imported."""
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    return InputError(f"the {kind} {name} cannot be imported: {reason}")
