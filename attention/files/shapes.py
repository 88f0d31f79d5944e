"""What a value that comes from outside may be: its type and its range, by the library msgspec."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from attention.errors import InputError

Natural = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
"""A whole number from 0 on, as exact as a float can hold."""
Positive = Annotated[int, msgspec.Meta(ge=1, le=2**53)]
"""A whole number from 1 on."""
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
"""A number from 0 to 1."""
Text = Annotated[str, msgspec.Meta(max_length=4096)]
"""A text that is no longer than a path."""


def check_shape(value: Any, shape: Any, where: object, *, texts: bool = False) -> None:
    """Check a JSON value, or a row of a table.

    Args:
        value: the value.
        shape: the type that it must have: a ``msgspec.Struct``, or any other type of Python.
        where: the file, for the error.
        texts: whether numbers are written as texts.

    Raises:
        InputError: it has another type, or a number is out of range.
    """
    try:
        msgspec.convert(value, shape, strict=not texts)
    except (msgspec.ValidationError, RecursionError) as error:
        raise InputError(f"{where}: {error}") from None
