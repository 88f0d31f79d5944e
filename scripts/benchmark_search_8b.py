"""The search on a randomly initialised Llama-3.1-8B in bfloat16: a mode of `benchmark_search.py`.

550 examples of 170 tokens, four one-token choices, five iterations.  To reach on one H200: under 6
minutes, at 40 % of the measured bfloat16 matrix rate or more.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from attention.likelihood import Row
from attention.transformer import RopeScaling, TransformerConfig, abstract_params
from tale_jax.elimination import SearchOptions, eliminate
from tale_jax.scoring import PROTOCOLS, Loglikelihood, Protocol, Scorer
from tale_jax.tasks import Example, Task

EXAMPLES, TOKENS, ITERATIONS = 550, 170, 5
LLAMA = TransformerConfig(
    hidden_size=4096,
    num_hidden_layers=32,
    num_attention_heads=32,
    num_key_value_heads=8,
    intermediate_size=14336,
    vocab_size=128256,
    max_position_embeddings=131072,
    rope_theta=500000.0,
    rope_scaling=RopeScaling("llama3", 8.0),
    norm_eps=1e-5,
    dtype="bfloat16",
)
TINY = TransformerConfig(
    hidden_size=64,
    num_hidden_layers=7,
    num_attention_heads=4,
    num_key_value_heads=2,
    intermediate_size=224,
    vocab_size=997,
    rope_theta=500000.0,
    norm_eps=1e-5,
    dtype="bfloat16",
)


class RandomTokens(Loglikelihood):
    """Rows of random tokens, and four tokens to choose from."""

    def rows(self, examples: Any) -> list[Row]:
        number = np.random.default_rng(0)
        vocabulary = self._config.vocab_size or 0
        found = []
        for _ in examples:
            text = number.integers(vocabulary, size=TOKENS).tolist()
            found.append(Row.choices([([*text, token], 1) for token in range(4)]))
        return found


PROTOCOLS["random tokens"] = Protocol("four tokens to choose from", RandomTokens)


def random_params(config: TransformerConfig) -> Any:
    """Normal weights of the config's deviation, ones for norms; drawn leaf by leaf."""
    leaves, tree = jax.tree_util.tree_flatten_with_path(abstract_params(config))

    def draw(i: int, path: Any, leaf: Any) -> jax.Array:
        if "norm" in str(path):
            return jnp.ones(leaf.shape, leaf.dtype)
        key = jax.random.fold_in(jax.random.key(0), i)
        return jax.jit(
            lambda key: config.initializer_range * jax.random.normal(key, leaf.shape, leaf.dtype)
        )(key)

    return tree.unflatten([draw(i, path, leaf) for i, (path, leaf) in enumerate(leaves)])


def accelerator_row(matrix_rate: Callable[..., float], tiny: bool) -> dict[str, Any]:
    """Seconds, and the share of the matrix rate that the arithmetic done stands for."""
    config = TINY if tiny else LLAMA
    count = 23 if tiny else EXAMPLES
    rate = matrix_rate(jnp.bfloat16, 256 if tiny else 8192)
    params = random_params(config)
    examples = tuple(Example("", ("a", "b", "c", "d"), i % 4) for i in range(count))
    tokenizer: Any = None  # random tokens need none
    start = time.perf_counter()
    scorer = Scorer(
        config,
        params,
        tokenizer,
        Task("random", examples),
        protocol="random tokens",
        batch_tokens=16384,
        cache_gib=0.01 if tiny else 40.0,
    )
    result = eliminate(
        scorer.count,
        config.num_hidden_layers,
        count,
        SearchOptions(epsilon=1, max_drops=ITERATIONS),
        race=scorer.race,
    )
    seconds = time.perf_counter() - start
    one = sum(x.size for x in jax.tree.leaves(params["layers"])) / config.num_hidden_layers
    flops = 2 * one * scorer.layers_run
    return {
        "device": jax.devices()[0].device_kind,
        "examples": count,
        "tokens": TOKENS,
        "iterations": len(result.steps),
        "seconds": round(seconds, 2),
        "flops": flops,
        "matrix_rate": rate,
        "share_of_rate": round(flops / seconds / rate, 4),
        "rejected": sum(candidate.bound for candidate in result.candidates),
        "candidates": len(result.candidates),
    }
