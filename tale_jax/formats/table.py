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
        ours: whether it can hold what this library alone has: layers that lack a half, and
            normalizers other than softmax.
    """

    description: str
    write: Callable[[Any, Path], None] | str
    ours: bool = True


def _own(function: Callable[[Any, Path], None]) -> Format:
    """The format that ``--format module:function`` names."""
    return Format("", function)


FORMATS: Choices[Format] = Choices(
    "format",
    {
        "huggingface": Format(
            "a shorter checkpoint, which transformers loads",
            "tale_jax.formats.writers:write_checkpoint",
            ours=False,
        ),
        "tale": Format(
            "a checkpoint that may have half-layers, for tale, attn and icl",
            "tale_jax.formats.writers:write_checkpoint",
        ),
        "gguf": Format(
            "one GGUF file, matrices as float16, for llama.cpp and its likes",
            "tale_jax.formats.writers:write_half_gguf",
            ours=False,
        ),
        "gguf-f32": Format(
            "one GGUF file with the checkpoint's own numbers as float32",
            "tale_jax.formats.writers:write_full_gguf",
            ours=False,
        ),
        "mergekit": Format(
            "a YAML recipe for mergekit",
            "tale_jax.formats.writers:write_recipe",
            ours=False,
        ),
        "list": Format("the dropped layers between commas", "tale_jax.formats.writers:write_list"),
    },
    own=_own,
)
