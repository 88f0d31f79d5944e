"""Options of a probing; no JAX."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

from attention.command_line import Between, Word
from attention.language.probing.rules import RULES
from attention.options import Count, Seed

SAMPLE = "sample"
SAMPLE_FOLDER = Path(__file__).parent / "sample"


def _rule(name: str) -> str:
    if name != "auto":
        RULES.pick(name)
    return name


@dataclasses.dataclass(frozen=True)
class Asked:
    """What is asked, and how.

    Attributes:
        data: folder that holds blimp/, zorro/, blimp_supplement/, syntaxgym/, ud_english_ewt/; or
            sample, a few pairs of blimp and zorro that come with the package
        rule: how a sentence is scored: sum or mean (causal models), unmasked, pll or pll-word
            (masked models); auto takes sum or unmasked
        limit: use the first so many pairs, items or sentences of each paradigm
        floors: text on which n-gram models are counted, whose scores stand beside; by default the
            text that a run was trained on; none leaves them out
        batch_tokens: most tokens in a batch
        seed: seed of the controls
    """

    data: Path = Path("data")
    rule: Annotated[str, Word(_rule, "NAME")] = "auto"
    limit: Count | None = None
    floors: str | None = None
    batch_tokens: Annotated[int, Between(ge=16)] = 4096
    seed: Seed = 0

    @property
    def folder(self) -> Path:
        """The folder of the data."""
        given = self.data == Path(SAMPLE) and not self.data.exists()
        return SAMPLE_FOLDER if given else self.data

    def __post_init__(self) -> None:
        if self.rule != "auto":
            RULES.pick(self.rule)
