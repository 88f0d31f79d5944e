"""Three ways to drop layers, timed against the physically shorter model.

Command: ``python scripts/benchmark_depth.py`` (a minute on 2 CPU cores)

A random Llama of 12 layers loses every other layer.  The forms take turns, and the median over
rounds of (time of the form) / (time of the shorter model) counts.  The last line is JSON:
``{"batch1": {form: ratio, …}, "batch16": {…}}``.
"""

from __future__ import annotations

import functools
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from attention.command_line import Result, run_script
from attention.transformer import Transformer, TransformerConfig, keep_layers, unstack_layers

LAYERS, LENGTH, VOCABULARY, ROUNDS = 12, 64, 1024, 15


def forms(config: TransformerConfig, params: Any, tokens: Int[Array, "B T"]) -> dict[str, Callable]:
    """Compiled forward passes of the same shallower model."""
    mask = tuple(i % 2 == 0 for i in range(config.num_hidden_layers))
    kept = [i for i, keep in enumerate(mask) if keep]
    model, shorter = Transformer(config), Transformer(config.keep_layers(kept))
    unstacked = unstack_layers(params)
    keep = jnp.repeat(jnp.array(mask)[:, None], 2, axis=1)
    short_stack = keep_layers(params, kept)
    short = unstack_layers(short_stack)

    def static(p):
        return model.apply({"params": p}, tokens, layer_mask=mask)

    def dynamic(p):
        return model.apply({"params": p}, tokens, keep=keep)

    def plain(p):
        return shorter.apply({"params": p}, tokens)

    cases = {
        "shorter": (plain, short),
        "shorter, stacked": (plain, short_stack),
        "layer_mask": (static, unstacked),
        "layer_mask, stacked": (static, params),
        "keep": (dynamic, params),
    }
    return {
        name: functools.partial(jax.jit(function), argument)
        for name, (function, argument) in cases.items()
    }


def ratios(batch: int) -> dict[str, float]:
    """Median time of each form over that of the shorter model, unstacked."""
    config = TransformerConfig(
        hidden_size=256,
        num_hidden_layers=LAYERS,
        num_attention_heads=8,
        num_key_value_heads=4,
        intermediate_size=688,
        vocab_size=VOCABULARY,
        tie_word_embeddings=True,
    )
    tokens = jax.random.randint(jax.random.key(0), (batch, LENGTH), 0, VOCABULARY)
    params = Transformer(config).init(jax.random.key(1), tokens)["params"]
    runs = forms(config, params, tokens)
    expected = np.asarray(runs["shorter"]())
    times: dict[str, list[float]] = {name: [] for name in runs}
    for name, run in runs.items():
        difference = np.abs(np.asarray(run()) - expected).max() / np.abs(expected).max()
        assert difference < 1e-5, f"{name} differs by {difference}"
    for _ in range(ROUNDS):
        for name, run in runs.items():
            start = time.perf_counter()
            jax.block_until_ready(run())
            times[name].append(time.perf_counter() - start)
    base = times["shorter"]
    print(f"batch {batch}: shorter model {1e3 * statistics.median(base):.2f} ms")
    return {
        name: round(statistics.median(a / b for a, b in zip(taken, base, strict=True)), 3)
        for name, taken in times.items()
    }


def main() -> Result:
    """Time every way to drop layers against the shorter model."""
    found = {f"batch{batch}": ratios(batch) for batch in (1, 16)}
    rows = [f"{name} {row}" for name, row in found.items()]
    return Result(found, *rows, json.dumps(found))


if __name__ == "__main__":
    run_script(main)
