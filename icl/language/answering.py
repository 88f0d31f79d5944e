"""Answerers of text prompts: a local checkpoint, or an OpenAI-compatible server."""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Annotated

import jax
import msgspec

from attention import files
from attention.errors import InputError
from attention.likelihood import Arrays, Row, RowBatches
from attention.transformer import Generated, generate, load_pretrained, unstack_layers
from attention.transformer.huggingface import checkpoint_folder

KEY = "OPENAI_API_KEY"
Answerer = Callable[[Sequence[str]], Iterable[list[str]]]
"""Gives an answer to each prompt, in order, part by part; a part is kept as soon as it is there."""


class _Message(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _Message


class _Reply(msgspec.Struct):
    choices: Annotated[list[_Choice], msgspec.Meta(min_length=1)]


def endpoint(
    url: str,
    model: str,
    *,
    temperature: float = 0.0,
    max_tokens: int = 16,
    options: files.RemoteOptions = files.RemoteOptions(),
    pause: float = 0.5,
) -> Answerer:
    """An answerer that sends each prompt to an OpenAI-compatible server.

    It posts to ``URL/chat/completions`` and follows no redirections.  The key, if there is one, is
    read from the environment variable ``OPENAI_API_KEY`` and sent to this server alone.

    Args:
        url: address up to ``/v1``: https, or of this machine.
        model: the server's name for its model.
        temperature: 0 takes the most probable answer.
        max_tokens: most tokens of an answer.
        options: time, tries, and whether http to another machine is allowed.
        pause: seconds before the second try; each further one waits twice as long.

    Raises:
        InputError: the address is not allowed; or when it is asked: the server cannot be reached,
            fails, or its answer is not understood.
    """
    address = url.rstrip("/") + "/chat/completions"
    server = files.JsonServer(address, os.environ.get(KEY, ""), KEY, options, pause)

    def answer(texts: Sequence[str]) -> Iterator[list[str]]:
        with server:
            for text in texts:
                messages = [{"role": "user", "content": text}]
                body = {"model": model, "messages": messages, "temperature": temperature}
                reply = server.post({**body, "max_tokens": max_tokens}, _Reply)
                yield [reply.choices[0].message.content or ""]

    return answer


def checkpoint(
    model: str,
    *,
    temperature: float = 0.0,
    max_tokens: int = 16,
    batch_tokens: int = 4096,
    seed: int = 0,
) -> Answerer:
    """An answerer that is a causal language model, loaded by `load_pretrained`.

    Args:
        model: local folder or hub id.
        temperature: 0 takes the most probable answer.
        max_tokens: most tokens of an answer.
        batch_tokens: tokens of the prompts that are answered at once.
        seed: of answers at a temperature above 0.

    Raises:
        InputError: there is no such model, or it is no causal language model; or when it is asked:
            the prompts are too long.
    """
    folder = checkpoint_folder(model)
    config, stacked = load_pretrained(folder)
    if config.head != "causal_lm":
        raise InputError(f"{model} is no causal language model")
    tokenizer, params = files.load_tokenizer(folder), unstack_layers(stacked)
    stop_tokens = files.end_tokens(folder, tokenizer)

    def answer(texts: Sequence[str]) -> Iterator[list[str]]:
        rows = [Row.prompt(tokenizer(text)["input_ids"]) for text in texts]
        longest = max(len(row.tokens) for row in rows)
        if longest + max_tokens > config.longest_text:
            raise InputError(
                f"prompts of {longest} tokens and {max_tokens} to come are more than the model's "
                f"{config.longest_text}; give fewer points or examples"
            )
        keys = map(functools.partial(jax.random.fold_in, jax.random.key(seed)), itertools.count())

        def program(arrays: Arrays) -> Generated:
            return generate(
                config,
                params,
                arrays.tokens,
                arrays.where,
                max_new_tokens=max_tokens,
                stop_tokens=stop_tokens,
                temperature=temperature,
                key=next(keys),
            )

        found = RowBatches(rows, batch_tokens).run(program)
        pairs = zip(found.tokens, found.where, strict=True)
        yield [str(tokenizer.decode(new[kept])) for new, kept in pairs]

    return answer
