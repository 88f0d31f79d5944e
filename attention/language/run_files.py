"""What the files of a pretraining and of a probing may say, for the commands that read them."""

from __future__ import annotations

from typing import Annotated

import msgspec

from attention.files import Natural, Positive, Share, Text

Loss = Annotated[float, msgspec.Meta(ge=0)]
Perplexity = Annotated[float, msgspec.Meta(ge=1)]


class Pretrained(msgspec.Struct):
    """What is needed of the ``settings.json`` of ``attn pretrain``; a model may also be no run."""

    normalizer: Text
    seed: Natural
    corpus_place: Text | None = None
    by: Text = "book"
    validation: Share = 0.0
    test: Share = 0.0


class HeldOut(msgspec.Struct):
    """The loss on held-out text."""

    perplexity: Perplexity
    loss: Loss | None = None
    bits_per_byte: Loss | None = None


class Line(HeldOut, kw_only=True):
    """A line of ``heldout.jsonl``."""

    step: Natural
    tokens: Natural


class Summary(msgspec.Struct):
    """``summary.json`` of ``attn pretrain``."""

    in_domain: HeldOut | None = None
    out_of_domain: HeldOut | None = None
    floors: dict[str, Perplexity] = {}


class Floor(msgspec.Struct):
    """The accuracy of a model that counts n-grams."""

    accuracy: Share


class OfTask(msgspec.Struct):
    """A task of a probing."""

    floors: dict[str, Floor] = {}


class Probing(msgspec.Struct):
    """``summary.json`` of ``attn probe``."""

    tasks: dict[str, OfTask]


class Paradigm(msgspec.Struct):
    """A row of ``paradigms.csv``, whose cells are texts."""

    task: Text
    phenomenon: Text
    paradigm: Text
    pairs: Positive
    accuracy: Share
