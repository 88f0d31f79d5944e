"""From examples to tokens: shots in front of the prompt, and the tokens of each choice after it."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence
from typing import Any, NamedTuple

from attention.errors import InputError
from tale_jax.examples import Example
from tale_jax.tasks import Task

Tokenizer = Any  # a tokenizer of transformers, whose import takes a second


class EncodedChoice(NamedTuple):
    """Tokens of prompt and choice; the last ``num_choice_tokens`` (at least 1) are the choice's."""

    tokens: list[int]
    num_choice_tokens: int


def completed(example: Example) -> str:
    """The prompt with its right answer behind it, nothing in between."""
    answer = example.answer
    if example.choices is not None:
        answer = example.choices[int(answer)]
    return f"{example.prompt}{answer}"


def with_shots(task: Task, shots: int, seed: int = 0) -> Task:
    """The task with the same ``shots`` answered train examples before every prompt.

    The seed picks them and their order; blank lines separate the blocks.

    Raises:
        InputError: the task has fewer train examples.
    """
    if shots < 0:
        raise InputError(f"shots {shots} is negative")
    if shots == 0:
        return task
    train = task.train or ()
    if shots > len(train):
        raise InputError(
            f"{task.name}: {shots} shots asked of {len(train)} train examples; "
            "give a train file with enough of them"
        )
    number = random.Random(f"shots {seed}").random  # the one draw that no Python version changes
    shown = [example for _, example in sorted(((number(), e) for e in train), key=lambda x: x[0])]
    front = "".join(f"{completed(example)}\n\n" for example in shown[:shots])

    def preceded(examples: Sequence[Example]) -> tuple[Example, ...]:
        return tuple(dataclasses.replace(e, prompt=front + e.prompt) for e in examples)

    return dataclasses.replace(
        task,
        search=preceded(task.search),
        test=None if task.test is None else preceded(task.test),
    )


def encode_choices(tokenizer: Tokenizer, examples: Sequence[Example]) -> list[list[EncodedChoice]]:
    """Tokens of every choice of every example, by lm-eval's convention.

    Prompt and choice are tokenised as one text, trailing space of the prompt belonging to the
    choice, and the choice's tokens are those beyond as many as the prompt alone has.  Special
    tokens stand in front once.  A prompt that is empty is the beginning-of-text token alone, or
    the end-of-text token if the tokenizer has no other.

    Raises:
        InputError: a choice adds no token to its prompt, or the tokenizer has neither token.
    """
    prompts = [example.prompt.rstrip() for example in examples]
    texts, owners = [], []
    for i, example in enumerate(examples):
        for choice in example.choices or ():
            texts.append(example.prompt + choice)
            owners.append(i)
    prompt_tokens = _encode(tokenizer, prompts)
    encoded: list[list[EncodedChoice]] = [[] for _ in examples]
    for i, text, tokens in zip(owners, texts, _encode(tokenizer, texts), strict=True):
        if not prompts[i]:
            start = prompt_tokens[i]
            tokens = tokens if tokens[: len(start)] == start else start + tokens
        count = len(tokens) - len(prompt_tokens[i])
        if count < 1:
            raise InputError(
                f"a choice that ends …{text[-30:]!r} adds no token to its prompt; "
                "begin choices with a space"
            )
        encoded[i].append(EncodedChoice(tokens, count))
    return encoded


def encode_prompts(tokenizer: Tokenizer, examples: Sequence[Example]) -> list[list[int]]:
    """Tokens after which the answer is written: those of the whole prompt, as it stands.

    Raises:
        InputError: a prompt is empty and the tokenizer has no token to begin with.
    """
    return _encode(tokenizer, [example.prompt for example in examples])


def fitting(lengths: Sequence[int], positions: int, name: str) -> list[int]:
    """Indices of the examples with at most ``positions`` tokens; the others are too long.

    Raises:
        InputError: none fits.
    """
    kept = [i for i, length in enumerate(lengths) if length <= positions]
    if not kept:
        raise InputError(
            f"{name}: every example is longer than the model's {positions} positions "
            f"(the shortest has {min(lengths)} tokens); take a shorter task or fewer shots"
        )
    return kept


def _encode(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    """Tokens with the specials that the tokenizer puts in front, once, and none behind.

    An empty text is the beginning-of-text token, or else the end-of-text token.
    """
    front = _front(tokenizer)
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
        if token is not None:
            return token
    raise InputError(
        "a prompt is empty and the tokenizer has neither a beginning-of-text nor an end-of-text "
        "token; begin prompts with text"
    )
