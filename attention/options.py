"""Groups of options that the commands of all packages share; no JAX."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal

from attention.errors import InputError
from attention.marks import Between, OneOf, Word
from attention.signature import check_fields

# jax.random.key and np.random.default_rng both take these
Seed = Annotated[int, Between(ge=0, lt=2**32)]
Count = Annotated[int, Between(ge=1)]
Weights = Literal["exact", "int8"]
"""How the linear layers of a model are held."""
AXES: tuple[str, ...] = ("dcn", "data", "fsdp", "model")
"""The axes of a mesh of devices, the slowest network first."""


@dataclasses.dataclass(frozen=True)
class Display:
    """What is shown.

    Attributes:
        quiet: show no progress
    """

    quiet: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Seeds:
    """Models that differ in their seed alone.

    Attributes:
        seed: the first seed: of the initial values, and of the data's order
        seeds: how many models are trained at once, with consecutive seeds

    Raises:
        InputError: a number is out of range.
    """

    seed: Seed = 0
    seeds: Count = 1

    def __post_init__(self) -> None:
        check_fields(self)
        if self.seed + self.seeds > 2**32:
            raise InputError(f"--seed and --seeds end at 2^32, not at {self.seed + self.seeds}")

    @property
    def all_seeds(self) -> range:
        """The seed of each model."""
        return range(self.seed, self.seed + self.seeds)


@dataclasses.dataclass(frozen=True)
class Hub:
    """What is taken from the hub.

    Attributes:
        revision: branch, tag or commit of a model on the hub
    """

    revision: str | None = None


@dataclasses.dataclass(frozen=True)
class Storage:
    """How the parameters of a model are held.

    Attributes:
        weights: int8 holds the linear layers in 8 bits with a scale for each column, for models
            that would not fit otherwise; answers may change a little
    """

    weights: Weights = "exact"

    def check_trainable(self) -> None:
        """Refuse to train what is rounded.

        Raises:
            InputError: the parameters are held in 8 bits.
        """
        if self.weights != "exact":
            raise InputError("a model in 8 bits is not trained: leave out --weights int8")


@dataclasses.dataclass(frozen=True)
class Layout:
    """The devices, and what is divided over them.

    Attributes:
        mesh: devices along each axis, such as data=4,model=2; the axes are dcn (slices), data, fsdp
            and model; an axis that is left out is 1, and one axis may be -1, which takes all
            remaining devices
        sharding: what is divided over the mesh: dp, examples alone; fsdp, parameters too, over
            fsdp; fsdp+tp, and heads, MLPs and vocabulary over model; fsdp+tp+sp, and between layers
            the places of a sequence over model; fsdp+cp, these places in attention too
    """

    mesh: Annotated[str, Word(metavar="data=N,model=N")] = ""
    sharding: Annotated[str, OneOf("attention.meshes:SHARDINGS")] = "fsdp+tp"

    def __post_init__(self) -> None:
        parse_mesh(self.mesh)

    @property
    def axes(self) -> dict[str, int]:
        """How many devices lie along each of ``AXES``; at most one is -1."""
        return parse_mesh(self.mesh)


@dataclasses.dataclass(frozen=True)
class Devices(Layout):
    """Devices and precision of the computation.

    Attributes:
        dtype: type of the parameters and products
    """

    dtype: Literal["float32", "bfloat16"] = "float32"


def parse_span(text: str) -> tuple[int, int]:
    """Read the first step and a number of steps: ``"100:5"``.

    Raises:
        InputError: it is something else.
    """
    first, _, count = text.partition(":")
    if not (first.isdecimal() and count.isdecimal() and int(count)):
        raise InputError(f"a span of steps is written START:COUNT, not {text!r}")
    return int(first), int(count)


Profile = Annotated[tuple[int, int] | None, Word(parse_span, "START:COUNT")]
"""Steps to trace with ``jax.profiler``."""


def parse_mesh(text: str) -> dict[str, int]:
    """Read the devices along each axis: ``"data=4"`` → ``{"dcn": 1, "data": 4, …}``.

    Raises:
        InputError: an axis is unknown or given twice, a count is not a whole number above 0, or
            more than one is -1.
    """
    axes: dict[str, int] = dict.fromkeys(AXES, 1)
    parts = [part.partition("=") for part in text.split(",") if part.strip()]
    names = [name.strip() for name, _, _ in parts]
    for name, _, count in parts:
        number = count.strip()
        if name.strip() not in axes or not (number == "-1" or (number.isdecimal() and int(number))):
            raise InputError(f"--mesh is written data=4,model=2 (one may be -1), not {text!r}")
        axes[name.strip()] = int(number)
    if len({*names}) < len(names) or list(axes.values()).count(-1) > 1:
        raise InputError(f"--mesh has each axis once, and at most one -1, not {text!r}")
    return axes
