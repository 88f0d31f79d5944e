"""What a line of the journal of ``attn explain`` may say."""

from __future__ import annotations

from typing import Any

import msgspec

from attention.files import Natural


class Explained(msgspec.Struct):
    """A decision of the classifier, and what was measured of it."""

    example: Natural
    tokens: list[str]
    label: Natural
    guess: Natural
    probabilities: list[float]
    place: Natural
    guarantees: Any
    heads: list[dict[str, Any]]
    interventions: Any
    supports: Any
    context: Any
    agreement: Any
    curves: Any
    read: Natural | None = None
