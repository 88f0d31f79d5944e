"""What a pretraining reads: the corpus as token files, its tokenizer, and the batches of a step."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from attention import files
from attention.errors import InputError
from attention.language.corpora import (
    Corpus,
    RowSource,
    Shares,
    TokenFiles,
    documents_of,
    encode_corpus,
    load_corpus,
    special_ids,
    tokenizer_digest,
    train_tokenizer,
)
from attention.language.labelled_texts import Split
from attention.language.pretraining.experiment import Text
from attention.language.pretraining.masking import Corruption
from attention.language.pretraining.objectives import (
    OBJECTIVES,
    Batch,
    Objective,
    Question,
    rate_at,
    stack_seeds,
)
from attention.language.pretraining.recipes import Recipe
from attention.transformer import checkpoint_folder

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SHORT_DOCUMENT = 1000  # bytes; about 200 words
MASKS = 2**31  # separates the draws of masks from those of rows


@dataclasses.dataclass(frozen=True)
class Material:
    """What a model is trained and judged on.

    Attributes:
        recipe: decides how rows are cut and what is asked.
        tokenizer: of the model.
        files: the tokens of the corpus.
        elsewhere: those of the corpus out of domain, or None.
    """

    recipe: Recipe
    tokenizer: PreTrainedTokenizerBase
    files: TokenFiles
    elsewhere: TokenFiles | None

    def rows(self, split: Split, where: TokenFiles | None = None) -> RowSource:
        """The rows of a split.

        Raises:
            InputError: the split is shorter than one row.
        """
        pad = self.tokenizer.pad_token_id
        found = self.files if where is None else where
        recipe = self.recipe
        pad = pad if isinstance(pad, int) else 0
        return RowSource(found, split, recipe.length, recipe.layout, pad)

    def batch(self, rows: RowSource, seed: int, step: int) -> Batch:
        """The batch of a step, a pure function of seed and step."""
        drawn = rows.draw(seed, step, self.recipe.batch)
        return self.objective.make(drawn, self._question(step), (seed, step, MASKS))

    def batch_of_seeds(self, rows: RowSource, seeds: range, step: int) -> Batch:
        """The batch of a step for several models: arrays ``[B, seed, …]``; of one, ``[B, …]``."""
        return stack_seeds([self.batch(rows, seed, step) for seed in seeds])

    def asked(self, rows: RowSource, which: np.ndarray, draw: int) -> Batch:
        """A batch of given rows, for evaluation: with the masked share at the end of training."""
        return self.objective.make(
            rows.read(which), self._question(self.recipe.steps), (draw, MASKS)
        )

    @property
    def warning(self) -> str | None:
        """What is suspicious about the documents, or None."""
        counts = self.files.counts["train"]
        short = counts["bytes"] < SHORT_DOCUMENT * counts["units"]
        if self.files.unit != "document" or not short:
            return None
        mean = counts["bytes"] // counts["units"]
        return (
            f"{self.files.corpus}: a document has {mean} bytes on average; if these are paragraphs "
            "of longer texts, the splits share texts: write --by document, and keep a file a text"
        )

    @property
    def objective(self) -> Objective:
        """What the model is asked."""
        return OBJECTIVES.pick(self.recipe.objective)

    def _question(self, step: int) -> Question:
        r = self.recipe
        end = r.mask_rate if r.mask_rate_end is None else r.mask_rate_end
        corruption = None
        if self.objective.masks:
            special = special_ids(self.tokenizer)
            mask = self.tokenizer.mask_token_id
            assert isinstance(mask, int)  # `prepare` looked
            ordinary = np.setdiff1d(np.arange(self.files.vocabulary), special)
            rate = rate_at(step, r.steps, r.mask_rate, end)
            corruption = Corruption(rate, r.mask_keep, r.mask_swap, mask, ordinary)
        most = max(r.mask_rate, end)
        shifted = r.objective == "hybrid"
        return Question(corruption, most, r.causal_share, shifted, r.layout != "stream")


def prepare(text: Text, shares: Shares, recipe: Recipe, init: str | None) -> Material:
    """Read the corpus, train or load the tokenizer, and encode what is not encoded yet.

    Tokenizers that were trained, and token files, lie in the cache, under their hashes.

    Raises:
        InputError: there is no such corpus or tokenizer, they do not fit, or a split is too short.
    """
    cache = files.cache_folder() / "text"
    corpus = load_corpus(text.corpus, by=text.by, field=text.field)
    tokenizer = _tokenizer(text, corpus, shares, recipe, init, cache)
    if OBJECTIVES.pick(recipe.objective).masks and not isinstance(tokenizer.mask_token_id, int):
        raise InputError(f"the tokenizer has no mask, which the objective {recipe.objective} needs")
    unit = "sentence" if recipe.layout == "sentence" else "document"
    encode = functools.partial(
        encode_corpus, tokenizer=tokenizer, folder=cache, unit=unit, token_type=text.token_type
    )
    encoded = encode(corpus, shares=shares)
    elsewhere = None
    if text.out_of_domain is not None:
        other = load_corpus(text.out_of_domain, by=text.by, field=text.field)
        whole = Shares(0.0, 1 - 2.0**-53)
        elsewhere = encode(other, shares=whole)
    material = Material(recipe, tokenizer, encoded, elsewhere)
    material.rows("train")
    material.rows("validation")
    if elsewhere is not None:
        material.rows("test", elsewhere)
    return material


def _tokenizer(
    text: Text, corpus: Corpus, shares: Shares, recipe: Recipe, init: str | None, cache: Path
) -> PreTrainedTokenizerBase:
    """The tokenizer that is given, that of the checkpoint, or one trained on the corpus."""
    if init is not None:
        own = files.load_tokenizer(checkpoint_folder(init))
        if text.tokenizer is not None:
            given = files.load_tokenizer(text.tokenizer)
            if tokenizer_digest(given) != tokenizer_digest(own):
                raise InputError(
                    f"{text.tokenizer} is not the tokenizer of {init}: leave out --tokenizer"
                )
        return own
    if text.tokenizer is not None:
        return files.load_tokenizer(text.tokenizer)
    size = recipe.vocabulary if text.vocabulary is None else text.vocabulary
    closed = not OBJECTIVES.pick(recipe.objective).causal
    kind = "closed" if closed else "open"
    name = f"{corpus.digest[:12]}-{shares.validation}-{shares.test}-{size}-{kind}"
    folder = cache / f"tokenizer-{name}"

    def make() -> None:
        trained = train_tokenizer(documents_of(corpus, "train", shares), size, closed=closed)
        with files.new_folder(folder) as scratch:
            trained.save_pretrained(scratch)

    files.make_once(folder, folder.is_dir, make)
    return files.load_tokenizer(folder)
