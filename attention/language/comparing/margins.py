"""What counts as equal: margins that are fixed before any run is looked at."""

from __future__ import annotations

import dataclasses

from attention.choices import Choices


@dataclasses.dataclass(frozen=True)
class Margin:
    """How a measure is compared.

    Attributes:
        title: what tables and figures call it.
        description: one line.
        equal: differences within ± this are no difference; None: no verdict of equality.
        unit: of the difference.
        lower_is_better: whether a smaller value is the better one.
    """

    title: str
    description: str
    equal: float | None = None
    unit: str = "points"
    lower_is_better: bool = False


MARGINS: Choices[Margin] = Choices(
    "measure",
    {
        "perplexity": Margin("perplexity", "held-out, same kind of text", 1.0, "%", True),
        "perplexity_elsewhere": Margin("perplexity elsewhere", "other text", 1.0, "%", True),
        "blimp": Margin("BLiMP", "accuracy on BLiMP", 1.0),
        "zorro": Margin("Zorro", "accuracy on Zorro", 2.5),
        "blimp_supplement": Margin("BLiMP supplement", "accuracy on BLiMP's supplement"),
        "syntaxgym": Margin("SyntaxGym", "accuracy on SyntaxGym"),
    },
)
"""A measure without a row is compared without a verdict of equality."""


def margin_of(measure: str) -> Margin:
    """The row of a measure, or one without a margin."""
    return MARGINS.get(measure, Margin(measure, f"accuracy on {measure}"))
