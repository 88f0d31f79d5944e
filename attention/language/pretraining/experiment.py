"""A pretraining in words: its options; nothing here imports JAX or NumPy."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

from attention.command_line import Between, OneOf
from attention.language.corpora import SAMPLE, By, Layout, TokenType
from attention.language.pretraining.recipes import RECIPES, Recipe
from attention.options import Count, Profile, Seeds

COMMAND = "attn pretrain"


@dataclasses.dataclass(frozen=True)
class Text:
    """The text, and its tokens.

    Attributes:
        corpus: file or folder with .txt, .txt.gz or JSONL, a data set of the hub, or "sample"
        by: what is one document of a text file: a book, up to an empty line, or the whole file.
            Documents are split as a whole; take document, and a file a book, where empty lines
            stand between paragraphs
        field: with the text, in JSON and on the hub
        tokenizer: folder of a tokenizer; by default one is trained, or taken from --init
        vocabulary: tokens of the one that is trained; by default as in the recipe
        token_type: of token ids on disk; by default the smallest that holds the vocabulary
        out_of_domain: another corpus, on which the trained model is judged too
    """

    corpus: str = SAMPLE
    by: By = "book"
    field: str = "text"
    tokenizer: Path | None = None
    vocabulary: Count | None = None
    token_type: TokenType = "auto"
    out_of_domain: str | None = None


@dataclasses.dataclass(frozen=True)
class Pretraining(Seeds):
    """What is trained.

    Attributes:
        recipe: everything that is not said here
        normalizer: turns attention scores into weights
        init: checkpoint to go on from, in place of random values: a folder, run or hub id
    """

    recipe: Annotated[str, OneOf(RECIPES)] = "mini-decoder"
    normalizer: str | None = None
    init: str | None = None


@dataclasses.dataclass(frozen=True)
class Changes:
    """Changes of the recipe; what is not given is as there.

    Attributes:
        objective: what the model is asked
        layout: how rows are cut: packed documents that do not see each other, one stream, or one
            sentence a row
        length: tokens of a row
        batch: rows of an update
        steps: updates; the learning rate is planned for so many
        optimizer: of optax or optax.contrib, such as muon or adamw:b2=0.95
        schedule: of the learning rate, such as warmup_cosine_decay_schedule:warmup_steps=100
        learning_rate: the largest
        weight_decay: of the optimizer
        clip: largest norm of a gradient; 0: no limit
        z_loss: factor of the squared log-sum-exp in the loss
        dropout: share of the numbers that become 0 in training
        mask_rate: share of the tokens that are masked
    """

    objective: Annotated[
        str | None, OneOf("attention.language.pretraining.objectives:OBJECTIVES")
    ] = None
    layout: Layout | None = None
    length: Annotated[int | None, Between(ge=2)] = None
    batch: Count | None = None
    steps: Count | None = None
    optimizer: str | None = None
    schedule: str | None = None
    learning_rate: Annotated[float | None, Between(gt=0)] = None
    weight_decay: Annotated[float | None, Between(ge=0)] = None
    clip: Annotated[float | None, Between(ge=0)] = None
    z_loss: Annotated[float | None, Between(ge=0)] = None
    dropout: Annotated[float | None, Between(ge=0, lt=1)] = None
    mask_rate: Annotated[float | None, Between(gt=0, lt=1)] = None

    def of(self, recipe: Recipe) -> Recipe:
        """The recipe with these changes."""
        given = {name: x for name, x in dataclasses.asdict(self).items() if x is not None}
        if "clip" in given:
            given["clip"] = given["clip"] or None
        if "mask_rate" in given:
            given["mask_rate_end"] = None
        return dataclasses.replace(recipe, **given)


@dataclasses.dataclass(frozen=True)
class Work:
    """How the work is done, and what is kept.

    Attributes:
        accumulate: parts of a batch, one after another, whose gradients add up; by default one, or
            on a CPU as many as fit its cache
        attention: implementation of attention; by default the fastest that the device has
        remat: what a layer keeps for the backward pass: none recomputes nothing, full keeps the
            states between layers alone, dots the results of projections too, offload those in the
            memory of the host
        save_every: updates between checkpoints, the last two of which stay
        keep_minutes: one checkpoint of every so many minutes stays too
        keep_best: keep the parameters with the lowest validation loss too, in best/
        log_every: updates between lines of metrics
        evaluate_every: updates between two looks at the validation split
        evaluate_rows: rows that such a look reads; the last one, at the test split, reads eight
            times as many
        profile: steps to trace with jax.profiler, into the run's folder "profile"
    """

    accumulate: Count | None = None
    attention: Literal["auto", "xla", "blocks", "chunked", "pallas"] = "auto"
    remat: Literal["none", "full", "dots", "offload"] = "none"
    save_every: Count = 500
    keep_minutes: Count | None = None
    keep_best: bool = False
    log_every: Count = 20
    evaluate_every: Count = 200
    evaluate_rows: Count = 128
    profile: Profile = None
