"""One flag of a command: its type, how its text is read, and which values are refused.

The types of a signature decide, and the marks of :mod:`attention.marks`.  The items of a tuple are
read and checked one by one.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
import numbers
import operator
import types
import typing
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from attention.choices import resolve
from attention.errors import InputError
from attention.marks import Commas, OneOf, Repeated, Word

Mark = TypeVar("Mark")
LARGEST = 2**31 - 1  # of whole numbers without a bound of their own; devices count to it
REQUIRED = inspect.Parameter.empty
BOUNDS = {"ge": ("at least", operator.ge), "gt": ("above", operator.gt),
          "le": ("at most", operator.le), "lt": ("below", operator.lt)}  # fmt: skip
TYPES = {int: ("N", "a whole number"), float: ("X", "a number"), Path: ("PATH", "a path"),
         str: ("TEXT", "text"), bool: ("", "true or false")}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Flag:
    """A parameter of a command.

    Attributes:
        name: of the parameter in Python.
        hint: its type, as the signature has it.
        default: its default, or ``REQUIRED``.
        group: the parameter whose dataclass has it as a field; empty for the function's own.
        kinds: the types that a value, or an item of a tuple, may have.
        marks: the marks in ``Annotated``.
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
    def of(cls, name: str, hint: Any, default: object, group: str = "") -> Flag:
        """Read a type such as ``Annotated[tuple[int, ...], Commas(), Ge(1)]``.

        Raises:
            TypeError: a mark for tuples is on another type, or no text gives a value of the type.
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
        """How it is written on a command line."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def parameter(self) -> inspect.Parameter:
        """The keyword argument in Python."""
        kind = inspect.Parameter.KEYWORD_ONLY
        return inspect.Parameter(self.name, kind, default=self.default, annotation=self.hint)

    @property
    def repeated(self) -> bool:
        """Whether it may be given again."""
        return bool(self._marked(Repeated))

    @property
    def boolean(self) -> bool:
        """Whether it is ``--name`` or ``--no-name``, without a value."""
        return bool in self.kinds and not self.many

    def _marked(self, kind: type[Mark]) -> list[Mark]:
        """The marks of one kind."""
        return [mark for mark in self.marks if isinstance(mark, kind)]

    def read(self, given: Sequence[str]) -> Any:
        """Read the value.

        Args:
            given: one text for each time that the flag appears.

        Raises:
            InputError: a text cannot be read, or the flag appears too often.
        """
        if self.repeated:
            return tuple(self._read(text) for text in given)
        if len(given) > 1:
            raise InputError(f"{self.words} is given {len(given)} times")
        if self.many and not any(type(mark) is Word and mark.parse for mark in self.marks):
            texts = (text.strip() for text in given[0].split(","))
            items = tuple(self._read(text) for text in texts if text)
            return None if items == (None,) else items  # the text was none
        return self._read(given[0])

    def _read(self, text: str) -> Any:
        parse = next((word.parse for word in self._marked(Word) if word.parse), None)
        if parse is not None:
            try:
                return parse(text)
            except InputError as error:
                raise InputError(f"{self.words}: {error}") from None
            except ValueError:
                line = f"{self.words} is written {self.metavar}, not {text!r}"
                raise InputError(line) from None
        for kind in sorted(self.kinds, key=lambda kind: kind in (str, Path)):  # any text fits these
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

    def check(self, value: object) -> Any:
        """Convert a value to the type: a list to a tuple, a text to a path, or a path to a text.

        A single item becomes a tuple of one.

        Raises:
            InputError: the type, the range or the name is not allowed.
        """
        if not self.many or (value is None and types.NoneType in self.kinds):
            return self._check(value)
        if isinstance(value, str) or not isinstance(value, Iterable):
            value = (value,)
        return tuple(map(self._check, value))

    def _check(self, value: object) -> Any:
        if value is None and types.NoneType in self.kinds:
            return None
        for kind in self.kinds:
            fits, value = _fitted(kind, value)
            if fits:
                break
        else:
            raise self._refused(value)
        if isinstance(value, str):
            for mark in self._marked(OneOf):
                resolve(mark.table).pick(value)
        elif isinstance(value, numbers.Real) and not isinstance(value, bool):
            self._check_range(value)
        return value

    def _check_range(self, value: Any) -> None:
        bounds = [(word, bound) for mark in self.marks for word in BOUNDS
                  if (bound := getattr(mark, word, None)) is not None]  # fmt: skip
        words = {word for word, _ in bounds}
        if math.isnan(value) or not all(BOUNDS[word][1](value, bound) for word, bound in bounds):
            said = [f"{BOUNDS[word][0]} {bound}" for word, bound in bounds if math.isfinite(bound)]
            raise InputError(
                f"{self.words} must be {' and '.join(said) or 'a number'}, not {value}"
            )
        whole = isinstance(value, numbers.Integral)
        if whole and abs(int(value)) > LARGEST and "le" not in words and "lt" not in words:
            raise InputError(f"{self.words} must be at most {LARGEST}, not {value}")
        if math.isinf(value) and value not in [bound for _, bound in bounds]:
            raise InputError(f"{self.words} must be finite, not {value}")

    def _refused(self, value: object) -> InputError:
        others = [TYPES[kind][1] for kind in self.kinds if kind in TYPES]
        allowed = [*self._literals, *others]
        allowed = allowed or [getattr(kind, "__name__", str(kind)) for kind in self.kinds]
        *most, last = allowed
        expected = f"{', '.join(most)} or {last}" if most else last
        return InputError(f"{self.words} must be {expected}, not {value!r}")

    @property
    def _literals(self) -> list[str]:
        """The values that ``Literal`` types allow, as texts."""
        return [str(name) for kind in self.kinds for name in _names(kind)]

    @property
    def metavar(self) -> str:
        """What stands for a value in the help."""
        given = [word.metavar for word in self._marked(Word) if word.metavar]
        if given:
            return given[-1]
        shown = "NAME"
        if not self._marked(OneOf):
            names = [f"{{{','.join(self._literals)}}}"] if self._literals else []
            plain = [TYPES[kind][0] for kind in self.kinds if kind in TYPES]
            shown = "|".join([*names, *plain]) or "VALUE"
        return f"{shown},..." if self.many and not self.repeated else shown

    @property
    def notes(self) -> str:
        """What the help adds to the description: names, whether it is required, the default."""
        tables = [mark.table for mark in self._marked(OneOf)]
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
    """The alternatives of a type, and the marks anywhere in it."""
    origin = typing.get_origin(hint)
    if origin is Annotated:
        kinds, marks = _unfolded(hint.__origin__)
        return kinds, [*marks, *hint.__metadata__]
    if origin in (typing.Union, types.UnionType):
        parts = [_unfolded(part) for part in typing.get_args(hint)]
        return [k for kinds, _ in parts for k in kinds], [m for _, marks in parts for m in marks]
    return [hint], []


def _shown(value: object) -> str:
    """A default, as it is written on a command line."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _names(kind: Any) -> tuple[Any, ...]:
    return typing.get_args(kind) if typing.get_origin(kind) is Literal else ()


def _fitted(kind: Any, value: Any) -> tuple[bool, Any]:
    """Whether a value is of a type, and the value converted to it."""
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
