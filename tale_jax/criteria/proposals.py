"""Turns a criterion into a function that proposes the layer to try next."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from pathlib import Path

from attention.choices import resolve
from attention.errors import InputError
from attention.likelihood import Row
from tale_jax.criteria.calibration import calibration_rows
from tale_jax.criteria.table import CRITERIA, Losses
from tale_jax.models import LoadedModel
from tale_jax.scoring import JointScorer, Scorer
from tale_jax.units import Dropped, Unit, Units, add, ordered


@dataclasses.dataclass(frozen=True)
class Basis:
    """What a criterion may look at.

    Attributes:
        model: whose layers are dropped.
        scorer: of the task, or of several; ``count`` and ``answers`` score models on its examples.
        units: what may be dropped.
        calibration: text file that is read in place of the prompts of the search split.
        seed: of all random draws.
    """

    model: LoadedModel
    scorer: Scorer | JointScorer
    units: Units
    calibration: Path | None = None
    seed: int = 0

    @functools.cached_property
    def text(self) -> list[Row]:
        """The rows of the calibration text, in which every token but the first is a target.

        Raises:
            InputError: the file cannot be read, or there are not two tokens to read.
        """
        return calibration_rows(self.model, self.scorer.examples["search"], self.calibration)


def propose_by(
    name: str,
    basis: Basis,
    known: Mapping[Dropped, float] | None = None,
    on_loss: Callable[[Dropped, float], None] = lambda dropped, loss: None,
) -> Callable[[Dropped], list[Unit]]:
    """Prepare a criterion for a search.

    Args:
        name: of the criterion.
        basis: what the criterion looks at.
        known: losses from a journal, which are not computed again.
        on_loss: called with each model and its loss, known or new.

    Returns:
        A function that takes what is dropped and returns a list of the one unit to drop next; of
        equals it is the lowest.

    Raises:
        InputError: there is no such criterion, its text cannot be read, or its order does not name
            every unit once.
    """
    found = resolve(CRITERIA.pick(name).measure)(basis)
    measure: Losses = found
    if not callable(found):
        order: list[Unit] = [x if isinstance(x, str) else int(x) for x in found]
        if ordered(order) != basis.units.every or len(order) > len(basis.units.every):
            raise InputError(f"the criterion {name} must order every layer once, not {order}")
        return lambda dropped: [next(x for x in order if x in basis.units.left(dropped))]

    known = known or {}

    def smallest(dropped: Dropped) -> list[Unit]:
        left, losses = basis.units.left(dropped), []
        models = [add(dropped, unit) for unit in left]
        computed = iter(measure([model for model in models if model not in known]))
        for model in models:
            loss = known[model] if model in known else next(computed)
            losses.append(math.inf if math.isnan(loss) else loss)
            on_loss(model, losses[-1])
        return [left[losses.index(min(losses))]]

    return smallest
