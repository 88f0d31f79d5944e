"""What a line of the journal of ``icl ask`` may say."""

from __future__ import annotations

from typing import Annotated

import msgspec

from attention.files import Natural


class Answered(msgspec.Struct):
    """Answers to the questions of a setting from its question ``first`` on."""

    setting: Natural
    first: Natural
    answers: Annotated[list[str], msgspec.Meta(min_length=1)]
