"""``icl …``: learning functions in context."""

from __future__ import annotations

import importlib.metadata
import sys


def main(arguments: list[str] | None = None) -> None:
    """Entry point; there is no command but ``--version`` yet."""
    words = sys.argv[1:] if arguments is None else arguments
    version = importlib.metadata.version("tale-jax")
    if words == ["--version"]:
        print(f"tale-jax {version}")
        return
    usage = "usage: icl [-h] [--version]\n\nThis version has no tasks for learning in context yet."
    asked = words in (["-h"], ["--help"])
    print(usage, file=sys.stdout if asked else sys.stderr)
    sys.exit(0 if asked else 2)
