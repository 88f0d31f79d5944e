"""The predictions of a SyntaxGym suite: formulas over the surprisals of regions.

    prediction = comparison { "&" comparison }          comparison = sum ("<" | ">" | "=") sum
    sum = ["-"] part { ("+" | "-") part }               part = "[" … "]" | "(" … ")" | number
    part = "(" region ";" "%" condition "%" ")"

Brackets of either kind hold a sum, a comparison or a whole prediction.  Nothing is ever evaluated
as code.

Source: Gauthier, Hu, Wilcox, Qian and Levy (2020), "SyntaxGym: an online platform for targeted
evaluation of language models".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

Surprisals = Mapping[tuple[str, int], Float[np.ndarray, " items"]]
"""Of a condition and a region, counted from 1: the surprisal in each item."""
_TOKEN = re.compile(r"\(\s*(\d+|\*)\s*;\s*%([^%]+)%\s*\)|(\d+(?:\.\d+)?)|([\[\]()+\-<>=&])")
CLOSING = {"[": "]", "(": ")"}
COMPARISONS = {"<": np.less, ">": np.greater, "=": np.equal}
ALL = 0
"""The region of ``(*;%condition%)``: the whole sentence."""


class Prediction(NamedTuple):
    """A formula that has been read.

    Attributes:
        text: as it is written.
        tree: nested tuples ``(operator, left, right)``, ``("region", condition, number)`` and
            ``("number", value)``.
        regions: pairs of condition and region that occur.
        equalities: whether it asks whether surprisals are equal.
    """

    text: str
    tree: tuple[Any, ...]
    regions: frozenset[tuple[str, int]]
    equalities: bool

    def holds(self, surprisals: Surprisals) -> Bool[np.ndarray, " items"]:
        """Whether the prediction is true, item by item."""
        return _value(self.tree, surprisals)


def read_prediction(text: str) -> Prediction:
    """Read a formula.

    Raises:
        ValueError: it is not of the grammar above.
    """
    reader = _Reader(text)
    tree = reader.prediction()
    reader.end()
    if tree[0] not in (*COMPARISONS, "&"):
        raise ValueError(f"the formula {text!r} compares nothing")
    regions = frozenset((node[1], node[2]) for node in _nodes(tree) if node[0] == "region")
    return Prediction(text, tree, regions, any(node[0] == "=" for node in _nodes(tree)))


def _nodes(tree: tuple[Any, ...]):
    yield tree
    for part in tree[1:]:
        if isinstance(part, tuple):
            yield from _nodes(part)


def _value(tree: tuple[Any, ...], surprisals: Surprisals) -> Any:
    kind = tree[0]
    if kind == "region":
        return surprisals[tree[1], tree[2]]
    if kind == "number":
        return tree[1]
    left, right = (_value(part, surprisals) for part in tree[1:])
    if kind == "&":
        return np.logical_and(left, right)
    if kind in COMPARISONS:
        return COMPARISONS[kind](left, right)
    return left + right if kind == "+" else left - right


class _Reader:
    """Reads a formula from left to right; what is read so far is a tree."""

    def __init__(self, text: str):
        self._text, self._place, self._parts = text, 0, []
        while self._place < len(text.rstrip()):
            start = self._place + len(text[self._place :]) - len(text[self._place :].lstrip())
            found = _TOKEN.match(text, start)
            if found is None:
                raise ValueError(f"the formula {text!r} cannot be read at {text[start:]!r}")
            self._parts.append(found)
            self._place = found.end()
        self._next = 0

    def _sign(self) -> str | None:
        """The sign that comes next; None where a region, a number or nothing does."""
        return self._parts[self._next][4] if self._next < len(self._parts) else None

    def _take(self, *signs: str) -> str | None:
        sign = self._sign()
        if sign is None or sign not in signs:
            return None
        self._next += 1
        return sign

    def end(self) -> None:
        """Raise ValueError if something is left."""
        if self._next < len(self._parts):
            left = self._text[self._parts[self._next].start() :]
            raise ValueError(f"the formula {self._text!r} ends before {left!r}")

    def prediction(self) -> tuple[Any, ...]:
        tree = self._comparison()
        while self._take("&"):
            tree = ("&", tree, self._comparison())
        return tree

    def _comparison(self) -> tuple[Any, ...]:
        tree = self._sum()
        if sign := self._take(*COMPARISONS):
            tree = (sign, tree, self._sum())
        return tree

    def _sum(self) -> tuple[Any, ...]:
        tree = ("-", ("number", 0.0), self._part()) if self._take("-") else self._part()
        while sign := self._take("+", "-"):
            tree = (sign, tree, self._part())
        return tree

    def _part(self) -> tuple[Any, ...]:
        if opened := self._take(*CLOSING):
            tree = self.prediction()
            if not self._take(CLOSING[opened]):
                raise ValueError(f"the formula {self._text!r} lacks a {CLOSING[opened]}")
            return tree
        if self._next == len(self._parts) or self._sign() is not None:
            raise ValueError(f"the formula {self._text!r} lacks a region or a number")
        region, condition, number, _ = self._parts[self._next].groups()
        self._next += 1
        if number is not None:
            return ("number", float(number))
        return ("region", condition.strip(), ALL if region == "*" else int(region))
