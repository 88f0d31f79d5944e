"""The table of criteria, and which options of a search go with each; no JAX."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from attention.choices import Choices
from attention.command_line import OneOf
from attention.errors import InputError
from attention.signature import check_fields
from tale_jax.elimination import SearchOptions
from tale_jax.units import Dropped, Unit

if TYPE_CHECKING:  # needs JAX
    from tale_jax.criteria.proposals import Basis

Losses = Callable[[Sequence[Dropped]], Iterable[float]]
"""Yields a loss for each model, in order; smaller is better, and NaN counts as infinite."""

Measure = Callable[["Basis"], Losses | Sequence[Unit]]
"""Returns losses, which are computed anew after each drop, or an order of all layers."""


@dataclasses.dataclass(frozen=True)
class Criterion:
    """A criterion: what ranks layers.

    Attributes:
        description: which layer is dropped next; of equals it is the lowest.
        measure: a `Measure`, or its name as ``"module:name"``.
        tries_all: whether its losses are the scores of the search, which then tries every layer.
            Other criteria propose one layer at a time, and need the strategy greedy.
        halves: whether it ranks halves of layers too.
        reads_text: whether it reads calibration text.
        reads_answers: whether it looks at the right answers, so that a null control, which
            shuffles them, is not possible.
        random: whether it depends on the seed; a comparison then draws it several times.
    """

    description: str
    measure: Measure | str
    tries_all: bool = False
    halves: bool = True
    reads_text: bool = False
    reads_answers: bool = False
    random: bool = False


def _own(value: Measure) -> Criterion:
    """The row of a user's function: it may read text, and gets no null control."""
    first = (value.__doc__ or "").partition("\n")[0]
    return Criterion(first, value, reads_text=True, reads_answers=True)


_MEASURES = "tale_jax.criteria.measures"
CRITERIA = Choices(
    "criterion",
    {
        "accuracy": Criterion(
            "the layer whose absence leaves most search examples right (TALE)",
            f"{_MEASURES}:accuracy",
            tries_all=True,
        ),
        "loglikelihood": Criterion(
            "the layer whose absence leaves the right answers most probable",
            f"{_MEASURES}:loglikelihood",
            reads_answers=True,
        ),
        "perplexity": Criterion(
            "the layer whose absence leaves the text least surprising (SLEB)",
            f"{_MEASURES}:perplexity",
            reads_text=True,
        ),
        "cosine": Criterion(
            "the layer that changes its input least (block influence of ShortGPT)",
            f"{_MEASURES}:cosine",
            reads_text=True,
            halves=False,
        ),
        "attention": Criterion(
            "the layer whose answers lose least if it sees all its keys alike",
            f"{_MEASURES}:attention",
            reads_answers=True,
            halves=False,
        ),
        "random": Criterion(
            "the first in an order drawn from the seed", f"{_MEASURES}:shuffled", random=True
        ),
        "last": Criterion("the last of the model", f"{_MEASURES}:last"),
    },
    own=_own,
)


@dataclasses.dataclass(frozen=True)
class RankingOptions:
    """What ranks layers.

    Attributes:
        criterion: picks the layer to drop; accuracy then decides whether it may go
        calibration: text file for a criterion that reads text, in place of the prompts

    Raises:
        InputError: an option is not allowed.
    """

    criterion: Annotated[str, OneOf(CRITERIA)] = "accuracy"
    calibration: Path | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        if self.calibration is not None and not CRITERIA.pick(self.criterion).reads_text:
            raise InputError(
                f"the criterion {self.criterion} reads no text: leave out --calibration"
            )


def check_criterion(name: str, search: SearchOptions, null_control: int = 0) -> None:
    """Check that a criterion goes with the options of a search.

    Args:
        name: of the criterion.
        search: how layers are chosen.
        null_control: number of searches on shuffled answers.

    Raises:
        InputError: it does not go with the granularity, the strategy or a null control.
    """
    row = CRITERIA.pick(name)
    if search.granularity != "layer" and not row.halves:
        raise InputError(f"the criterion {name} measures whole layers: choose another for halves")
    if search.strategy != "greedy" and not row.tries_all:
        raise InputError(
            f"the criterion {name} proposes one layer at a time: it goes with --strategy greedy "
            f"alone, not {search.strategy}"
        )
    if null_control and row.reads_answers:
        raise InputError(
            f"--null-control shuffles the answers, which the criterion {name} looks at: choose "
            f"another criterion"
        )
