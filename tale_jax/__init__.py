"""Task-aware elimination of whole layers of pretrained language models (TALE)."""

from __future__ import annotations

import importlib
import importlib.metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tale_jax.commands.evaluate import evaluate
    from tale_jax.commands.search import search
    from tale_jax.exporting import export

__version__ = importlib.metadata.version("tale-jax")
__all__ = ["__version__", "evaluate", "export", "search"]
ROOMS = {
    "evaluate": "tale_jax.commands.evaluate",
    "export": "tale_jax.exporting.formats",
    "search": "tale_jax.commands.search",
}


def __getattr__(name: str) -> Any:
    # JAX takes a second to import; `tale --help` does not need it.
    if name in ROOMS:
        return getattr(importlib.import_module(ROOMS[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
