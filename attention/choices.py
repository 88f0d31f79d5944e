"""Tables of what can be chosen by name, such as criteria, tasks and normalizers.

A table is a dict from names to rows.  A row is any value, usually a frozen dataclass, and holds all
that the rest of the code needs to know.  Nothing here imports JAX.  A row may name a function as
``"package.module:function"``; :func:`resolve` imports it when it is used.
"""

from __future__ import annotations

import difflib
import os
import pkgutil
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from attention.errors import InputError

Row = TypeVar("Row")


class Choices(dict[str, Row]):
    """A table of rows by name.

    ::

        CRITERIA = Choices("criterion", {"accuracy": Criterion(...), "cosine": Criterion(...)})
        CRITERIA["mine"] = Criterion(...)  # one more row, added from anywhere
        CRITERIA.pick("accuracy")

    Args:
        kind: what a row is, in one or two words, for error messages.
        rows: the rows by name.
        own: makes a row of a function of the user, so that ``module:function`` can be picked.
        parameters: makes the row of ``name:text`` from the row ``name`` and the text, and raises
            InputError if it cannot read the text.
    """

    def __init__(
        self,
        kind: str,
        rows: Mapping[str, Row],
        *,
        own: Callable[[Any], Row] | None = None,
        parameters: Callable[[Row, str], Row] | None = None,
    ):
        super().__init__(rows)
        self.kind, self.own, self.parameters = kind, own, parameters

    def pick(self, name: str) -> Row:
        """Find the row of ``name``, of ``name:parameters`` or of the user's ``module:function``.

        Raises:
            InputError: there is no such row; the message lists the names.
        """
        if name in self:
            return self[name]
        before, colon, after = name.partition(":")
        if colon and before in self:
            if self.parameters is None:
                raise InputError(f"the {self.kind} {before!r} takes no parameters, as in {name!r}")
            return self.parameters(self[before], after)
        if colon and self.own is not None:
            return self.own(_imported(self.kind, name))
        raise InputError(
            f"unknown {self.kind} {name!r}{nearest(before, self)}; there are {self.listed}"
        )

    @property
    def listed(self) -> str:
        """All names that can be picked, as a text: ``accuracy, cosine``."""
        own = ", or MODULE:FUNCTION of your own" if self.own is not None else ""
        return f"{', '.join(self)}{own}"


def nearest(name: str, names: Iterable[str]) -> str:
    """The hint `` (did you mean accuracy?)``; empty if no name is similar."""
    close = difflib.get_close_matches(name, list(names), 1)
    return f" (did you mean {close[0]}?)" if close else ""


def resolve(value: Any) -> Any:
    """Import what a text ``"package.module:name"`` names; any other value is returned as it is."""
    return pkgutil.resolve_name(value) if isinstance(value, str) else value


def _imported(kind: str, name: str) -> Any:
    """Import the user's own object, from the path or the current folder.

    Raises:
        InputError: it cannot be imported.
    """
    if os.getcwd() not in sys.path and "" not in sys.path:  # noqa: PTH109 - sys.path has texts
        sys.path.append(os.getcwd())  # noqa: PTH109
    try:
        return pkgutil.resolve_name(name)
    except Exception as error:  # the import runs the user's code
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"the {kind} {name!r} cannot be imported: {reason}") from error
