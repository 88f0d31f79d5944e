"""Which sentence of each minimal pair a model finds more probable."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from attention.language.ngrams import NgramModel
from attention.language.probing.measured import (
    WORDS,
    Found,
    Subject,
    TableRow,
    compare_scores,
    paradigm_row,
)
from attention.language.probing.minimal_pairs import Paradigm, read_paradigms
from attention.language.probing.opening import OpenedModel
from attention.language.probing.rules import pick_rule
from attention.language.probing.sentences import score_sentences

Scores = Float[np.ndarray, " sentences"]


def measure_pairs(task: str, subject: Subject) -> Found:
    """Score all pairs of a set.

    Args:
        task: a key of ``PAIR_SETS``.
        subject: the model, the options and the floors.

    Raises:
        InputError: the files cannot be read, or the rule is not for the model.
    """
    model, asked = subject.model, subject.asked
    name, rule = pick_rule(asked.rule, model.config.head)
    paradigms = read_paradigms(task, asked.folder, asked.limit)
    texts = [text for each in paradigms for pair in each.pairs for text in (pair.good, pair.bad)]
    scores = score_sentences(model, texts, rule, asked.batch_tokens, subject.steps)
    found = Found(rule=name)
    found.paradigms, found.pairs = tables(paradigms, scores)
    for floor, ngrams in subject.floors.items():
        rows, _ = tables(paradigms, ngram_scores(model, ngrams, texts))
        found.floors += [{"floor": floor, **row} for row in rows]
    if same := sum(pair.good == pair.bad for each in paradigms for pair in each.pairs):
        found.notes.append(f"{task}: {same} pairs of identical sentences count one half")
    return found


def tables(paradigms: Sequence[Paradigm], scores: Scores) -> tuple[list[TableRow], list[TableRow]]:
    """Make the rows of paradigms and of pairs.

    Args:
        paradigms: with their pairs.
        scores: of the good and the bad sentence of each pair, one pair behind another.
    """
    rows, pairs, start = [], [], 0
    for paradigm in paradigms:
        end = start + 2 * len(paradigm.pairs)
        good, bad = scores[start:end:2], scores[start + 1 : end : 2]
        points = compare_scores(good, bad)
        rows.append(paradigm_row(paradigm.task, paradigm.phenomenon, paradigm.name, points))
        pairs += [
            {
                "task": paradigm.task,
                "paradigm": paradigm.name,
                "id": pair.id,
                "good": float(g),
                "bad": float(b),
                "verdict": WORDS[float(point)],
            }
            for pair, g, b, point in zip(paradigm.pairs, good, bad, points, strict=True)
        ]
        start = end
    return rows, pairs


def ngram_scores(model: OpenedModel, ngrams: NgramModel, texts: Sequence[str]) -> Scores:
    """Log-probabilities of sentences under an n-gram model, in the tokens of a language model."""
    encoded = model.tokenizer(list(texts), add_special_tokens=False)["input_ids"]
    log_probs = ngrams.log_probs([np.asarray(tokens, np.int64) for tokens in encoded])
    return np.array([each.sum() for each in log_probs])
