"""What a value that comes from outside may be: its type and its range, by the library msgspec."""

from __future__ import annotations

from collections.abc import Callable
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


def shaped(shape: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Make the ``parse`` of ``read_json_lines`` for lines that all have one type.

    Args:
        shape: the type, as of :func:`check_shape`.

    Returns:
        A function that returns an object of that type, and raises ValueError for any other.
    """

    def parse(line: dict[str, Any]) -> dict[str, Any]:
        try:
            msgspec.convert(line, shape)
        except msgspec.ValidationError as error:
            raise ValueError(str(error)) from None
        return line

    return parse


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
