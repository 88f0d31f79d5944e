"""What a search drops at a time: a layer, or one of its halves, attention and MLP.

A layer is its number, counted from 0.  A half has the name of its layer and of what it is:
``7.attention``, ``7.mlp``.  In counts of layers a half is half a layer, whichever it is.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Iterable, Sequence
from typing import Literal

from attention.errors import InputError

HALVES = ("attention", "mlp")
Granularity = Literal["layer", "attention", "mlp", "sublayer"]
Unit = int | str
"""A layer's number, or the name of a half."""

Dropped = tuple[Unit, ...]
"""What a model goes without, in the order of the model."""

Keep = tuple[tuple[bool, bool], ...]
"""For each layer, whether its attention and its MLP are kept."""

_NAME = re.compile(r"([0-9]+)(?:\.(attention|mlp))?")


def is_unit(value: object) -> bool:
    """Whether a JSON value is a layer's number or the name of a half."""
    if isinstance(value, str):
        return not value.isdecimal() and _NAME.fullmatch(value) is not None
    return type(value) is int


def parse_unit(text: str) -> Unit:
    """``7`` → 7; ``7.mlp`` stays as it is.

    Raises:
        ValueError: it is neither.
    """
    found = _NAME.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"neither a layer nor a half: {text!r}")
    return int(found[1]) if found[2] is None else f"{int(found[1])}.{found[2]}"


def halves_of(unit: Unit) -> tuple[tuple[int, int], ...]:
    """``(layer, half)`` for each half of a unit; half 0 is attention, 1 the MLP."""
    if isinstance(unit, int):
        return (unit, 0), (unit, 1)
    layer, _, half = unit.partition(".")
    return ((int(layer), HALVES.index(half)),)


def place(unit: Unit) -> tuple[int, int]:
    """Where a unit stands in the model, for sorting; no two units have the same place."""
    layer, half = halves_of(unit)[0]
    return layer, 0 if isinstance(unit, int) else 1 + half


def ordered(units: Iterable[Unit]) -> Dropped:
    """The units in the order of the model, without repeats."""
    return tuple(sorted(set(units), key=place))


def split(units: Iterable[Unit]) -> tuple[str, ...]:
    """The units as halves, in the order of the model."""
    halves = sorted({half for unit in units for half in halves_of(unit)})
    return tuple(f"{layer}.{HALVES[half]}" for layer, half in halves)


def kept_halves(dropped: Iterable[Unit], num_layers: int) -> Keep:
    """What is left of each layer."""
    gone = {half for unit in dropped for half in halves_of(unit)}
    return tuple(((i, 0) not in gone, (i, 1) not in gone) for i in range(num_layers))


def kept_layers(dropped: Iterable[Unit], num_layers: int) -> list[int]:
    """The layers of which something is left."""
    return [i for i, kept in enumerate(kept_halves(dropped, num_layers)) if any(kept)]


def units_of(keep: Sequence[tuple[bool, bool]]) -> Dropped:
    """What is kept, as units: a layer's number where both of its halves are."""
    return tuple(
        i if attention and mlp else f"{i}.{HALVES[mlp]}"
        for i, (attention, mlp) in enumerate(keep)
        if attention or mlp
    )


def missing_halves(keep: Sequence[tuple[bool, bool]]) -> tuple[str, ...]:
    """The halves that are not kept."""
    return tuple(
        f"{i}.{HALVES[half]}" for i, pair in enumerate(keep) for half in (0, 1) if not pair[half]
    )


def count_layers(units: Iterable[Unit]) -> float:
    """How many layers the units are; a half is half a layer."""
    return sum(len(halves_of(unit)) for unit in units) / 2


def has_halves(units: Iterable[Unit]) -> bool:
    """Whether any of the units is half a layer."""
    return any(isinstance(unit, str) for unit in units)


def check_layers(layers: Sequence[Unit], num_layers: int, missing: Collection[str] = ()) -> Dropped:
    """Check what is to be dropped.

    Args:
        layers: layers and halves, in any order.
        num_layers: of the model.
        missing: halves that the model is without already.

    Returns:
        The units in the order of the model; a layer where both of its halves are named.

    Raises:
        InputError: one does not exist, or nothing would remain.
    """
    for unit in ordered(layers):
        if not 0 <= place(unit)[0] < num_layers:
            raise InputError(
                f"there is no layer {unit} to drop: the model has layers 0 to {num_layers - 1}"
            )
        if unit in missing:
            raise InputError(f"there is no {unit} to drop: the model is without it already")
    if not any(map(any, kept_halves([*layers, *missing], num_layers))):
        raise InputError(f"all {num_layers} layers would be dropped: keep at least one")
    halves, wanted = set(split(layers)), set(layers)
    whole = [i for i in range(num_layers) if i in wanted or set(split([i])) <= halves]
    return ordered([*whole, *(half for half in halves if place(half)[0] not in whole)])


@dataclasses.dataclass(frozen=True)
class Units:
    """The parts of a model that a search may drop, one at a time.

    Attributes:
        num_layers: of the model.
        granularity: ``layer``: both halves at once; ``attention``, ``mlp``: these halves alone;
            ``sublayer``: either half.
        missing: halves that the model is without from the start.
    """

    num_layers: int
    granularity: Granularity = "layer"
    missing: tuple[str, ...] = ()

    @property
    def every(self) -> Dropped:
        """All units, in the order of the model."""
        if self.granularity == "layer":
            return tuple(range(self.num_layers))
        kinds = HALVES if self.granularity == "sublayer" else (self.granularity,)
        named = (f"{i}.{kind}" for i in range(self.num_layers) for kind in kinds)
        return tuple(half for half in named if half not in self.missing)

    def start(self, initial: Sequence[Unit]) -> Dropped:
        """Check what is dropped from the start, and give it in layers or halves, as the rest is.

        Raises:
            InputError: it cannot be dropped, or is half a layer where layers are whole.
        """
        dropped = check_layers(initial, self.num_layers, self.missing)
        if self.granularity != "layer":
            return tuple(half for half in split(dropped) if half not in self.missing)
        if has_halves(dropped):
            raise InputError(
                "halves dropped from the start go with --granularity attention, mlp or sublayer"
            )
        return dropped

    def left(self, dropped: Sequence[Unit]) -> list[Unit]:
        """The units that may go next: without any one of them something of the model remains."""
        gone = {half for unit in (*dropped, *self.missing) for half in halves_of(unit)}
        remain = 2 * self.num_layers - len(gone)
        return [
            unit
            for unit in self.every
            if unit not in dropped and sum(half not in gone for half in halves_of(unit)) < remain
        ]

    @property
    def most(self) -> int:
        """How many units can be dropped: all, unless these are all that the model has."""
        gone = {half for unit in self.missing for half in halves_of(unit)}
        halves = {half for unit in self.every for half in halves_of(unit)} - gone
        return len(self.every) - (len(halves) == 2 * self.num_layers - len(gone))


def add(dropped: Sequence[Unit], unit: Unit) -> Dropped:
    """What is dropped if one more unit is."""
    return ordered((*dropped, unit))
