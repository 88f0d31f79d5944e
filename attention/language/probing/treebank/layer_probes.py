"""What a linear probe reads off the states of each layer, with a control task and a floor.

The control task gives each word type a label at random, drawn as often as the real labels occur: a
probe that does well there has learned words by heart. Selectivity is the difference of the two. The
floor is the same model with random parameters.

Source: Hewitt and Liang (2019), "Designing and interpreting probes with control tasks".
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree

from attention.errors import InputError
from attention.language.probing.measured import Found, Subject, TableRow
from attention.language.probing.opening import OpenedModel
from attention.language.probing.treebank.word_labels import (
    WORD_LABELS,
    ParsedSentence,
    read_treebank,
)
from attention.likelihood import Arrays, Row, RowBatches, check_vocabulary
from attention.statistics import bootstrap_interval
from attention.transformer import Transformer, TransformerConfig

SENTENCES = {"train": 1500, "test": 1000}
"""Most sentences of each split, so that the states fit in memory."""
AT_ONCE = 256  # sentences
LONGEST = 96  # tokens of a sentence; longer ones are left out
RIDGE = 1e-2  # of the number of words, the strength of the probe's ridge


class Words(NamedTuple):
    """The words of a split.

    Attributes:
        states: of each word's last token behind the embedding and behind each layer.
        types: the words themselves, in small letters.
        sentences: the number of each word's sentence.
        labels: of each word, by the name of the label; None where it is left out.
    """

    states: Float[np.ndarray, "W L D"]
    types: list[str]
    sentences: Int[np.ndarray, " W"]
    labels: dict[str, list[str | None]]


def measure_layers(task: str, subject: Subject) -> Found:
    """Fit and score a probe of each label on each layer.

    Args:
        task: name of the task; not used.
        subject: the model and the options.

    Raises:
        InputError: the treebank cannot be read, or has too few words.
    """
    del task
    model, asked = subject.model, subject.asked
    sentences = {
        split: read_treebank(asked.folder, split, min(most, asked.limit or most))
        for split, most in SENTENCES.items()
    }
    config = model.config
    tokens = jnp.zeros((1, 1), jnp.int32)
    init = jax.jit(Transformer(config).init)
    random = init(jax.random.key(asked.seed), tokens)["params"]
    untrained = dataclasses.replace(model, params=random)
    found = Found()
    layers = config.num_hidden_layers + 1
    with subject.steps("probe layers", 2 * layers * len(WORD_LABELS)) as advance:
        accuracies = [
            _probe_all(each, sentences, asked.seed, asked.batch_tokens, advance)
            for each in (model, untrained)
        ]
    for row, floor in zip(*accuracies, strict=True):
        row["untrained"] = floor["accuracy"]
    found.layers = accuracies[0]
    counts = " and ".join(f"{len(each)} of {split}" for split, each in sentences.items())
    found.notes.append(f"ud: {counts} sentences; a word is read at its last token")
    return found


def _probe_all(
    model: OpenedModel,
    sentences: Mapping[str, Sequence[ParsedSentence]],
    seed: int,
    batch_tokens: int,
    advance,
) -> list[TableRow]:
    train, test = (read_words(model, sentences[split], batch_tokens) for split in SENTENCES)
    rows = []
    for number, label in enumerate(WORD_LABELS):
        for layer in range(train.states.shape[1]):
            rows.append(_probe_layer(label, layer, train, test, seed + number))
            advance()
    return rows


def _probe_layer(label: str, layer: int, train: Words, test: Words, seed: int) -> TableRow:
    """Fit the probe and its control on one layer.

    Raises:
        InputError: the words have fewer than two different labels.
    """
    fit, score = (
        np.array([i for i, each in enumerate(words.labels[label]) if each is not None], int)
        for words in (train, test)
    )
    known = [str(train.labels[label][i]) for i in fit]
    asked = np.array([str(test.labels[label][i]) for i in score])
    if len(set(known)) < 2 or not len(asked):
        raise InputError(f"ud: too few words with the label {label}: raise --limit")
    drawn = control_labels(
        known, [train.types[i] for i in fit] + [test.types[i] for i in score], seed
    )
    states = [words.states[which, layer] for words, which in ((train, fit), (test, score))]
    targets = [np.array(known), np.array(drawn[: len(fit)])]
    found, control = (_predict(states[0], target, states[1]) for target in targets)
    right = (found == asked).astype(np.float64)
    names, counts = np.unique(known, return_counts=True)
    accuracy = float(right.mean())
    low, high = sentence_interval(right, test.sentences[score])
    controlled = float(np.mean(control == np.array(drawn[len(fit) :])))
    return {
        "task": label,
        "layer": layer,
        "tokens": len(asked),
        "accuracy": accuracy,
        "low": low,
        "high": high,
        "control": controlled,
        "selectivity": accuracy - controlled,
        "untrained": None,
        "majority": float(np.mean(asked == names[counts.argmax()])),
    }


def control_labels(known: Sequence[str], types: Sequence[str], seed: int) -> list[str]:
    """Give each word type one label at random, drawn from the labels that occur.

    Args:
        known: the real labels of words.
        types: the words that get a label.
        seed: of the draw.
    """
    draw = np.random.default_rng(seed)
    of_type = {word: known[int(draw.integers(len(known)))] for word in dict.fromkeys(types)}
    return [of_type[word] for word in types]


def sentence_interval(
    right: Float[np.ndarray, " W"], sentences: Int[np.ndarray, " W"]
) -> tuple[float, float]:
    """The 95 % bootstrap interval of an accuracy over words, where whole sentences are drawn.

    The accuracy is a ratio of two means over sentences; it is linearised around their values.
    """
    _, which = np.unique(sentences, return_inverse=True)
    words = np.bincount(which)
    share = float(right.mean())
    pulls = (np.bincount(which, right) - share * words) / words.mean()
    low, high = bootstrap_interval(pulls)
    return max(0.0, share + low), min(1.0, share + high)


def _predict(
    fitted: Float[np.ndarray, "W D"], labels: np.ndarray, asked: Float[np.ndarray, "V D"]
) -> np.ndarray:
    """The labels that a ridge classifier on standardised states gives."""
    from sklearn.linear_model import RidgeClassifier  # takes a second to import
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    probe = make_pipeline(StandardScaler(), RidgeClassifier(alpha=RIDGE * len(labels)))
    return probe.fit(fitted, labels).predict(asked)


def read_words(
    model: OpenedModel, sentences: Sequence[ParsedSentence], batch_tokens: int = 4096
) -> Words:
    """Run a model over sentences, and take the state of the last token of each word.

    Args:
        model: the model.
        sentences: those of more than ``LONGEST`` tokens are left out.
        batch_tokens: most tokens in a batch.

    Raises:
        InputError: no sentence is left, or the tokenizer does not say which letters a token has.
    """
    kept, rows = [], []
    for sentence in sentences:
        tokens, places = _encode(model, sentence.words)
        if len(tokens) <= LONGEST and len(set(places)) == len(places):
            row = Row.prompt(tokens)
            row.read_at.extend(places)
            row.targets.extend(tokens[place] for place in places)
            row.owners.extend([0] * len(places))
            kept.append(sentence)
            rows.append(row)
    if not rows:
        raise InputError("ud: no sentence in which every word has a token of its own")
    check_vocabulary(rows, model.config.vocab_size)
    found: list[Any] = [None] * len(rows)
    program = functools.partial(_states, model.config, model.params)
    order = sorted(range(len(rows)), key=lambda number: len(rows[number].tokens))
    for start in range(0, len(rows), AT_ONCE):  # states of all rows, padded, would be too many
        part = order[start : start + AT_ONCE]
        batches = RowBatches([rows[number] for number in part], batch_tokens, model.batch_sharding)
        for number, states in zip(part, batches.run(program), strict=True):
            found[number] = states[: len(rows[number].targets)].copy()
            if np.isnan(found[number]).any():
                raise InputError(f"{model.name}: its states are NaN; try another dtype or model")
        batch_tokens = batches.batch_tokens  # fewer if memory ran out
    numbers = np.repeat(np.arange(len(kept)), [len(sentence.words) for sentence in kept])
    types = [word.lower() for sentence in kept for word in sentence.words]
    labels = {
        name: [label for sentence in kept for label in row.read(sentence)]
        for name, row in WORD_LABELS.items()
    }
    return Words(np.concatenate(found), types, numbers, labels)


def _encode(model: OpenedModel, words: Sequence[str]) -> tuple[list[int], list[int]]:
    """The tokens of a sentence, and the place of the last token of each word."""
    if not model.tokenizer.is_fast:
        raise InputError(f"{model.name}: its tokenizer does not say which letters a token has")
    masked = model.config.head == "masked_lm"
    encoded: Any = model.tokenizer(
        " ".join(words), add_special_tokens=masked, return_offsets_mapping=True
    )
    tokens, offsets = list(encoded["input_ids"]), list(encoded["offset_mapping"])
    bos, eos = model.tokenizer.bos_token_id, model.tokenizer.eos_token_id
    if not masked and (start := eos if bos is None else bos) is not None:
        tokens, offsets = [start, *tokens], [(0, 0), *offsets]
    places, end = [], 0
    for word in words:
        end += len(word)
        owner = next((i for i, (a, b) in enumerate(offsets) if a < end <= b), -1)
        places.append(owner)
        end += 1
    return tokens, places


@functools.partial(jax.jit, static_argnames="config")
def _states(
    config: TransformerConfig, params: Mapping[str, PyTree], arrays: Arrays
) -> Float[Array, "R P L D"]:
    """The states of the places that are read, behind the embedding and behind each layer."""
    model = Transformer(config)
    how: Any = {"where": arrays.where}
    first: Any
    captured: Any
    first, _ = model.apply({"params": params}, arrays.tokens, **how, method="embed_inputs")
    _, captured = model.apply(
        {"params": params}, arrays.tokens, **how, logits=False, capture=("hidden_states",)
    )
    states_LRTD = jnp.concatenate([first[None], captured["hidden_states"]])
    spots_RP = jnp.take_along_axis(arrays.places, arrays.reads, axis=1)
    states_LRPD = jnp.take_along_axis(states_LRTD, spots_RP[None, :, :, None], axis=2)
    return jnp.moveaxis(states_LRPD, 0, 2).astype(jnp.float32)
