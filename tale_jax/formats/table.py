"""The table of formats that a model can be exported in; it imports no JAX."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attention.choices import Choices


@dataclasses.dataclass(frozen=True)
class Format:
    """A format.

    Attributes:
        description: one line about it.
        write: writes an :class:`~tale_jax.formats.export.Export` to a path that is new;
            ``"package.module:function"`` is imported when used.
        halves: whether it can hold layers that lack one of their halves.
    """

    description: str
    write: Callable[[Any, Path], None] | str
    halves: bool = True


def _own(function: Callable[[Any, Path], None]) -> Format:
    """The format that ``--format module:function`` names."""
    return Format("", function)


FORMATS: Choices[Format] = Choices(
    "format",
    {
        "huggingface": Format(
            "a shorter checkpoint, which transformers loads",
            "tale_jax.formats.writers:write_checkpoint",
            halves=False,
        ),
        "tale": Format(
            "a checkpoint that may have half-layers, for tale, attn and icl",
            "tale_jax.formats.writers:write_checkpoint",
        ),
        "mergekit": Format(
            "a YAML recipe for mergekit",
            "tale_jax.formats.writers:write_recipe",
            halves=False,
        ),
        "list": Format("the dropped layers between commas", "tale_jax.formats.writers:write_list"),
    },
    own=_own,
)
