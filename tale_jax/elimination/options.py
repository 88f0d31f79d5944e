"""What a search may drop, in which order, and how much accuracy it may lose."""

from __future__ import annotations

import dataclasses
import math
from fractions import Fraction
from typing import Annotated, Any, Literal, Self

from attention.command_line import Between, Commas, OneOf
from attention.errors import InputError
from attention.signature import check_fields
from tale_jax.elimination.strategies import STRATEGIES
from tale_jax.units import Granularity, Units, parse_unit


@dataclasses.dataclass(frozen=True)
class SearchRules:
    """How a search goes on, and when it stops.

    Attributes:
        epsilon: accuracy that may be lost before the search stops (0.08 = 8 points)
        floor: the model that the loss counts from: the first one (baseline), or the last accepted
            one (current)
        max_drops: stop after this many layers, or halves, besides the initial ones
        target_layers: stop when so few layers are left, or fewer; a half is 0.5
        target_speedup: stop at a model that is this many times as fast as the whole one, in a pass
            over the longest examples of the task; measured once, at the start
        max_hours: start no further round after so many hours; --resume with more goes on
        strategy: greedy; beam:K, where the K best of every depth go on; or floating, where layers
            may come back
        exhaustive: score every candidate on every example; the choice is the same

    Raises:
        InputError: an option is not allowed.
    """

    epsilon: Annotated[float, Between(ge=0, le=1)] = 0.08
    floor: Literal["baseline", "current"] = "baseline"
    max_drops: Annotated[int, Between(ge=0)] | None = None
    target_layers: Annotated[float, Between(gt=0)] | None = None
    target_speedup: Annotated[float, Between(gt=1)] | None = None
    max_hours: Annotated[float, Between(gt=0)] | None = None
    strategy: Annotated[str, OneOf(STRATEGIES)] = "greedy"
    exhaustive: bool = False

    def __post_init__(self) -> None:
        check_fields(self)
        if STRATEGIES.pick(self.strategy).width is None:
            raise InputError(f"--strategy: say how many models go on, as in {self.strategy}:3")

    def as_settings(self) -> dict[str, Any]:
        """What decides the result, by name; targets only where they are set.

        The hours are left out: a search goes on with more of them.
        """
        values = dataclasses.asdict(self)
        optional = ("target_layers", "target_speedup")
        unset = [name for name in optional if values[name] is None]
        return {name: v for name, v in values.items() if name not in (*unset, "max_hours")}

    def no_deeper(self, drops: int) -> Self:
        """The same rules for a search of so many drops, which nothing else ends."""
        most = max(1, drops)
        unset = dict.fromkeys(("target_layers", "target_speedup", "max_hours"))
        return dataclasses.replace(self, max_drops=most, **unset)

    def lowest(self, reference: int, total: int) -> int:
        """The fewest correct answers that are accepted: ``max(0, ⌈reference − ε · total⌉)``.

        ε is exactly the decimal number that is written: 0.08 is 2/25.  In floating point
        0.8 − 0.08 > 0.72, which would reject candidates that lie exactly on the floor.

        Args:
            reference: correct answers of the model that the loss counts from.
            total: number of examples.
        """
        return max(0, math.ceil(reference - Fraction(str(self.epsilon)) * total))


@dataclasses.dataclass(frozen=True)
class SearchOptions(SearchRules):
    """How layers are chosen.

    Attributes:
        initial: layers dropped from the start, 0-based, or halves such as 3.mlp
        granularity: what goes at a time: a layer, one of its halves, or either half (sublayer)
    """

    initial: Annotated[tuple[int | str, ...], Commas(parse_unit, "3,5.mlp")] = ()
    granularity: Granularity = "layer"

    def units(self, num_layers: int, missing: tuple[str, ...] = ()) -> Units:
        """What the search may drop of a model.

        Args:
            num_layers: of the model.
            missing: halves that the model is without from the start.

        Raises:
            InputError: the initial layers are not there, or are all that there is.
        """
        units = Units(num_layers, self.granularity, missing)
        units.start(self.initial)
        return units
