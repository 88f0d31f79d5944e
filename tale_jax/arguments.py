"""Arguments that several commands share; importing this is as quick as importing tyro."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import tyro

from attention.errors import InputError
from tale_jax.options import Options
from tale_jax.units import Unit, parse_unit

Layers = Annotated[str, tyro.conf.arg(metavar="3,5")]
Words = Annotated[str, tyro.conf.arg(metavar="A,B")]
Shared = Annotated[Options, tyro.conf.arg(name="")]
USUAL = Options()


def parse_layers(text: str) -> list[Unit]:
    """``3,5.mlp`` → [3, "5.mlp"]."""
    try:
        return [parse_unit(word) for word in text.split(",")] if text.strip() else []
    except ValueError:
        raise InputError(
            "layers are numbers between commas, such as 3,5, and halves such as 3.attention or "
            f"5.mlp, not {text!r}"
        ) from None


def parse_numbers(text: str) -> list[int]:
    """``1,8`` → [1, 8]."""
    try:
        return [int(word) for word in text.split(",")]
    except ValueError:
        raise InputError(f"give numbers between commas, such as 1,8, not {text!r}") from None


def parse_words(text: str) -> list[str]:
    """``a,b`` → ["a", "b"]."""
    return [word.strip() for word in text.split(",") if word.strip()]


def use_compilation_cache(wanted: bool) -> None:
    """JAX keeps compiled programs in the user's cache folder, so that a second run starts fast."""
    if not wanted:
        return
    import jax

    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    jax.config.update("jax_compilation_cache_dir", str(Path(root) / "tale-jax" / "programs"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
