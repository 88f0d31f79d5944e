"""One flag of a command: its type, how its text is read, and which values are refused.

What a signature cannot say by its types alone, marks say with ``typing.Annotated``: :class:`Word`,
:class:`Commas`, :class:`Repeated`, :class:`OneOf`, and the range :class:`Between` or one of
``annotated_types``.  Items of a tuple are read and checked one by one.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
import numbers
import operator
import types
import typing
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from attention.choices import Choices, resolve
from attention.errors import InputError

REQUIRED = inspect.Parameter.empty
BOUNDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
TYPES = {int: ("N", "a whole number"), float: ("X", "a number"), Path: ("PATH", "a path"),
         str: ("TEXT", "text"), bool: ("", "true or false")}  # fmt: skip
TESTS = {"ge": operator.ge, "gt": operator.gt, "le": operator.le, "lt": operator.lt}


@dataclasses.dataclass(frozen=True)
class Word:
    """A value that one word gives: ``Annotated[float, Word(parse_share, "8%")]``.

    Args:
        parse: text → value; raises ValueError or InputError.  By default the type decides.
        metavar: what stands for the word in the help.
    """

    parse: Callable[[str], Any] | None = None
    metavar: str | None = None


class Commas(Word):
    """A tuple whose items stand between commas in one word: ``--drop 3,5``."""


class Repeated(Word):
    """A tuple that gets one item each time the flag is given: ``--run A --run B``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Between:
    """The values that a number may have: ``Annotated[int, Between(ge=1)]``.

    Attributes:
        ge: it is at least this.
        gt: it is above this.
        le: it is at most this.
        lt: it is below this.
    """

    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None


@dataclasses.dataclass(frozen=True)
class OneOf:
    """A name in a table.

    Args:
        table: the table, or ``"package.module:TABLE"`` if it should only be imported when a
            value is checked; help cannot list its names then.
    """

    table: Choices[Any] | str


