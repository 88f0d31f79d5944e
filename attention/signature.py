"""A function as a command: its flags, its groups, and how arguments are put into them."""

from __future__ import annotations

import dataclasses
import inspect
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from attention.choices import nearest, trust
from attention.flags import REQUIRED, Flag
from attention.marks import Word

RESERVED = {"help", "json", "config", "tracker", "platform", "devices"}  # of every command


class Command:
    """A function with flags.

    Attributes:
        function: the function; its parameters may be groups.
        flags: by name, in the order of the signature.
        groups: the dataclass of each group, and its default or ``REQUIRED``.
        signature: of the function, with the fields of its groups in place of the groups.
        renamed: old names of flags, and what to write now.
        again: whether the same command line goes on with an interrupted run.

    Raises:
        TypeError: two flags have one name, or a parameter has no type.
    """

    def __init__(self, function: Callable[..., Any], renamed: Mapping[str, str], again: bool):
        self.function, self.renamed, self.again = function, dict(renamed), again
        self.flags: dict[str, Flag] = {}
        self.groups: dict[str, tuple[type[Any], Any]] = {}
        written = inspect.get_annotations(function)
        returned = written.pop("return", inspect.Signature.empty)  # its module may be heavy
        bare: Any = types.SimpleNamespace(__annotations__=written)
        hints = typing.get_type_hints(bare, function.__globals__, include_extras=True)
        parameters = []
        for name, parameter in inspect.signature(function).parameters.items():
            if name not in hints or parameter.kind.name.startswith("VAR"):
                raise TypeError(f"{function.__name__}: {name} must be one parameter with a type")
            cls = _group(hints[name])
            if cls is None:
                self._add(Flag.of(name, hints[name], parameter.default))
                parameters.append(parameter.replace(annotation=hints[name]))
                continue
            self.groups[name] = (cls, parameter.default)
            for flag in _fields(name, cls, parameter.default):
                self._add(flag)
                parameters.append(flag.parameter)
        for name in self.groups.keys() & self.flags.keys():
            raise TypeError(f"{function.__name__}: {name} is a group and a flag")
        parameters.sort(key=lambda parameter: parameter.kind)  # the fields of groups are keywords
        self.signature = inspect.Signature(parameters, return_annotation=returned)

    def _add(self, flag: Flag) -> None:
        if flag.name in self.flags or flag.name in RESERVED:
            raise TypeError(f"{self.function.__name__}: there are two flags {flag.words}")
        self.flags[flag.name] = flag

    def bind(self, positional: Sequence[Any], named: Mapping[str, Any]) -> dict[str, Any]:
        """Check arguments of the function, and put them into their groups.

        Args:
            positional: arguments without a name.
            named: arguments by the name of a flag or of a group.

        Returns:
            The function's arguments by name.

        Raises:
            TypeError: a name is unknown, or an argument is missing.
            InputError: a value is not allowed.
        """
        name = self.function.__name__
        passed = {key: value for key, value in named.items() if key in self.groups}
        flat = {key: value for key, value in named.items() if key not in passed}
        for key in flat.keys() - self.flags.keys():
            now = self.renamed.get(key.replace("_", "-"))
            hint = f" (it is now {now})" if now else nearest(key, self.flags)
            raise TypeError(f"{name}() has no argument {key}{hint}; it has {', '.join(self.flags)}")
        given = self.signature.bind_partial(*positional, **flat).arguments
        trust(*_texts([*given.values(), *passed.values()]))
        values = {key: self.flags[key].check(value) for key, value in given.items()}
        missing = [flag.name for flag in self.missing(values) if flag.group not in passed]
        if missing:
            raise TypeError(f"{name}() needs {', '.join(missing)}")
        bound = {key: value for key, value in values.items() if not self.flags[key].group}
        for group, (cls, default) in self.groups.items():
            fields = {key: v for key, v in values.items() if self.flags[key].group == group}
            base = passed.get(group, default)
            if base is REQUIRED:
                bound[group] = cls(**fields)
            else:
                bound[group] = dataclasses.replace(base, **fields) if fields else base
        return bound

    def missing(self, given: Mapping[str, Any]) -> list[Flag]:
        """The flags that are required and are not in ``given``."""
        every = self.flags.values()
        return [flag for flag in every if flag.default is REQUIRED and flag.name not in given]


def _texts(values: Iterable[Any]) -> Iterator[str]:
    """All texts among values, and in their tuples, lists and dataclasses."""
    for value in values:
        if isinstance(value, list | tuple):
            yield from _texts(value)
        elif dataclasses.is_dataclass(value):
            yield from _texts(vars(value).values())
        elif isinstance(value, str):
            yield value


def _group(hint: Any) -> type[Any] | None:
    """The dataclass, if the type is one; a dataclass that is marked as a word is a single value."""
    if typing.get_origin(hint) is typing.Annotated:
        if any(isinstance(mark, Word) for mark in hint.__metadata__):
            return None
        hint = hint.__origin__
    return hint if isinstance(hint, type) and dataclasses.is_dataclass(hint) else None


def _fields(group: str, cls: type[Any], default: Any) -> Iterator[Flag]:
    """Make a flag for each field of a group."""
    hints = typing.get_type_hints(cls, include_extras=True)
    for field in dataclasses.fields(cls):
        if not field.init:
            continue
        if default is not REQUIRED:
            usual = getattr(default, field.name)
        elif field.default is not dataclasses.MISSING:
            usual = field.default
        elif field.default_factory is not dataclasses.MISSING:
            usual = field.default_factory()
        else:
            usual = REQUIRED
        yield Flag.of(field.name, hints[field.name], usual, group)


def check_fields(group: object) -> None:
    """Check and convert the fields of a group as if they were flags, in its ``__post_init__``.

    Lists become tuples, and texts become paths, if the type says so.

    Args:
        group: an instance of a frozen dataclass.

    Raises:
        InputError: a value is not allowed.
    """
    for flag in _fields("", type(group), group):
        object.__setattr__(group, flag.name, flag.check(getattr(group, flag.name)))
