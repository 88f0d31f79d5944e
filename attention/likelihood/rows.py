"""One row of tokens, which a model reads, and the targets that it predicts."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from attention.errors import InputError
from attention.transformer import ALONE


@dataclasses.dataclass(frozen=True)
class Row:
    """A prompt, the branches that follow it side by side, and the tokens that are asked about.

    Attributes:
        tokens: the prompt, then one branch after another.
        branches: 0 for tokens of the prompt, b > 0 for tokens of branch b.  These see the prompt
            and their own branch; from ``ALONE`` on they see their own branch only.
        positions: the position of each token in its text.
        targets: the tokens whose probability is asked for.
        read_at: the place in ``tokens`` that predicts each target.
        owners: the number of the choice that each target belongs to, from 0.
    """

    tokens: list[int]
    branches: list[int] = dataclasses.field(default_factory=list)
    positions: list[int] = dataclasses.field(default_factory=list)
    targets: list[int] = dataclasses.field(default_factory=list)
    read_at: list[int] = dataclasses.field(default_factory=list)
    owners: list[int] = dataclasses.field(default_factory=list)

    @classmethod
    def prompt(cls, tokens: Sequence[int]) -> Row:
        """Make a row without targets, such as a text that the model continues."""
        return cls(list(tokens), [0] * len(tokens), list(range(len(tokens))))

    @classmethod
    def text(cls, tokens: Sequence[int], targets: Sequence[int]) -> Row:
        """Make a row whose last places predict the targets, one each.

        ``Row.text(t[:-1], t[1:])`` asks about every token of ``t`` but the first.
        """
        row = cls.prompt(tokens)
        row.targets.extend(targets)
        row.read_at.extend(range(len(tokens) - len(targets), len(tokens)))
        row.owners.extend([0] * len(targets))
        return row

    @classmethod
    def masked(cls, tokens: Sequence[int], place: int, mask: int) -> Row:
        """Make a row with the mask in one place, which predicts the token of that place."""
        row = cls.prompt([*tokens[:place], mask, *tokens[place + 1 :]])
        row.targets.append(tokens[place])
        row.read_at.append(place)
        row.owners.append(0)
        return row

    @classmethod
    def choices(
        cls,
        texts: Sequence[tuple[Sequence[int], int]],
        alone: Sequence[tuple[Sequence[int], int]] = (),
    ) -> Row:
        """Make a row of one prompt with several choices.

        The prompt is the beginning that all texts share.  The last token of a choice is predicted
        but not read.

        Args:
            texts: the tokens of each prompt with its choice, and how many of them are the choice.
            alone: further texts that do not see the prompt; their owners follow those of ``texts``.
        """
        first = texts[0][0]
        common = min(len(tokens) for tokens, _ in texts) - 1
        common = next((i for i in range(common) if any(t[i] != first[i] for t, _ in texts)), common)
        row = cls.prompt(first[:common])
        for owner, text in enumerate(texts):
            row._add(text, owner, owner + 1, common)
        for i, text in enumerate(alone):
            row._add(text, len(texts) + i, ALONE + i, 0)
        return row

    def _add(self, text: tuple[Sequence[int], int], owner: int, branch: int, common: int) -> None:
        """Add a branch: the tokens of a text behind the first ``common``, which it sees."""
        tokens, count = text
        own = range(common, len(tokens) - 1)
        start = len(self.tokens) - common
        self.targets.extend(tokens[-count:])
        places = range(len(tokens) - count - 1, len(tokens) - 1)
        self.read_at.extend(p if p < common else start + p for p in places)
        self.owners.extend([owner] * count)
        self.tokens.extend(tokens[common:-1])
        self.branches.extend([branch] * len(own))
        self.positions.extend(own)

    @property
    def unread(self) -> int:
        """Number of tokens before the first place that is read; rows may share these.

        There are none where a branch does not see the prompt: it would see what is shared.
        """
        if max(self.branches) >= ALONE:
            return 0
        first = min(self.read_at, default=len(self.tokens) - 1)
        return min(first, self.branches.count(0) - 1)

    @property
    def places(self) -> list[int]:
        """The places that are read, each once; one predicts the first token of all choices."""
        return sorted(set(self.read_at))

    @property
    def reads(self) -> list[int]:
        """Which of the ``places`` predicts each target."""
        number = {place: i for i, place in enumerate(self.places)}
        return [number[place] for place in self.read_at]

    def without(self, shared: int) -> Row:
        """The row without its first ``shared`` tokens."""
        return dataclasses.replace(
            self,
            tokens=self.tokens[shared:],
            branches=self.branches[shared:],
            positions=self.positions[shared:],
            read_at=[place - shared for place in self.read_at],
        )


def check_vocabulary(rows: Iterable[Row], size: int | None) -> None:
    """Refuse tokens that a model does not know.

    Args:
        rows: what it reads and is asked about.
        size: tokens in its vocabulary; None: it has none.

    Raises:
        InputError: a token's id is not below ``size``; the message names such ids.
    """
    check_tokens((t for row in rows for t in (*row.tokens, *row.targets)), size)


def check_tokens(tokens: Iterable[int], size: int | None) -> None:
    """Refuse tokens that a model does not know; see `check_vocabulary`.

    Raises:
        InputError: a token's id is not below ``size``.
    """
    if size is None:
        return
    unknown = sorted({token for token in map(int, tokens) if token >= size})
    if unknown:
        listed = ", ".join(map(str, unknown[:5])) + (", …" if len(unknown) > 5 else "")
        raise InputError(
            f"the tokenizer gives the token ids {listed}, but the model's vocabulary has {size} "
            f"tokens, 0 to {size - 1}; take the tokenizer that the model was trained with"
        )