@dataclasses.dataclass(frozen=True)
class Flag:
    """A parameter of a command.

    Attributes:
        name: of the parameter in Python.
        hint: its type as it is written.
        default: its default, or ``REQUIRED``.
        group: the parameter whose dataclass has it as a field; empty if it is the function's own.
        kinds: the types that a value, or an item of a tuple, may have.
        marks: what ``Annotated`` says besides.
        many: whether it is a tuple.
    """

    name: str
    hint: Any
    default: Any
    group: str
    kinds: tuple[Any, ...]
    marks: tuple[Any, ...]
    many: bool

    @classmethod
    def of(cls, name: str, hint: Any, default: Any, group: str = "") -> Flag:
        """Read a type such as ``Annotated[tuple[int, ...], Commas(), Ge(1)]``.

        Raises:
            TypeError: a mark for tuples is at something else, or no text can be read as the type.
        """
        kinds, marks = _unfolded(hint)
        items = [kind for kind in kinds if typing.get_origin(kind) in (tuple, list)]
        if items:
            inner, more = _unfolded(typing.get_args(items[0])[0])
            kinds, marks = [*inner, *(k for k in kinds if k not in items)], [*more, *marks]
        elif any(isinstance(mark, Commas | Repeated) for mark in marks):
            raise TypeError(f"{name}: Commas and Repeated are for tuples, not {hint}")
        parsed = any(isinstance(mark, Word) and mark.parse for mark in marks)
        if not (parsed or any(kind in TYPES or _names(kind) for kind in kinds)):
            raise TypeError(f"{name}: no word gives {hint}; mark it with Word(parse)")
        return cls(name, hint, default, group, tuple(kinds), tuple(marks), bool(items))

    @property
    def words(self) -> str:
        """As it is written on a command line."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def parameter(self) -> inspect.Parameter:
        """As a keyword argument in Python."""
        kind = inspect.Parameter.KEYWORD_ONLY
        return inspect.Parameter(self.name, kind, default=self.default, annotation=self.hint)

    @property
    def repeated(self) -> bool:
        """Whether it may be given again."""
        return any(isinstance(mark, Repeated) for mark in self.marks)

    @property
    def boolean(self) -> bool:
        """Whether it is ``--name`` or ``--no-name`` rather than a name and a value."""
        return bool in self.kinds and not self.many

    def read(self, given: Sequence[str]) -> Any:
        """The value of the texts given with the flag, one for each time it is given.

        Raises:
            InputError: they cannot be read.
        """
        if self.repeated:
            return tuple(self._read(text) for text in given)
        if len(given) > 1:
            raise InputError(f"{self.words} is given {len(given)} times")
        if self.many:
            texts = (text.strip() for text in given[0].split(","))
            items = tuple(self._read(text) for text in texts if text)
            return None if items == (None,) else items  # the word none
        return self._read(given[0])

    def _read(self, text: str) -> Any:
        parse = next((m.parse for m in self.marks if isinstance(m, Word) and m.parse), None)
        if parse is not None:
            try:
                return parse(text)
            except InputError as error:
                raise InputError(f"{self.words}: {error}") from None
            except ValueError:
                line = f"{self.words} is written {self.metavar}, not {text!r}"
                raise InputError(line) from None
        for kind in sorted(self.kinds, key=lambda kind: kind in (str, Path)):  # text takes all
            if typing.get_origin(kind) is Literal:
                for value in typing.get_args(kind):
                    if str(value) == text:
                        return value
            elif kind is types.NoneType and text.lower() == "none" and str not in self.kinds:
                return None
            elif kind in (int, float, str) or (kind is Path and text):
                try:
                    return kind(text)
                except ValueError:
                    continue
        raise self._refused(text)

    def check(self, value: Any) -> Any:
        """The value as the type has it: a list as a tuple, a text as a path or a path as a text.

        A single item stands for a tuple of one.

        Raises:
            InputError: its type, range or name is not allowed.
        """
        if not self.many or (value is None and types.NoneType in self.kinds):
            return self._check(value)
        items: Any = (value,)
        if isinstance(value, Iterable) and not isinstance(value, str):
            items = value
        return tuple(map(self._check, items))

    def _check(self, value: Any) -> Any:
        if value is None and types.NoneType in self.kinds:
            return None
        for kind in self.kinds:
            fits, value = _fitted(kind, value)
            if fits:
                break
        else:
            raise self._refused(value)
        if isinstance(value, str):
            for mark in self.marks:
                if isinstance(mark, OneOf):
                    resolve(mark.table).pick(value)
        elif isinstance(value, numbers.Real) and not isinstance(value, bool):
            self._check_range(value)
        return value

    def _check_range(self, value: Any) -> None:
        bounds = [(word, bound) for mark in self.marks for word in BOUNDS
                  if (bound := getattr(mark, word, None)) is not None]  # fmt: skip
        if math.isnan(value) or not all(TESTS[word](value, bound) for word, bound in bounds):
            said = [f"{BOUNDS[word]} {bound}" for word, bound in bounds if math.isfinite(bound)]
            raise InputError(
                f"{self.words} must be {' and '.join(said) or 'a number'}, not {value}"
            )
        if math.isinf(value) and value not in [bound for _, bound in bounds]:
            raise InputError(f"{self.words} must be finite, not {value}")

    def _refused(self, value: Any) -> InputError:
        names = [str(name) for kind in self.kinds for name in _names(kind)]
        others = [TYPES[kind][1] for kind in self.kinds if kind in TYPES]
        allowed = [*names, *others] or [getattr(kind, "__name__", str(kind)) for kind in self.kinds]
        *most, last = allowed
        expected = f"{', '.join(most)} or {last}" if most else last
        return InputError(f"{self.words} must be {expected}, not {value!r}")

    @property
    def metavar(self) -> str:
        """What stands for a value in the help."""
        given = [m.metavar for m in self.marks if isinstance(m, Word) and m.metavar]
        if given:
            return given[-1]
        names = [str(name) for kind in self.kinds for name in _names(kind)]
        if any(isinstance(mark, OneOf) for mark in self.marks):
            shown = "NAME"
        else:
            plain = [TYPES[kind][0] for kind in self.kinds if kind in TYPES]
            shown = "|".join([*([f"{{{','.join(names)}}}"] if names else []), *plain]) or "VALUE"
        return f"{shown},..." if self.many and not self.repeated else shown

    @property
    def notes(self) -> str:
        """What the help says behind the description: names, whether it is required, its default."""
        tables = [mark.table for mark in self.marks if isinstance(mark, OneOf)]
        said = [f"one of {table.listed}" for table in tables if not isinstance(table, str)]
        if self.repeated:
            said.append("may be given again")
        usual = self.default
        if usual is REQUIRED:
            said.append("required")
        elif usual is not None and usual is not False and usual not in ("", ()):
            said.append(f"default: {_shown(usual)}")
        return f" ({'; '.join(said)})" if said else ""


def _unfolded(hint: Any) -> tuple[list[Any], list[Any]]:
    """The alternatives of a type and the marks anywhere in it."""
    origin = typing.get_origin(hint)
    if origin is Annotated:
        kinds, marks = _unfolded(hint.__origin__)
        return kinds, [*marks, *hint.__metadata__]
    if origin in (typing.Union, types.UnionType):
        parts = [_unfolded(part) for part in typing.get_args(hint)]
        return [k for kinds, _ in parts for k in kinds], [m for _, marks in parts for m in marks]
    return [hint], []


def _shown(value: Any) -> str:
    """A default as it is written on a command line."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _names(kind: Any) -> tuple[Any, ...]:
    return typing.get_args(kind) if typing.get_origin(kind) is Literal else ()


def _fitted(kind: Any, value: Any) -> tuple[bool, Any]:
    """Whether a value is of a type, and the value as that type has it."""
    if typing.get_origin(kind) is Literal:
        return value in typing.get_args(kind), value
    if kind is Path and isinstance(value, str) and value:
        return True, Path(value)
    if kind is str and isinstance(value, Path):
        return True, str(value)
    if kind is int:
        whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
        return whole, int(value) if whole else value
    if kind is float:
        return isinstance(value, numbers.Real) and not isinstance(value, bool), value
    kind = typing.get_origin(kind) or kind
    return not isinstance(kind, type) or isinstance(value, kind), value
