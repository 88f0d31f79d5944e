"""Sweeps: what ``--sweep NAME=VALUES`` varies; several sweeps make a grid of settings."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attention.errors import InputError
from icl.tasks.prompts import Setting

if TYPE_CHECKING:
    from icl.tasks.kind import Task


def commas(text: str) -> list[str]:
    """The texts between commas."""
    return text.split(",")


def commas_or_range(text: str) -> list[str]:
    """The texts between commas, or the whole numbers of ``FIRST:LAST``.

    Raises:
        InputError: LAST is less than FIRST.
    """
    first, _, last = text.partition(":")
    if not (first.isdigit() and last.isdigit()):
        return commas(text)
    if int(first) > int(last):
        raise InputError("FIRST must not be more than LAST")
    return [str(i) for i in range(int(first), int(last) + 1)]


@dataclasses.dataclass(frozen=True)
class Axis:
    """Something that a sweep may change.

    Attributes:
        read: makes a value of a task and a text; raises ValueError or InputError.
        split: splits the text of several values.
        words: whether the values are words, not numbers; a figure has a curve for each word.
    """

    read: Callable[[Task, str], Any]
    split: Callable[[str], list[str]] = commas_or_range
    words: bool = False


def positive(kind: Callable[[str], float]) -> Callable[[Task, str], float]:
    """A function that reads positive, finite numbers; it raises InputError for others."""

    def read(task: Task, text: str) -> float:
        value = kind(text)
        if not 0 < value < math.inf:
            raise InputError("it must be positive")
        return value

    return read


def read_deviant(text: str) -> tuple[int, float]:
    """The position (from 0) and the value of a deviant that is written ``POSITION:VALUE``.

    Raises:
        InputError: the text has another form.
    """
    place, _, value = text.partition(":")
    try:
        where, number = int(place), float(value)
    except ValueError:
        raise InputError(f"a deviant is POSITION:VALUE, not {text!r}") from None
    if not math.isfinite(number):
        raise InputError(f"a deviant is a finite number, not {value}")
    return where, number


def _deviant(task: Task, text: str) -> str:
    read_deviant(text)
    return text


SIGMA = Axis(positive(float))
POINTS = Axis(positive(int))
DEVIANT = Axis(_deviant, commas, words=True)
RENAMED = {"order": "prompt"}


def read_axes(task: Task, sweeps: Sequence[str]) -> dict[str, list[Any]]:
    """The values of each axis that is swept, by its name.

    Args:
        task: its ``axes`` say what may be swept.
        sweeps: texts ``NAME=VALUES``.

    Raises:
        InputError: a name or a value is unknown, or a name is given twice.
    """
    axes: dict[str, list[Any]] = {}
    for sweep in sweeps:
        name, _, text = sweep.partition("=")
        if name in RENAMED and name not in task.axes:
            raise InputError(f"--sweep {name}=… is now --sweep {RENAMED[name]}={text}")
        if name not in task.axes or not text:
            names = ", ".join(task.axes)
            raise InputError(f"a sweep is NAME=VALUES with a name of {names}: {sweep!r}")
        if name in axes:
            raise InputError(f"{name} is swept twice; put all its values into one --sweep")
        axis = task.axes[name]
        try:
            axes[name] = [axis.read(task, part.strip()) for part in axis.split(text)]
        except InputError as error:
            raise InputError(f"{sweep!r}: {error}") from None
        except ValueError:
            raise InputError(f"{sweep!r}: these are no values of {name}") from None
    return axes


def grid(axes: Mapping[str, Sequence[Any]]) -> list[Setting]:
    """Every combination of the values."""
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
