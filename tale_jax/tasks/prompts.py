"""Puts shots before the questions of a task, and makes tokens of prompts and choices."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from attention.errors import InputError
from tale_jax.tasks.examples import Example, Task, unlike

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase as Tokenizer
else:
    Tokenizer = Any  # importing transformers takes a second


class EncodedChoice(NamedTuple):
    """A choice behind its prompt.

    Attributes:
        tokens: of both.
        num_choice_tokens: how many of the last tokens are the choice's; at least 1.
    """

    tokens: list[int]
    num_choice_tokens: int


def completed(example: Example, cue: str = "") -> str:
    """The prompt, the cue and the right answer, one behind the other."""
    prompt = example.contexts[int(example.answer)] if example.contexts else example.prompt
    return f"{prompt}{cue}{_shown_answer(example)}"


def with_shots(task: Task, shots: int, seed: int = 0) -> Task:
    """Put the same answered examples, the shots, before every prompt of a task.

    They come from the train split, or else from the test split, which they then leave. Where
    examples have groups, each is preceded by shots of its own group. A prompt becomes the
    instruction, the shots and the question with its cue, with blank lines between them;
    ``messages`` says the same as a chat. A question that is shown is not asked.

    Args:
        task: as its source made it.
        shots: how many examples are shown.
        seed: draws them and their order.

    Raises:
        InputError: there are fewer examples to show, or none is left to ask.
    """
    if shots < 0:
        raise InputError(f"shots {shots} is negative")
    if shots == 0 and not (task.instruction or task.description or task.cue):
        return task
    if shots and task.train is None and task.test is not None:
        task = _train_of_test(task, shots, seed)
    chosen: dict[str, list[Example]] = {}
    if shots:
        for example in _drawn(task.train or (), seed):
            chosen.setdefault(example.group, []).append(example)
    examples = (*task.search, *(task.test or ()))
    fronts = {
        group: _front_of(task, group, chosen.get(group, []), shots)
        for group in dict.fromkeys(example.group for example in examples)
    }

    def preceded(example: Example) -> Example:
        text, messages = fronts[example.group]
        return dataclasses.replace(
            example,
            prompt=f"{text}{example.prompt}{task.cue}",
            contexts=tuple(f"{text}{context}{task.cue}" for context in example.contexts),
            messages=(*messages, ("user", example.prompt)),
        )

    seen = [example for group in chosen.values() for example in group[:shots]]
    asked = [tuple(map(preceded, unlike(s, seen))) for s in (task.search, task.test or ())]
    notes = task.notes
    if lost := len(examples) - sum(map(len, asked)):
        notes += (f"{task.name}: {lost} questions that are shown are not asked",)
    if not asked[0]:
        raise InputError(f"{task.name}: every question is shown; give other train examples")
    return dataclasses.replace(
        task, search=asked[0], test=None if task.test is None else asked[1], notes=notes
    )


def _front_of(
    task: Task, group: str, examples: Sequence[Example], shots: int
) -> tuple[str, tuple[tuple[str, str], ...]]:
    """What stands before the questions of a group, as text and as messages."""
    if shots > len(examples):
        raise InputError(
            f"{task.name}: {shots} shots asked of {len(examples)} train examples"
            f"{f' of {group}' if group else ''}; give a train file with enough of them"
        )
    first = task.instruction if task.description is None else task.description
    text = f"{first}\n\n".replace("{group}", group.replace("_", " ")) if first else ""
    text += "".join(f"{completed(example, task.cue)}\n\n" for example in examples[:shots])
    messages = [("system", task.instruction)] if task.instruction else []
    for example in examples[:shots]:
        messages += [("user", example.prompt), ("assistant", _shown_answer(example).strip())]
    return text, tuple(messages)


def _train_of_test(task: Task, shots: int, seed: int) -> Task:
    """The task with ``shots`` test examples of each group as its train split."""
    taken: set[int] = set()
    counts: dict[str, int] = {}
    places = {id(example): i for i, example in enumerate(task.test or ())}
    for example in _drawn(task.test or (), seed):
        counts[example.group] = counts.get(example.group, 0) + 1
        if counts[example.group] <= shots:
            taken.add(places[id(example)])
    test = tuple(e for i, e in enumerate(task.test or ()) if i not in taken)
    if not test:
        raise InputError(
            f"{task.name}: {shots} shots asked, and no train split to take them from; "
            "the test split has too few examples to lose any"
        )
    train = tuple(e for i, e in enumerate(task.test or ()) if i in taken)
    note = f"{task.name}: no split to draw shots from, so {len(train)} rows leave the test split"
    return dataclasses.replace(task, test=test, train=train, notes=(*task.notes, note))


def _drawn(examples: Sequence[Example], seed: int) -> list[Example]:
    """The examples in the order that the seed draws."""
    number = random.Random(f"shots {seed}").random  # the one draw that no Python version changes
    return [example for _, example in sorted(((number(), e) for e in examples), key=lambda x: x[0])]


def _shown_answer(example: Example) -> str:
    if example.solution is not None:
        return example.solution
    if example.choices is not None:
        return example.choices[int(example.answer)]
    return str(example.answer)


def encode_choices(
    tokenizer: Tokenizer,
    examples: Sequence[Example],
    on_merged: Callable[[int], None] = lambda count: None,
) -> list[list[EncodedChoice]]:
    """Make tokens of every choice of every example, by the convention of lm-eval.

    Prompt and choice become tokens as one text. The space at the end of a prompt belongs to the
    choice. If the prompt alone has n tokens, then all tokens from the n-th on are the choice's, and
    they stand behind the tokens of the prompt alone.
    Special tokens stand in front once; a rendered chat brings its own. An empty prompt is the
    beginning-of-text token alone, or the end-of-text token if the tokenizer has no other.

    A choice may merge with the end of its prompt, so that both have no more tokens than the prompt
    alone. Then the choice is encoded by itself and put behind the prompt's tokens.

    Args:
        tokenizer: of the model.
        examples: with choices.
        on_merged: called with the number of choices that are encoded by themselves, if there are
            any.

    Returns:
        The choices of each example.

    Raises:
        InputError: a choice has no token, or the tokenizer has neither token to begin with.
    """
    texts, prompts, owners = [], [], []
    for i, example in enumerate(examples):
        for j, choice in enumerate(example.choices or ()):
            prompt = example.contexts[j] if example.contexts else example.prompt
            texts.append(prompt + choice)
            prompts.append(prompt.rstrip())
            owners.append(i)
    distinct = list(dict.fromkeys(prompts))
    special = not any(example.rendered for example in examples)
    prompt_tokens = dict(zip(distinct, encode_texts(tokenizer, distinct, special), strict=True))
    encoded: list[list[EncodedChoice]] = [[] for _ in examples]
    merged = 0
    all_tokens = encode_texts(tokenizer, texts, special)
    for i, prompt, text, tokens in zip(owners, prompts, texts, all_tokens, strict=True):
        start = prompt_tokens[prompt]
        if not prompt:
            tokens = tokens if tokens[: len(start)] == start else start + tokens
        if len(tokens) <= len(start):
            (own,) = _plain(tokenizer, [text[len(prompt) :]])
            tokens, merged = start + own, merged + 1
        count = len(tokens) - len(start)
        if count < 1:
            raise InputError(f"the choice {text[len(prompt) :][-30:]!r} has no token; give it text")
        encoded[i].append(EncodedChoice(start + tokens[len(start) :], count))
    if merged:
        on_merged(merged)
    return encoded


def encode_prompts(tokenizer: Tokenizer, examples: Sequence[Example]) -> list[list[int]]:
    """Make tokens of the prompts, behind which a model writes its answers.

    Args:
        tokenizer: of the model.
        examples: whose prompts are encoded as they stand; all or none are rendered chats.

    Returns:
        The tokens of each prompt.

    Raises:
        InputError: a prompt is empty and the tokenizer has no token to begin with.
    """
    special = not any(example.rendered for example in examples)
    return encode_texts(tokenizer, [example.prompt for example in examples], special)


def fitting(lengths: Sequence[int], positions: int, name: str) -> list[int]:
    """The indices of the examples that fit a model.

    Args:
        lengths: tokens of each example.
        positions: of the model.
        name: of the task.

    Raises:
        InputError: none fits, or there are none.
    """
    if not lengths:
        raise InputError(f"{name}: a split has no examples")
    kept = [i for i, length in enumerate(lengths) if length <= positions]
    if not kept:
        raise InputError(
            f"{name}: every example is longer than the model's {positions} positions "
            f"(the shortest has {min(lengths)} tokens); take a shorter task or fewer shots"
        )
    return kept


def encode_texts(
    tokenizer: Tokenizer, texts: Sequence[str], special_tokens: bool = True
) -> list[list[int]]:
    """Make tokens of texts, with the special tokens of the tokenizer in front once and none behind.

    An empty text becomes the beginning-of-text token, or else the end-of-text token.

    Args:
        tokenizer: of the model.
        texts: each becomes a list of tokens.
        special_tokens: false for rendered chats, which get the tokens that
            ``apply_chat_template(tokenize=True)`` gives.

    Raises:
        InputError: a text is empty and the tokenizer has neither token.
    """
    front = _front(tokenizer) if special_tokens else []
    # The text may begin with the special token already, as chat templates do.
    encoded = [
        tokens if front and tokens[: len(front)] == front else front + tokens
        for tokens in _plain(tokenizer, texts)
    ]
    if not all(texts):
        start = front or [_start(tokenizer)]
        encoded = [tokens if text else start for tokens, text in zip(encoded, texts, strict=True)]
    return encoded


def _plain(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    if not texts:
        return []
    return tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]


def _front(tokenizer: Tokenizer) -> list[int]:
    """The special tokens that the tokenizer puts before a text."""
    ((plain,), (whole,)) = _plain(tokenizer, ["a"]), tokenizer(["a"])["input_ids"]
    starts = (i for i in range(len(whole)) if whole[i : i + len(plain)] == plain)
    return whole[: next(starts, 0)]


def _start(tokenizer: Tokenizer) -> int:
    for token in (tokenizer.bos_token_id, tokenizer.eos_token_id):
        if isinstance(token, int):
            return token
    raise InputError(
        "a prompt is empty and the tokenizer has neither a beginning-of-text nor an end-of-text "
        "token; begin prompts with text"
    )
