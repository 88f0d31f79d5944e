"""What a model writes behind a prompt, whole and without some layers, and how fast."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from attention.errors import InputError
from attention.files import Record
from attention.likelihood import Row, check_vocabulary
from attention.transformer import decoding_form, jitted_generate
from tale_jax.models import LoadedModel
from tale_jax.scoring import NAN, NotFiniteError, without_layers
from tale_jax.tasks import Example, Task, encode_prompts, render
from tale_jax.units import Dropped


def encode_question(
    model: LoadedModel,
    prompt: str,
    template: str = "auto",
    variables: tuple[str, ...] = (),
    date: str | None = None,
) -> tuple[str, list[int]]:
    """Put a question into the form in which the model is asked: as a chat if it has a template.

    Args:
        model: that is asked.
        prompt: the question.
        template: ``auto``, ``chat``, ``none`` or a file, as of `tale_jax.tasks.render`.
        variables: of the template.
        date: that the template is told.

    Returns:
        The text that the model reads, and its tokens.

    Raises:
        InputError: the template cannot be used, or the prompt has no token.
    """
    example = Example(prompt, None, "", messages=(("user", prompt),))
    task = render(
        Task("the prompt", (example,), chat=True), model.tokenizer, template, variables, date
    )
    tokens = encode_prompts(model.tokenizer, task.search)[0]
    return task.search[0].prompt, tokens


def write_side_by_side(
    model: LoadedModel,
    variants: Mapping[str, Dropped],
    tokens: list[int],
    new_tokens: int,
    temperature: float = 0.0,
    seed: int = 0,
) -> list[Record]:
    """Let each variant continue a prompt, with a key/value cache.

    The second of two runs is timed; the first compiles.

    Args:
        model: the whole model.
        variants: what each goes without, by name.
        tokens: of the prompt.
        new_tokens: tokens to write at most.
        temperature: 0 takes the most probable token; otherwise tokens are drawn, all variants with
            the same random numbers.
        seed: of the draws.

    Returns:
        For each variant ``model, dropped, text, tokens`` (how many were written), ``seconds`` and
        ``tokens_per_second``, the prompt's pass included.

    Raises:
        InputError: the prompt and the new tokens are more than the model's positions, or its
            logits are not numbers.
    """
    if len(tokens) + new_tokens > model.config.longest_text:
        raise InputError(
            f"{len(tokens)} tokens of the prompt and {new_tokens} new ones are more than the "
            f"model's {model.config.longest_text} positions: lower --max-new-tokens"
        )
    check_vocabulary([Row.prompt(tokens)], model.config.vocab_size)
    unstacked, rows = decoding_form(model.params), []
    stop_V = np.zeros(model.config.vocab_size or 0, bool)
    ends = (*model.end_tokens, model.tokenizer.eos_token_id)
    stop_V[[end for end in ends if isinstance(end, int) and end < len(stop_V)]] = True
    given = np.array([tokens], np.int32), np.ones((1, len(tokens)), bool), stop_V
    how: Any = {}
    if temperature > 0:
        how["sampling"] = jax.random.key(seed), jnp.float32(temperature)
    for name, dropped in variants.items():
        config, params = without_layers(model.config, unstacked, dropped)
        jax.block_until_ready(jitted_generate(config, params, *given, new_tokens, **how))
        start = time.perf_counter()  # of the second call: the first one compiles
        out = jitted_generate(config, params, *given, new_tokens, **how)
        if not np.asarray(out.finite).all():
            raise NotFiniteError(NAN)
        written = np.asarray(out.tokens)[0][np.asarray(out.where)[0]].tolist()
        seconds = time.perf_counter() - start
        text = model.tokenizer.batch_decode([written], skip_special_tokens=True)[0]
        row = {"model": name, "dropped": list(dropped), "text": text, "tokens": len(written)}
        speed = len(written) / seconds
        rows.append({**row, "seconds": seconds, "tokens_per_second": speed})
    return rows
