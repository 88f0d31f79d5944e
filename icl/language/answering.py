"""Answerers of text prompts: a local checkpoint, or an OpenAI-compatible server."""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Callable, Sequence

import jax

from attention import files
from attention.errors import InputError
from attention.likelihood import Arrays, Row, RowBatches
from attention.transformer import Generated, generate, load_pretrained, unstack_layers
from attention.transformer.huggingface import checkpoint_folder

KEY = "OPENAI_API_KEY"
Answerer = Callable[[Sequence[str]], list[str]]
"""Gives an answer to each prompt."""


def endpoint(
    url: str, model: str, *, temperature: float = 0.0, max_tokens: int = 16, timeout: float = 60.0
) -> Answerer:
    """An answerer that sends each prompt to an OpenAI-compatible server.

    It posts to ``URL/chat/completions`` and follows no redirections.  The key, if there is one, is
    read from the environment variable ``OPENAI_API_KEY`` and sent to this server alone.

    Args:
        url: address up to ``/v1``.
        model: the server's name for its model.
        temperature: 0 takes the most probable answer.
        max_tokens: most tokens of an answer.
        timeout: seconds that an answer may take.

    Raises:
        InputError: the address is not an http(s) address; or when it is asked: the server cannot be
            reached, or its answer is not understood.
    """
    import httpx

    if not url.startswith(("http://", "https://")):
        raise InputError(f"an endpoint is an http(s) address, not {url!r}")
    address = url.rstrip("/") + "/chat/completions"

    def one(client: httpx.Client, text: str) -> str:
        messages = [{"role": "user", "content": text}]
        body = {"model": model, "messages": messages, "temperature": temperature}
        try:
            reply = client.post(address, json={**body, "max_tokens": max_tokens})
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise InputError(f"{address} cannot be reached: {error}") from None
        if not reply.is_success:
            hint = f"; the key is read from {KEY}" if reply.status_code in (401, 403) else ""
            told = f"{reply.status_code} {reply.reason_phrase}".strip()
            raise InputError(f"{address} answered {told}{hint}")
        try:
            return reply.json()["choices"][0]["message"]["content"] or ""
        except (KeyError, IndexError, TypeError, ValueError):
            raise InputError(f"{address} did not answer as an OpenAI-compatible server") from None

    def answer(texts: Sequence[str]) -> list[str]:
        key = os.environ.get(KEY)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        with httpx.Client(headers=headers, timeout=timeout) as client:
            return [one(client, text) for text in texts]

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

    def answer(texts: Sequence[str]) -> list[str]:
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
        return [str(tokenizer.decode(new[kept])) for new, kept in pairs]

    return answer
