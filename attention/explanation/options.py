"""Options of an explanation, in groups; no JAX."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

from attention.command_line import Between, Commas, Word
from attention.errors import InputError
from attention.language import SOURCES, Split

Places = Annotated[tuple[int | Literal["all"], ...], Commas(metavar="all|N,N"), Between(ge=0)]


def _folder(text: str) -> Path:
    """The folder of the data; the flag named the set before."""
    if text in SOURCES and not Path(text).is_dir():
        raise InputError(f"--data is now the folder of the data: write --task {text}")
    return Path(text)


DataFolder = Annotated[Path, Word(_folder, "DIR")]


@dataclasses.dataclass(frozen=True)
class Decisions:
    """Which decisions are explained.

    Attributes:
        split: of the task
        data: folder of the named tasks' files
        limit: how many decisions, drawn from the split
        cut: cut texts that are longer than the model reads
    """

    split: Split = "test"
    data: DataFolder = Path("data")
    limit: Annotated[int, Between(ge=1)] = 50
    cut: bool = False


@dataclasses.dataclass(frozen=True)
class Examined:
    """What of the model is examined.

    Attributes:
        layers: whose attention is replaced: all, or 0-based numbers
        heads: the heads of these layers
        untrained: the control: give the model random weights
        dtype: type of the model's parameters and products
    """

    layers: Places = ("all",)
    heads: Places = ("all",)
    untrained: bool = False
    dtype: Literal["float32", "float64"] = "float32"


@dataclasses.dataclass(frozen=True)
class Adversary:
    """The adversary: a copy of the model that is trained to attend elsewhere.

    Attributes:
        adversary_steps: steps of its training; 0 leaves it out
        adversary_weight: how much the distance of its attention counts against that of its
            predictions
    """

    adversary_steps: Annotated[int, Between(ge=0)] = 150
    adversary_weight: Annotated[float, Between(ge=0)] = 0.5
