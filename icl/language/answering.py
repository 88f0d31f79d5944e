"""Who answers a prompt of text: a local checkpoint, or an OpenAI-compatible server."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from attention.errors import InputError

KEY = "OPENAI_API_KEY"
Answerer = Callable[[Sequence[str]], list[str]]


def endpoint(
    url: str, model: str, *, temperature: float = 0.0, max_tokens: int = 16, timeout: float = 60.0
) -> Answerer:
    """An OpenAI-compatible server: POST ``URL/chat/completions``.

    The key, if any, is read from the environment variable ``OPENAI_API_KEY`` and sent nowhere else.

    Raises:
        InputError: an address of another kind; on asking, a server that cannot be reached or
            answers something else.
    """
    if not url.startswith(("http://", "https://")):
        raise InputError(f"an endpoint is an http(s) address, not {url!r}")
    address = url.rstrip("/") + "/chat/completions"

    def one(text: str) -> str:
        body = {
            "model": model,
            "messages": [{"role": "user", "content": text}],
            "temperature": temperature,
            "max_tokens": max_tokens,
        }
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get(KEY):
            headers["Authorization"] = f"Bearer {key}"
        request = urllib.request.Request(address, json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as reply:
                return json.load(reply)["choices"][0]["message"]["content"] or ""
        except urllib.error.HTTPError as error:
            error.close()
            hint = f"; the key is read from {KEY}" if error.code in (401, 403) else ""
            raise InputError(f"{address} answered {error.code} {error.reason}{hint}") from None
        except (urllib.error.URLError, TimeoutError) as error:
            raise InputError(f"{address} cannot be reached: {error}") from None
        except (KeyError, IndexError, TypeError, ValueError):
            raise InputError(f"{address} did not answer as an OpenAI-compatible server") from None

    return lambda texts: [one(text) for text in texts]


def checkpoint(
    model: str,
    *,
    temperature: float = 0.0,
    max_tokens: int = 16,
    batch: int = 8,
    seed: int = 0,
) -> Answerer:
    """A local folder or hub id that ``attention.transformer`` loads."""
    from transformers import AutoTokenizer

    from attention.transformer import generate, load_pretrained, unstack_layers
    from attention.transformer.huggingface import checkpoint_folder

    folder = checkpoint_folder(model, None)
    config, params = load_pretrained(folder)
    if config.head != "causal_lm":
        raise InputError(f"{model} is no causal language model")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    params = unstack_layers(params)

    def answer(texts: Sequence[str]) -> list[str]:
        out: list[str] = []
        encoded = [tokenizer(text)["input_ids"] for text in texts]
        longest = max(map(len, encoded))
        if longest + max_tokens > config.max_position_embeddings:
            raise InputError(
                f"prompts of {longest} tokens and {max_tokens} to come are more than the model's "
                f"{config.max_position_embeddings}; give fewer points or examples"
            )
        for start in range(0, len(encoded), batch):
            rows = encoded[start : start + batch]
            tokens = np.zeros((batch, longest), np.int32)
            where = np.zeros((batch, longest), bool)
            for i, row in enumerate(rows):
                tokens[i, longest - len(row) :], where[i, longest - len(row) :] = row, True
            where[len(rows) :, -1] = True  # a row of padding alone would divide by zero
            found = generate(
                config,
                params,
                jnp.asarray(tokens),
                jnp.asarray(where),
                max_new_tokens=max_tokens,
                stop_tokens=() if tokenizer.eos_token_id is None else (tokenizer.eos_token_id,),
                temperature=temperature,
                key=jax.random.fold_in(jax.random.key(seed), start),
            )
            for new, kept in zip(found.tokens[: len(rows)], found.where[: len(rows)], strict=True):
                out.append(tokenizer.decode(np.asarray(new)[np.asarray(kept)]))
        return out

    return answer
