"""Task-aware elimination of whole layers of pretrained language models (TALE)."""

from __future__ import annotations

import importlib.metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tale_jax.commands import evaluate, search
    from tale_jax.exporting import export

__version__ = importlib.metadata.version("tale-jax")
__all__ = ["__version__", "evaluate", "export", "search"]


def __getattr__(name: str) -> Any:
    # JAX takes a second to import; `tale --help` does not need it.
    if name in ("search", "evaluate"):
        from tale_jax import commands

        return getattr(commands, name)
    if name == "export":
        from tale_jax import exporting

        return exporting.export
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
