"""Groups of options of an explanation; no JAX."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

from attention.command_line import Between, Commas, Word
from attention.errors import InputError
from attention.language import SOURCES, Split

Places = Annotated[tuple[int | Literal["all"], ...], Commas(metavar="all|N,N"), Between(ge=0)]


def _folder(text: str) -> Path:
    """Read the folder of the data, which is often mistaken for the set."""
    if text in SOURCES and not Path(text).is_dir():
        raise InputError(f"this is the folder of the data; for the set write --task {text}")
    return Path(text)


DataFolder = Annotated[Path, Word(_folder, "DIR")]


@dataclasses.dataclass(frozen=True)
class Decisions:
    """Decisions that are explained.

    Attributes:
        split: which part of the task
        data: folder with the files of the named tasks
        limit: number of decisions, drawn from the split
        cut: cut texts that are too long for the model
    """

    split: Split = "test"
    data: DataFolder = Path("data")
    limit: Annotated[int, Between(ge=1)] = 50
    cut: bool = False


@dataclasses.dataclass(frozen=True)
class Examined:
    """Parts of the model that are examined.

    Attributes:
        drop: layers that the model goes without, 0-based; the others are numbered anew
        layers: layers whose attention is replaced: all, or 0-based numbers
        heads: heads of these layers, likewise
        untrained: give the model random weights, as a control
        dtype: type of the model's parameters and products
    """

    drop: Annotated[tuple[int, ...], Commas(metavar="3,5"), Between(ge=0)] = ()
    layers: Places = ("all",)
    heads: Places = ("all",)
    untrained: bool = False
    dtype: Literal["float32", "float64"] = "float32"


@dataclasses.dataclass(frozen=True)
class Adversary:
    """The adversary, a copy of the model that is trained to attend elsewhere.

    Attributes:
        adversary_steps: steps of its training; 0 leaves it out
        adversary_weight: weight of the distance of its attention, against that of its predictions
    """

    adversary_steps: Annotated[int, Between(ge=0)] = 150
    adversary_weight: Annotated[float, Between(ge=0)] = 0.5
