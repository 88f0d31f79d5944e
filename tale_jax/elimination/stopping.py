"""What stop rules look at besides counts: how long a model takes, and how long the search has."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable

from tale_jax.units import Dropped, kept_halves


@dataclasses.dataclass(frozen=True)
class PartTimes:
    """How long a pass takes, by the parts of the model that run.

    With a attention halves and m MLP halves a pass takes

        t(a, m) = rest + a · attention + m · mlp

    which three passes tell: the whole model's, and those without all attention and without all MLP
    halves.  A part that noise makes negative counts as 0.

    Attributes:
        whole: seconds of a pass of the whole model.
        without_attention: seconds without its attention halves.
        without_mlp: seconds without its MLP halves.
        num_layers: of the model.
        missing: halves that the model is without from the start.
    """

    whole: float
    without_attention: float
    without_mlp: float
    num_layers: int
    missing: tuple[str, ...] = ()

    def seconds(self, dropped: Dropped) -> float:
        """The seconds of a pass without some layers and halves."""
        parts = (self.whole - self.without_attention, self.whole - self.without_mlp)
        parts = [max(0.0, part) for part in parts]
        rest = max(0.0, self.whole - sum(parts))
        have, left = self._halves(()), self._halves(dropped)
        shares = (part * n / most for part, n, most in zip(parts, left, have, strict=True) if most)
        return rest + sum(shares)

    def speed_up(self, dropped: Dropped) -> float:
        """How many times as fast a model is as the whole one."""
        return self.seconds(()) / max(self.seconds(dropped), 1e-12)

    def _halves(self, dropped: Dropped) -> tuple[int, int]:
        """How many attention and MLP halves are left."""
        attention, mlp = zip(*kept_halves((*dropped, *self.missing), self.num_layers), strict=True)
        return sum(attention), sum(mlp)


def _stopwatch() -> Callable[[], float]:
    start = time.monotonic()
    return lambda: time.monotonic() - start


@dataclasses.dataclass(frozen=True)
class Gauges:
    """What the stop rules of a search read.

    Attributes:
        speed_up: how many times as fast a model is as the whole one; None: nobody measured it.
        elapsed: seconds that the search has taken so far, with those before it was resumed.
    """

    speed_up: Callable[[Dropped], float] | None = None
    elapsed: Callable[[], float] = dataclasses.field(default_factory=_stopwatch)
