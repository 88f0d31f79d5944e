"""Arguments that several commands share; importing this is as quick as importing tyro."""

from __future__ import annotations

import os
from pathlib import Path

import tyro

from attention.errors import InputError

Sweeps = tyro.conf.UseAppendAction[list[str]]
Directories = tyro.conf.UseAppendAction[list[Path]]


def parse_words(text: str) -> list[str]:
    """``a,b`` → ["a", "b"]."""
    return [word.strip() for word in text.split(",") if word.strip()]


def check_folder(out: Path) -> None:
    """Finds out before long work that ``out`` cannot become a folder.

    Raises:
        InputError: it, or a folder above it, is a file.
    """
    for path in (out, *out.parents):
        if path.exists() and not path.is_dir():
            raise InputError(f"{path} is a file; give another --out")


def use_compilation_cache() -> None:
    """JAX keeps compiled programs in the user's cache folder, so that a second run starts fast."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(home / "tale-jax"))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "1")
