"""The whole study: from a model and a task to records, tables, figures and a report."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import jax
import numpy as np
from jaxtyping import Bool, PyTree

from attention.errors import InputError
from attention.explanation.adversary import train_adversary
from attention.explanation.classifier import Classifier, Inputs
from attention.explanation.decision import Decision
from attention.explanation.measurements import measure_decision
from attention.explanation.options import Adversary, Decisions, Examined
from attention.explanation.report import Summary, write_report
from attention.files import RecordKind, RunDirectory, load_tokenizer
from attention.language import (
    Dataset,
    LabelledText,
    Split,
    encode_words,
    load_texts,
    with_labels_of,
)
from attention.likelihood import check_tokens
from attention.terminal import Terminal
from attention.transformer import (
    Transformer,
    TransformerConfig,
    checkpoint_folder,
    keep_layers,
    load_pretrained,
)

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

DEMO = Path(__file__).parent / "assets" / "demo"
BUCKET = 16  # tokens; texts are padded to a multiple, so that few programs are compiled
POOL = 512  # texts to train the adversary on


KINDS = {
    "example": RecordKind(key=("example",), shape="attention.explanation.measurements:Explained")
}
Picked = tuple[LabelledText, int | None]  # a text, and the word whose label is asked for


def explain_classifier(
    model: str,
    task: str,
    out: Path,
    *,
    show: int = 3,
    seed: int = 0,
    decisions: Decisions = Decisions(),
    examined: Examined = Examined(),
    adversary: Adversary = Adversary(),
    resume: bool = False,
    quiet: bool = False,
) -> Summary:
    """Explain decisions of a classifier, and write all results to a directory.

    Args:
        model: local folder or hub id of a classifier, or ``demo``.
        task: a key of ``SOURCES``, or a JSONL file.
        out: directory of the run.
        show: number of decisions whose attention the report shows.
        seed: of all random draws.
        decisions: which decisions are explained.
        examined: which parts of the model are examined.
        adversary: how the adversary is trained.
        resume: go on with the run in ``out``.
        quiet: show no progress.

    Returns:
        The values in ``summary.json``.

    Raises:
        InputError: the model is no classifier with these labels, the task or the data cannot be
            read, or ``out`` cannot be used.
    """
    settings = {"model": model, "task": task, "show": show, "seed": seed}
    for group in (decisions, examined, adversary):
        settings |= dataclasses.asdict(group)
    del settings["data"]  # the folder may be moved
    if not examined.drop:
        del settings["drop"]
    with RunDirectory(out, "attn explain", settings, resume=resume) as run:
        journal = run.journal(KINDS, "examples.jsonl")
        opened = open_classifier(model, task, decisions, examined, seed)
        classifier, inputs = opened.classifier, opened.inputs
        chosen_LN = _chosen(classifier, examined)
        classifier.attention(inputs[0])  # raises if the model cannot be explained
        other = None
        if adversary.adversary_steps and len(journal) < len(inputs):
            longest = max(len(given.tokens) for given in inputs)
            texts = _drawn(_for_training(task, decisions), POOL, seed + 1)
            known = [_inputs(opened.tokenizer, text, longest, True, longest) for text in texts]
            config = opened.config
            trained = train_adversary(
                config, opened.params, known, chosen_LN, adversary, seed, run.path / "adversary",
                quiet=quiet,
            )  # fmt: skip
            other = Classifier(config, trained, examined.dtype)
        with Terminal(quiet).steps("decisions", len(inputs)) as advance:
            for i, given in enumerate(inputs):
                if journal.get("example", i) is None:
                    decision = Decision(classifier, given, chosen_LN, seed + 1000 * i, other)
                    found = measure_decision(decision, opened.labels[i], show=i < show)
                    real = given.tokens[given.where].tolist()
                    words = opened.tokenizer.convert_ids_to_tokens(real)
                    start = {"tokens": words, "read": given.read}
                    journal.append("example", example=i, **start, **found)
                advance()
        return write_report(
            run.path, settings, opened.dataset.labels, list(journal.of_kind("example"))
        )


@dataclasses.dataclass(frozen=True)
class OpenedClassifier:
    """A classifier with the texts that it decides about.

    Attributes:
        config: of the model.
        params: of the model.
        classifier: the model, ready to be asked.
        tokenizer: of the model.
        dataset: with the labels in the model's order.
        inputs: the texts as the model reads them.
        labels: the right label of each text, or of the word that is asked for.
    """

    config: TransformerConfig
    params: Mapping[str, PyTree]
    classifier: Classifier
    tokenizer: PreTrainedTokenizerBase
    dataset: Dataset
    inputs: list[Inputs]
    labels: list[int]


def open_classifier(
    model: str, task: str, decisions: Decisions, examined: Examined = Examined(), seed: int = 0
) -> OpenedClassifier:
    """Load a classifier, and draw texts for it.

    Args:
        model: local folder or hub id of a classifier, or ``demo``.
        task: a key of ``SOURCES``, or a JSONL file.
        decisions: which texts.
        examined: which layers the model goes without, its dtype, and whether it is random.
        seed: draws the texts.

    Raises:
        InputError: as `explain_classifier`.
    """
    folder = DEMO if model == "demo" else checkpoint_folder(model)
    dataset = load_texts(task, decisions.split, decisions.data)
    config, params = _load(folder, model, dataset, examined, seed)
    classifier = Classifier(config, params, examined.dtype)
    dataset, tokenizer = with_labels_of(folder, dataset), load_tokenizer(folder)
    picked = _drawn(dataset, decisions.limit, seed)
    longest = config.max_position_embeddings
    inputs = [_inputs(tokenizer, text, longest, decisions.cut) for text in picked]
    read = (token for given in inputs for token in given.tokens[given.where])
    check_tokens(read, config.vocab_size)
    labels = [text.labels[0 if word is None else word] for text, word in picked]
    return OpenedClassifier(config, params, classifier, tokenizer, dataset, inputs, labels)


def _load(
    folder: Path, model: str, dataset: Dataset, examined: Examined, seed: int
) -> tuple[TransformerConfig, Mapping[str, PyTree]]:
    """Load the model, or give it random parameters.

    Raises:
        InputError: it has no head for the labels of the task, its parameters are not finite, or
            the layers to drop are not there or all that it has.
    """
    config, params = load_pretrained(folder)
    if config.head != dataset.kind:
        raise InputError(
            f"{model} has the head {config.head}; explaining {dataset.name} needs a classifier "
            f"with the head {dataset.kind}"
        )
    every, gone = range(config.num_hidden_layers), examined.drop
    if not set(gone) < set(every):
        raise InputError(
            f"--drop {','.join(map(str, gone))}: there are 0 to {every[-1]}, one stays"
        )
    if gone:
        kept = [layer for layer in every if layer not in gone]
        config, params = config.keep_layers(kept), keep_layers(params, kept)
    if examined.untrained:
        found = Transformer(config).init(jax.random.key(seed), np.zeros((1, 3), np.int32))
        return config, found["params"]
    if not all(np.isfinite(np.asarray(leaf)).all() for leaf in jax.tree.leaves(params)):
        raise InputError(f"{model}: its parameters are not finite (NaN or infinite)")
    return config, params


def _chosen(classifier: Classifier, examined: Examined) -> Bool[np.ndarray, "L N"]:
    """Find the heads to examine, of the layers that have attention.

    Raises:
        InputError: there is no such layer or head, or the layers have no attention.
    """
    config = classifier.config
    layers = _numbers("--layers", examined.layers, config.num_hidden_layers)
    heads = _numbers("--heads", examined.heads, config.num_attention_heads)
    chosen_L = layers[classifier.attending]
    if not chosen_L.any():
        raise InputError(f"--layers {','.join(map(str, examined.layers))}: these have no attention")
    return chosen_L[:, None] & heads


def _numbers(flag: str, given: Collection[int | str], count: int) -> Bool[np.ndarray, " count"]:
    places = np.arange(count)
    if "all" in given:
        return places >= 0
    if not set(given) <= set(range(count)):
        raise InputError(f"{flag} {','.join(map(str, given))}: there are 0 to {count - 1}")
    return np.isin(places, list(given))


def _drawn(dataset: Dataset, limit: int, seed: int) -> list[Picked]:
    """Draw texts; in a tagged text also a word, with a rarer label if there is one.

    Raises:
        InputError: there are no texts.
    """
    draw = np.random.default_rng(seed)
    order = draw.permutation(len(dataset.texts))[:limit]
    picked: list[Picked] = []
    for i in order:
        text = dataset.texts[i]
        if dataset.kind == "sequence":
            picked.append((text, None))
            continue
        counts = np.bincount(text.labels, minlength=len(dataset.labels))
        rarer = [j for j, label in enumerate(text.labels) if label != counts.argmax()]
        picked.append((text, int(draw.choice(rarer or range(len(text.words))))))
    if not picked:
        raise InputError(f"{dataset.name}: no texts")
    return picked


def _for_training(task: str, decisions: Decisions) -> Dataset:
    """Load the texts that the adversary learns from: not the split that is explained."""
    split: Split = "validation" if decisions.split == "train" else "train"
    return load_texts(task, split, decisions.data)


def _inputs(
    tokenizer: PreTrainedTokenizerBase, picked: Picked, longest: int, cut: bool, least: int = 0
) -> Inputs:
    """Encode a text, padded to a multiple of ``BUCKET`` tokens, or to ``least`` tokens."""
    text, word = picked
    tokens, types, words = encode_words(tokenizer, text, longest, cut=cut)
    length = max(least, min(-len(tokens) % BUCKET + len(tokens), longest))
    read = None if word is None else words[min(word, len(words) - 1)]
    return Inputs.padded(tokens, length, types, read)
