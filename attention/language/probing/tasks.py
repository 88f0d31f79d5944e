"""What a language model can be asked: one row a task."""

from __future__ import annotations

import dataclasses

from attention.choices import Choices


@dataclasses.dataclass(frozen=True)
class Probe:
    """A task.

    Attributes:
        description: one line.
        measure: ``measure(task, subject) -> Found``, or its name ``"package.module:function"``.
    """

    description: str
    measure: str


PAIRS = "attention.language.probing.preferences:measure_pairs"
PROBES: Choices[Probe] = Choices(
    "task",
    {
        "blimp": Probe("minimal pairs of 67 paradigms in 12 phenomena", PAIRS),
        "zorro": Probe("minimal pairs in the words of children's books, 23 paradigms", PAIRS),
        "blimp_supplement": Probe("minimal pairs of dialogue and questions, 5 paradigms", PAIRS),
    },
)
