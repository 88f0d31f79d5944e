"""Scores of sentences against a plain loop over the model."""

import dataclasses
import functools

import jax
import numpy as np
import pytest

from attention.errors import InputError
from attention.language.probing import RULES, compare_scores, paradigm_row, score_sentences
from attention.language.probing.rules import pick_rule
from attention.transformer import Transformer

TEXTS = ["ab cad", "a", "fed b dab", "ab cdd", "a"]


@functools.partial(jax.jit, static_argnums=0)
def apply(config, params, tokens):
    return jax.nn.log_softmax(Transformer(config).apply({"params": params}, tokens)[0])


def log_probs(model, tokens):
    """``[places, vocabulary]`` of one text."""
    return np.asarray(apply(model.config, model.params, np.array([tokens])), np.float64)


def letters(model, text):
    return model.tokenizer(text, add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize("name", ["sum", "mean"])
def test_causal_rules(decoder, name):
    found = score_sentences(decoder, TEXTS, RULES[name], batch_tokens=29)
    for text, score in zip(TEXTS, found, strict=True):
        ids = letters(decoder, text)
        each = log_probs(decoder, [1, *ids[:-1]])[np.arange(len(ids)), ids]
        assert score == pytest.approx(each.sum() if name == "sum" else each.mean(), rel=1e-5)
    assert found[1] == found[4]  # equal sentences tie exactly


def hidden(model, text, groups):
    """The log-probability of each letter, with the letters of its group from it on masked."""
    tokens = [1, *letters(model, text), 2]
    total = 0.0
    for place in range(1, len(tokens) - 1):
        masked = [
            model.tokenizer.mask_token_id
            if q >= place and q < len(tokens) - 1 and groups[q - 1] == groups[place - 1]
            else token
            for q, token in enumerate(tokens)
        ]
        total += log_probs(model, masked)[place, tokens[place]]
    return total


def test_masked_rules(encoder):
    found = score_sentences(encoder, TEXTS, RULES["pll"], batch_tokens=29)
    for text, score in zip(TEXTS[:3], found, strict=False):
        assert score == pytest.approx(hidden(encoder, text, range(len(text))), rel=1e-5)
    found = score_sentences(encoder, TEXTS, RULES["unmasked"])
    for text, score in zip(TEXTS[:3], found, strict=False):
        tokens = [1, *letters(encoder, text), 2]
        each = log_probs(encoder, tokens)[np.arange(len(tokens)), tokens]
        assert score == pytest.approx(each.mean(), rel=1e-5)


def test_what_is_left_of_a_word_is_hidden_too(encoder, monkeypatch):
    # Letters are words of their own in this tokenizer; here each has two letters.
    from attention.language.probing import sentences

    def in_pairs(sentence):
        words = [None if word is None else word // 2 for word in sentence.words]
        return sentences.each_in_its_word(sentence._replace(words=words))

    rule = dataclasses.replace(RULES["pll-word"], row=in_pairs)
    found = score_sentences(encoder, TEXTS, rule)
    for text, score in zip(TEXTS[:3], found, strict=False):
        groups = [place // 2 for place in range(len(text))]
        assert score == pytest.approx(hidden(encoder, text, groups), rel=1e-5)
    assert found[0] != score_sentences(encoder, TEXTS[:1], RULES["pll"])[0]


def test_rules_are_for_one_kind_of_model():
    assert pick_rule("auto", "causal_lm")[0] == "sum"
    assert pick_rule("auto", "masked_lm")[0] == "unmasked"
    with pytest.raises(InputError, match=r"sum is for causal models.*unmasked, pll, pll-word"):
        pick_rule("sum", "masked_lm")
    with pytest.raises(InputError, match=r"pll is for masked models.*choose --rule sum, mean"):
        pick_rule("pll", "causal_lm")
    with pytest.raises(InputError, match="head sequence"):
        pick_rule("auto", "sequence")


def test_no_mask_and_too_long_are_one_line(decoder, encoder):
    bare = dataclasses.replace(encoder, tokenizer=decoder.tokenizer)
    with pytest.raises(InputError, match="no mask token"):
        score_sentences(bare, ["ab"], RULES["pll"])
    with pytest.raises(InputError, match="64 tokens is longer than the model's 61"):
        score_sentences(encoder, ["ab" * 31], RULES["unmasked"])


def test_ties_count_one_half():
    points = compare_scores(np.array([1.0, 2, 3, 5]), np.array([0.0, 2, 4, 5]))
    row = paradigm_row("blimp", "order", "first", points)
    assert (row["pairs"], row["correct"], row["ties"], row["accuracy"]) == (4, 1, 2, 0.5)
    assert row["low"] == pytest.approx(1 - row["high"])
