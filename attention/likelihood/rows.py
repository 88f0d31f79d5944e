"""What a model reads and is asked about: one row of tokens, and the targets that it predicts."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True)
class Row:
    """A prompt and, side by side, the branches that follow it, with the tokens asked about.

    Attributes:
        tokens: the prompt, then the branches one behind another.
        branches: 0 for the tokens of the prompt, b > 0 for those of branch b, which see the prompt
            and their own branch.
        positions: of each token in the text that it belongs to.
        targets: the tokens whose probability is asked for.
        read_at: for each target, the place in ``tokens`` that predicts it.
        owners: for each target, the number of its choice, from 0.
    """

    tokens: list[int]
    branches: list[int] = dataclasses.field(default_factory=list)
    positions: list[int] = dataclasses.field(default_factory=list)
    targets: list[int] = dataclasses.field(default_factory=list)
    read_at: list[int] = dataclasses.field(default_factory=list)
    owners: list[int] = dataclasses.field(default_factory=list)

    @classmethod
    def prompt(cls, tokens: Sequence[int]) -> Row:
        """A text about which nothing is asked, such as one that the model is to continue."""
        return cls(list(tokens), [0] * len(tokens), list(range(len(tokens))))

    @classmethod
    def text(cls, tokens: Sequence[int], targets: Sequence[int]) -> Row:
        """A text whose last places predict the targets, the last place the last target.

        ``Row.text(t[:-1], t[1:])`` asks about every token of ``t`` but the first.
        """
        row = cls.prompt(tokens)
        row.targets.extend(targets)
        row.read_at.extend(range(len(tokens) - len(targets), len(tokens)))
        row.owners.extend([0] * len(targets))
        return row

    @classmethod
    def masked(cls, tokens: Sequence[int], place: int, mask: int) -> Row:
        """A text with the mask in one place, which predicts the token that stood there."""
        row = cls.prompt([*tokens[:place], mask, *tokens[place + 1 :]])
        row.targets.append(tokens[place])
        row.read_at.append(place)
        row.owners.append(0)
        return row

    @classmethod
    def choices(cls, texts: Sequence[tuple[Sequence[int], int]]) -> Row:
        """A prompt with each of its choices: ``(tokens, how many of the last are the choice's)``.

        What all texts begin with is the prompt.  The last token of a choice is only predicted,
        never read.
        """
        first = texts[0][0]
        common = min(len(tokens) for tokens, _ in texts) - 1
        common = next((i for i in range(common) if any(t[i] != first[i] for t, _ in texts)), common)
        row = cls.prompt(first[:common])
        for owner, (tokens, count) in enumerate(texts):
            own = range(common, len(tokens) - 1)
            start = len(row.tokens) - common
            row.targets.extend(tokens[-count:])
            places = range(len(tokens) - count - 1, len(tokens) - 1)
            row.read_at.extend(p if p < common else start + p for p in places)
            row.owners.extend([owner] * count)
            row.tokens.extend(tokens[common:-1])
            row.branches.extend([owner + 1] * len(own))
            row.positions.extend(own)
        return row

    @property
    def unread(self) -> int:
        """Tokens before the first place that is read; rows may share these."""
        first = min(self.read_at, default=len(self.tokens) - 1)
        return min(first, self.branches.count(0) - 1)

    @property
    def places(self) -> list[int]:
        """The places that are read, each once: the first tokens of all choices are read at one."""
        return sorted(set(self.read_at))

    @property
    def reads(self) -> list[int]:
        """For each target, which of the ``places`` predicts it."""
        number = {place: i for i, place in enumerate(self.places)}
        return [number[place] for place in self.read_at]

    def without(self, shared: int) -> Row:
        """The row behind the first ``shared`` tokens."""
        return dataclasses.replace(
            self,
            tokens=self.tokens[shared:],
            branches=self.branches[shared:],
            positions=self.positions[shared:],
            read_at=[place - shared for place in self.read_at],
        )
