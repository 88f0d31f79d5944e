"""From sentences to scores: tokens, rows, and the log-probabilities of a model."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from attention.choices import resolve
from attention.errors import InputError
from attention.language.probing.opening import OpenedModel
from attention.language.probing.rules import Rule
from attention.likelihood import (
    Arrays,
    Row,
    RowBatches,
    check_vocabulary,
    score_targets,
    token_log_probs,
)
from attention.terminal import Steps, no_steps
from attention.transformer import Transformer, TransformerConfig


class Sentence(NamedTuple):
    """A sentence as a model reads it.

    Attributes:
        tokens: with the special tokens of a masked model; without any for a causal one.
        words: the number of each token's word; None for a special token.
        start: the marker that stands before a text of a causal model; None: there is none.
    """

    tokens: list[int]
    words: list[int | None]
    start: int | None


def left_to_right(sentence: Sentence) -> Row:
    """Each token is predicted by those before it, the first by the start marker if there is one."""
    if sentence.start is None:
        return Row.text(sentence.tokens[:-1], sentence.tokens[1:])
    return Row.text([sentence.start, *sentence.tokens[:-1]], sentence.tokens)


def all_in_sight(sentence: Sentence) -> Row:
    """Each token is predicted where it stands, by all tokens and itself."""
    return Row.text(sentence.tokens, sentence.tokens)


def each_token(sentence: Sentence) -> Row:
    """Each token that is not special is an owner of its own."""
    return _owned(sentence, range(len(sentence.tokens)))


def each_in_its_word(sentence: Sentence) -> Row:
    """The owner of a token is its word."""
    return _owned(sentence, [-1 if word is None else word for word in sentence.words])


def _owned(sentence: Sentence, owners: Sequence[int]) -> Row:
    row = Row.prompt(sentence.tokens)
    for place, (token, word) in enumerate(zip(sentence.tokens, sentence.words, strict=True)):
        if word is not None:
            row.targets.append(token)
            row.read_at.append(place)
            row.owners.append(owners[place])
    return row


def encode_sentences(model: OpenedModel, texts: Sequence[str]) -> list[Sentence]:
    """Encode sentences for a model.

    A causal model reads its beginning-of-text token first, or its end-of-text token if it has no
    other. A masked model reads the special tokens that its tokenizer adds.

    Args:
        model: the model.
        texts: the sentences.

    Raises:
        InputError: a sentence has no token, or more than the model has positions.
    """
    masked = model.config.head == "masked_lm"
    encoded = model.tokenizer(
        list(texts), add_special_tokens=masked, return_special_tokens_mask=True
    )
    bos, eos = model.tokenizer.bos_token_id, model.tokenizer.eos_token_id
    start: Any = None if masked else (eos if bos is None else bos)
    learned = model.config.position_embedding == "learned"
    most = model.config.max_position_embeddings if learned else None
    found = []
    for i, (tokens, special) in enumerate(
        zip(encoded["input_ids"], encoded["special_tokens_mask"], strict=True)
    ):
        words = encoded.word_ids(i) if encoded.is_fast else [*range(len(tokens))]
        words = [None if s else w for w, s in zip(words, special, strict=True)]
        if len(tokens) < 1 + (start is None):
            raise InputError(f"the sentence {texts[i]!r} has no token that can be scored")
        if most is not None and len(tokens) > most:
            raise InputError(
                f"a sentence of {len(tokens)} tokens is longer than the model's {most} positions"
            )
        found.append(Sentence(tokens, words, start))
    return found


def score_sentences(
    model: OpenedModel,
    texts: Sequence[str],
    rule: Rule,
    batch_tokens: int = 4096,
    steps: Steps = no_steps,
) -> Float[np.ndarray, " sentences"]:
    """Score sentences by a rule; equal sentences are scored once, and get equal scores.

    Args:
        model: with the head that the rule is for.
        texts: the sentences.
        rule: how they are scored.
        batch_tokens: most tokens in a batch.
        steps: shows progress.

    Returns:
        A score for each sentence in float64; more is better.

    Raises:
        InputError: a sentence cannot be read, or the tokenizer lacks a mask that the rule needs.
    """
    distinct = list(dict.fromkeys(texts))
    make: Any = resolve(rule.row)
    rows = [make(sentence) for sentence in encode_sentences(model, distinct)]
    found = target_log_probs(model, rows, rule.hides, batch_tokens, steps)
    total = np.mean if rule.mean else np.sum
    scores = {
        text: float(total(each, dtype=np.float64))
        for text, each in zip(distinct, found, strict=True)
    }
    return np.array([scores[text] for text in texts])


def target_log_probs(
    model: OpenedModel,
    rows: Sequence[Row],
    hides: bool = False,
    batch_tokens: int = 4096,
    steps: Steps = no_steps,
) -> list[Float[np.ndarray, " P"]]:
    """Compute the log-probability of every target of each row.

    Args:
        model: the model.
        rows: what it reads and is asked about.
        hides: mask each target, and those behind it that have the same owner.
        batch_tokens: most tokens in a batch.
        steps: shows progress.

    Raises:
        InputError: a token is not in the model's vocabulary, the tokenizer has no mask, or the
            logits are NaN.
    """
    check_vocabulary(rows, model.config.vocab_size)
    batches = RowBatches(rows, batch_tokens, model.batch_sharding)
    with steps("score sentences", len(batches)) as batches.advance:
        if not hides:
            scores = token_log_probs(model.config, model.params, batches)
            return _checked(model, [np.asarray(each.log_probs) for each in scores])
        mask = model.tokenizer.mask_token_id
        if mask is None:
            raise InputError(f"{model.name}: its tokenizer has no mask token, which the rule needs")
        program = functools.partial(_hidden_log_probs, model.config, model.params, mask)
        found = batches.run(program)
    pairs = zip(found, rows, strict=True)
    return _checked(model, [np.asarray(each)[: len(row.targets)] for each, row in pairs])


def _checked(model: OpenedModel, found: list[np.ndarray]) -> list[np.ndarray]:
    """Refuse what is no number.

    Raises:
        InputError: a log-probability is NaN.
    """
    if any(np.isnan(each).any() for each in found):
        raise InputError(f"{model.name}: its logits are NaN; try another dtype or another model")
    return found


@functools.partial(jax.jit, static_argnames="config")
def _hidden_log_probs(
    config: TransformerConfig, params: Mapping[str, PyTree], mask: int, arrays: Arrays
) -> Float[Array, "R P"]:
    """Hide the first target of all rows, then the second, …; each is one pass of a whole batch."""
    where_RP, owners_RP = arrays.target_where, arrays.owners
    spots_RP = jnp.take_along_axis(arrays.places, arrays.reads, axis=1)
    rows_R1 = jnp.arange(len(arrays.tokens))[:, None]
    order_P = jnp.arange(spots_RP.shape[1])

    def score(p: Array) -> Array:
        same_RP = (owners_RP == owners_RP[:, p, None]) & (order_P[None] >= p) & where_RP
        hidden_RT = jnp.zeros(arrays.tokens.shape, bool).at[rows_R1, spots_RP].max(same_RP)
        states_R1D: Any = Transformer(config).apply(
            {"params": params},
            jnp.where(hidden_RT, mask, arrays.tokens),
            where=arrays.where,
            read_at=spots_RP[:, p, None],
            logits=False,
        )
        targets_R1, reads_R1 = arrays.targets[:, p, None], jnp.zeros_like(rows_R1)
        return score_targets(config, params, states_R1D, targets_R1, reads_R1).log_probs[:, 0]

    return jax.lax.map(score, order_P).T
