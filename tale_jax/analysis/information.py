"""How much the state after each layer tells about the answer.

There are two questions. Where all examples have the same few answers, as with lettered choices, X_l
is the state of a prompt's last token after layer l, and Y the right answer: the paper's form. Where
each example has choices of its own, no state before them can know which place the right one has.
X_l then is the state at the end of a choice, less the mean over the choices of the question, and Y
whether the choice is right. How I(X_l; Y) is estimated stands in :mod:`tale_jax.analysis.probes`.

Source: TELL-TALE, arXiv 2510.22767, section on mutual information.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from attention.errors import InputError
from attention.likelihood import Row, RowBatches, check_vocabulary
from attention.terminal import Steps, no_steps
from tale_jax.analysis.by_layer import EMBEDDING, variants
from tale_jax.analysis.probes import FOLDS, entropy, estimate
from tale_jax.models import LoadedModel
from tale_jax.scoring import NAN, NotFiniteError, last_states
from tale_jax.tasks import Example, encode_choices, encode_prompts, fitting
from tale_jax.units import Dropped, kept_layers

MOST_CLASSES = 26
ANSWER, RIGHT = "answer", "right"
QUESTIONS = {ANSWER: "which answer is right", RIGHT: "whether a choice is right"}
INFORMATION_COLUMNS = (
    "model layer question entropy same_states cross_validated low high examples".split()
)


@dataclasses.dataclass(frozen=True)
class Labelled:
    """Texts whose last states are read, with what they are asked about.

    Attributes:
        question: a key of ``QUESTIONS``.
        rows: the texts: prompts, or prompts with a choice.
        labels_E: the class of each.
        groups_E: the number of the example that each belongs to.
    """

    question: str
    rows: list[Row]
    labels_E: Int[np.ndarray, " E"]
    groups_E: Int[np.ndarray, " E"]

    @property
    def examples(self) -> int:
        """How many there are."""
        return len(set(self.groups_E.tolist()))


def label_examples(model: LoadedModel, examples: Sequence[Example], name: str) -> Labelled:
    """What to read of the examples that fit the model, and the classes to tell apart.

    Args:
        model: which reads them.
        examples: of one split, rendered.
        name: of the task.

    Raises:
        InputError: there are too few examples, or too few or too many answers.
    """
    if len(examples) < 2 * FOLDS:
        raise InputError(
            f"{FOLDS} folds take at least {2 * FOLDS} examples, not {len(examples)} as in {name}"
        )
    choices = {choice.strip() for example in examples for choice in example.choices or ()}
    of_all = examples[0].choices is None or len(choices) <= MOST_CLASSES
    return (_by_answer if of_all else _by_choice)(model, examples, name)


def _by_answer(model: LoadedModel, examples: Sequence[Example], name: str) -> Labelled:
    """Prompts, with the classes of their answers; rare answers are left out."""
    prompts = encode_prompts(model.tokenizer, examples)
    kept = fitting([len(prompt) for prompt in prompts], model.config.longest_text, name)
    answers = [_right_answer(examples[i]) for i in kept]
    counts = Counter(answers)
    common = [answer for answer in sorted(counts) if counts[answer] >= FOLDS]
    if not 2 <= len(common) <= MOST_CLASSES or len(counts) > 4 * MOST_CLASSES:
        raise InputError(
            f"{name}: information needs 2 to {MOST_CLASSES} different answers that occur at least "
            f"{FOLDS} times each; of {len(kept)} examples {len(common)} do"
        )
    pairs = [(i, answer) for i, answer in zip(kept, answers, strict=True) if answer in common]
    labels = np.array([common.index(answer) for _, answer in pairs])
    rows = [Row.prompt(prompts[i]) for i, _ in pairs]
    return Labelled(ANSWER, rows, labels, np.arange(len(rows)))


def _right_answer(example: Example) -> str:
    right = example.answer
    return str(right) if example.choices is None else example.choices[int(right)].strip()


def _by_choice(model: LoadedModel, examples: Sequence[Example], name: str) -> Labelled:
    """Every choice behind its prompt, and whether it is right."""
    encoded = encode_choices(model.tokenizer, examples)
    lengths = [max(len(choice.tokens) for choice in choices) for choices in encoded]
    kept = fitting(lengths, model.config.longest_text, name)
    if len(kept) < 2 * FOLDS:
        raise InputError(f"{name}: {FOLDS} folds take {2 * FOLDS} examples; {len(kept)} fit")
    triples = [
        (Row.prompt(choice.tokens), int(place == examples[i].answer), group)
        for group, i in enumerate(kept)
        for place, choice in enumerate(encoded[i])
    ]
    rows, labels, groups = zip(*triples, strict=True)
    return Labelled(RIGHT, list(rows), np.array(labels), np.array(groups))


def probe_layers(
    model: LoadedModel,
    asked: Labelled,
    dropped: Dropped,
    batch_tokens: int,
    steps: Steps = no_steps,
) -> list[dict[str, Any]]:
    """The information in every layer of the full model and of the one without some layers.

    Args:
        model: the whole model.
        asked: what is read, and its classes.
        dropped: layers and half-layers to leave out.
        batch_tokens: tokens in a batch.
        steps: shows progress, as :meth:`attention.terminal.Terminal.steps`.

    Returns:
        The rows of ``information.csv``; ``model`` is "full" or "without 3, 5", layer −1 is the
        state before the first layer, and ``question`` a key of ``QUESTIONS``.

    Raises:
        InputError: a token is not in the vocabulary, or the states are not numbers.
    """
    check_vocabulary(asked.rows, model.config.vocab_size)
    batches = RowBatches(asked.rows, batch_tokens, model.batch_sharding)
    found, labels_E = [], asked.labels_E
    for name, without in variants(dropped):
        with steps(f"states, {name}", len(batches)) as advance:
            states_ELD = last_states(model.config, model.params, without, batches, advance)
        if not np.isfinite(states_ELD).all():
            raise NotFiniteError(NAN)
        if asked.question == RIGHT:
            states_ELD = less_the_mean(states_ELD, asked.groups_E)
        layers = [EMBEDDING, *kept_layers(without, model.config.num_hidden_layers)]
        with steps(f"probes, {name}", len(layers)) as advance:
            for place, layer in enumerate(layers):
                bits = estimate(states_ELD[:, place], labels_E, asked.groups_E)._asdict()
                row = {"model": name, "layer": layer, "question": asked.question}
                row |= {"entropy": entropy(labels_E), **bits, "examples": asked.examples}
                found.append(row)
                advance()
    return found


def less_the_mean(
    states_ELD: Float[np.ndarray, "E L D"], groups_E: Int[np.ndarray, " E"]
) -> Float[np.ndarray, "E L D"]:
    """Each state less the mean of its group: what is left tells the choices of a question apart."""
    sums_GLD = np.zeros((groups_E.max() + 1, *states_ELD.shape[1:]), states_ELD.dtype)
    np.add.at(sums_GLD, groups_E, states_ELD)
    return states_ELD - (sums_GLD / np.bincount(groups_E)[:, None, None])[groups_E]
