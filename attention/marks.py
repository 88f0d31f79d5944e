"""Marks in ``typing.Annotated``, which say what the types of a command's signature cannot.

The range of a number may also be one of the package ``annotated_types``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from attention.choices import Choices


@dataclasses.dataclass(frozen=True)
class Word:
    """A value that one word gives: ``Annotated[float, Word(parse_share, "8%")]``.

    Args:
        parse: makes the value from the text, and raises ValueError or InputError.  By default the
            type decides.
        metavar: stands for the word in the help.
    """

    parse: Callable[[str], Any] | None = None
    metavar: str | None = None


class Commas(Word):
    """A tuple in one word, with commas between the items: ``--drop 3,5``."""


class Repeated(Word):
    """A tuple that gets one item each time the flag appears: ``--run A --run B``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Between:
    """The values that a number may have: ``Annotated[int, Between(ge=1)]``.

    Attributes:
        ge: the value is at least this.
        gt: the value is above this.
        le: the value is at most this.
        lt: the value is below this.
    """

    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None


@dataclasses.dataclass(frozen=True)
class OneOf:
    """A name in a table.

    Args:
        table: the table, or ``"package.module:TABLE"``.  Such a table is only imported when a value
            is checked, so the help cannot list its names.
    """

    table: Choices[Any] | str
