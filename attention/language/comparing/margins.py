"""What counts as equal: margins that are fixed before any run is looked at."""

from __future__ import annotations

import dataclasses

from attention.choices import Choices


@dataclasses.dataclass(frozen=True)
class Margin:
    """How a measure is compared.

    Attributes:
        description: one line.
        equal: differences within ± this are no difference; None: no verdict of equality.
        unit: of the difference.
        lower_is_better: whether a smaller value is the better one.
    """

    description: str
    equal: float | None = None
    unit: str = "points"
    lower_is_better: bool = False


MARGINS: Choices[Margin] = Choices(
    "measure",
    {
        "perplexity": Margin("held-out perplexity, same kind of text", 1.0, "%", True),
        "perplexity_elsewhere": Margin("held-out perplexity, other text", 1.0, "%", True),
        "blimp": Margin("accuracy on BLiMP", 1.0),
        "zorro": Margin("accuracy on Zorro", 2.5),
        "blimp_supplement": Margin("accuracy on BLiMP's supplement"),
        "syntaxgym": Margin("accuracy on SyntaxGym"),
    },
)
"""A measure without a row is compared without a verdict of equality."""


def margin_of(measure: str) -> Margin:
    """The row of a measure, or one without a margin."""
    return MARGINS.get(measure, Margin(f"accuracy on {measure}"))
