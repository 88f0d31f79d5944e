"""Tables of what can be chosen by name, such as criteria, tasks and normalizers.

A table is a dict from a name to a row.  A row is any value, usually a frozen dataclass that holds
all that the rest of the code has to know.  Nothing here imports JAX: a row may name a function as
``"package.module:function"``, and :func:`resolve` imports it when it is used.
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
        CRITERIA["mine"] = Criterion(...)  # a row more, from anywhere
        CRITERIA.pick("accuracy")

    Args:
        kind: what a row is, in one or two words, for error messages.
        rows: the rows by name.
        own: turns a function of the user into a row.  With it, ``module:function`` can be picked.
        parameters: makes the row of ``name:text`` from the row ``name`` and the text.  It raises
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
        """The row of a name, of ``name:parameters`` or of the user's own ``module:function``.

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
        """All that can be picked, in words: ``accuracy, cosine``."""
        own = ", or MODULE:FUNCTION of your own" if self.own is not None else ""
        return f"{', '.join(self)}{own}"


def nearest(name: str, names: Iterable[str]) -> str:
    """`` (did you mean accuracy?)``, or nothing if no name is close."""
    close = difflib.get_close_matches(name, list(names), 1)
    return f" (did you mean {close[0]}?)" if close else ""


def resolve(value: Any) -> Any:
    """What a row holds: the value itself, or what the text ``"package.module:name"`` names."""
    return pkgutil.resolve_name(value) if isinstance(value, str) else value


def _imported(kind: str, name: str) -> Any:
    """The user's own object, found on the path or in the current folder.

    Raises:
        InputError: it cannot be imported.
    """
    if os.getcwd() not in sys.path and "" not in sys.path:  # noqa: PTH109 - as sys.path has it
        sys.path.append(os.getcwd())  # noqa: PTH109
    try:
        return pkgutil.resolve_name(name)
    except Exception as error:  # importing runs the user's code
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"the {kind} {name!r} cannot be imported: {reason}") from error
