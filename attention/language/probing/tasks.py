"""What a language model can be asked: one row a task."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

from attention.choices import Choices
from attention.language.probing.treebank import FOLDERS

if TYPE_CHECKING:
    from attention.language.probing.measured import Found, Subject


@dataclasses.dataclass(frozen=True)
class Probe:
    """A task.

    Attributes:
        description: one line.
        measure: ``measure(task, subject) -> Found``, or its name ``"package.module:function"``.
        folders: of ``--data``, one of which holds its files; empty: that of its own name.
        heads: of the models that it is for.
        scored: whether sentences are scored by a row of ``RULES``.
    """

    description: str
    measure: str | Callable[[str, Subject], Found]
    folders: tuple[str, ...] = ()
    heads: tuple[str, ...] = ("causal_lm", "masked_lm")
    scored: bool = False


PAIRS = "attention.language.probing.preferences:measure_pairs"
PROBES: Choices[Probe] = Choices(
    "task",
    {
        "blimp": Probe("minimal pairs of 67 paradigms in 12 phenomena", PAIRS, scored=True),
        "zorro": Probe("minimal pairs in the words of children, 23 paradigms", PAIRS, scored=True),
        "blimp_supplement": Probe("minimal pairs of dialogues and questions", PAIRS, scored=True),
        "syntaxgym": Probe(
            "predictions about the surprisals of regions, 34 suites in 6 circuits",
            "attention.language.probing.syntaxgym:measure_suites",
            heads=("causal_lm",),
        ),
        "ud": Probe(
            "labels of words read off each layer: part of speech, head, depth, number, tense",
            "attention.language.probing.treebank:measure_layers",
            folders=FOLDERS,
        ),
    },
    group="probe",
)
