"""Task-aware elimination of whole layers of pretrained language models (TALE)."""

from __future__ import annotations

import importlib
import importlib.metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tale_jax.evaluation import evaluate
    from tale_jax.exporting import export
    from tale_jax.searching import search

__version__ = importlib.metadata.version("tale-jax")
__all__ = ["__version__", "evaluate", "export", "search"]
ROOMS = {
    "evaluate": "tale_jax.evaluation",
    "export": "tale_jax.exporting",
    "search": "tale_jax.searching",
}


def __getattr__(name: str) -> Any:
    # JAX takes a second to import; `tale --help` does not need it.
    if name in ROOMS:
        return getattr(importlib.import_module(ROOMS[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
