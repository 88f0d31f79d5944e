r"""Speed of pretraining against plain torch, in turns in one run.

    python scripts/benchmark_pretraining.py                    # decoder and encoder, 3 minutes
    python scripts/benchmark_pretraining.py --models gpt2-small,ssa-114m --batch 8 \
        --dtype bfloat16 --attention pallas --rival false      # for an accelerator: tokens/s

On a CPU the models have 8 layers of 256, 8 heads, a vocabulary of 8,192 and batches of 32 x 128.
Both programs have the same model, step (AdamW, clipping), batches and threads, in float32.  Times
are medians over interleaved blocks, in processor seconds (user and system, all threads), which a
busy machine disturbs less, and in wall seconds.  ``floor`` is the time of a step's matrix products
alone, at the rate that the device has for the largest of them.  The last line is JSON.
"""

from __future__ import annotations

import dataclasses
import json
import statistics
import time
from typing import Annotated, Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from attention.command_line import Commas, command, run_script
from attention.errors import InputError
from attention.language.pretraining import (
    OBJECTIVES,
    RECIPES,
    Pretraining,
    Recipe,
    computed,
    config_of,
    initial,
    loss_of,
    optimizer_of,
    parts_of,
)
from attention.training import TrainState, make_step

SIZE = {"hidden_size": 256, "num_hidden_layers": 8, "num_attention_heads": 8,
        "intermediate_size": 1024, "max_position_embeddings": 128}  # fmt: skip
SHAPES = {"decoder": "gpt2-small", "encoder": "babyberta"}
VOCABULARY, LENGTH, BATCH = 8192, 128, 32


def recipe_of(name: str, batch: int | None) -> Recipe:
    """The recipe of a name, or that of the comparison."""
    if name not in SHAPES:
        recipe = RECIPES.pick(name)
        return dataclasses.replace(recipe, batch=batch or recipe.batch)
    recipe = RECIPES[SHAPES[name]]
    return dataclasses.replace(
        recipe, model={**recipe.model, **SIZE}, vocabulary=VOCABULARY, length=LENGTH,
        batch=batch or BATCH, optimizer="adamw:b2=0.98", schedule="constant_schedule",
        learning_rate=1e-3, weight_decay=0.1, clip=1.0,
    )  # fmt: skip


class Ours:
    """Our training of a recipe."""

    def __init__(self, recipe: Recipe, normalizer: str, dtype: str, attention: str):
        objective = OBJECTIVES[recipe.objective]
        plain = config_of(
            Pretraining(normalizer=normalizer), recipe, objective, recipe.vocabulary, dtype
        )
        self.recipe, self.config = recipe, computed(plain, attention)
        self.batch = batch_of(recipe)
        params, optimizer = initial(plain, 0), optimizer_of(recipe, 1)
        self.step = make_step(
            loss_of(self.config, recipe.z_loss, range(1)),
            optimizer,
            parts_of(recipe, self.config, 1),
        )
        self.state = TrainState(jnp.int32(0), params, jax.jit(optimizer.init)(params))

    def steps(self, count: int) -> tuple[float, float]:
        """Wall and processor seconds of a step."""
        wall, processor = time.perf_counter(), time.process_time()
        for _ in range(count):
            self.state, _ = self.step(self.state, self.batch, jax.random.key(0))
        jax.block_until_ready(self.state)
        return (time.perf_counter() - wall) / count, (time.process_time() - processor) / count

    def products(self) -> float:
        """Operations of a step's matrix products: 2 a weight and token, and twice that back."""
        c, r = self.config, self.recipe
        tokens, kv = r.batch * r.length, c.key_value_heads * c.head_size
        wide = c.num_attention_heads * c.head_size
        layer = 2 * c.hidden_size * (wide + kv) + 2 * c.hidden_size * c.intermediate_size
        read = tokens if c.causal else r.batch * max(1, round(r.mask_rate * r.length))
        seen = (r.length + 1) / 2 if c.causal else r.length
        scores = 2 * tokens * seen * wide * c.num_hidden_layers
        weights = layer * c.num_hidden_layers * tokens + (c.vocab_size or 0) * c.hidden_size * read
        return 6.0 * (weights + scores)

    def matrix_seconds(self) -> tuple[float, float]:
        """Wall and processor seconds of one operation of the MLP's products, one after another."""
        c, r = self.config, self.recipe
        up = jnp.ones((c.hidden_size, c.intermediate_size), c.dtype) / c.hidden_size
        down = jnp.ones((c.intermediate_size, c.hidden_size), c.dtype) / c.intermediate_size
        rows = r.batch * r.length // parts_of(r, c, 1)

        @jax.jit
        def run(x):
            for _ in range(8):
                x = jnp.dot(jnp.dot(x, up, precision=c.precision), down, precision=c.precision)
            return x

        x = jnp.ones((rows, c.hidden_size), c.dtype)
        jax.block_until_ready(run(x))
        found = []
        for _ in range(5):
            wall, processor = time.perf_counter(), time.process_time()
            jax.block_until_ready(run(x))
            found.append((time.perf_counter() - wall, time.process_time() - processor))
        work = 8 * 4.0 * up.size * rows
        return tuple(statistics.median(column) / work for column in zip(*found, strict=True))


def batch_of(recipe: Recipe) -> dict[str, dict[str, np.ndarray]]:
    """A batch of random tokens, as the recipe's objective asks about them."""
    draw = np.random.default_rng(0)
    tokens = draw.integers(5, recipe.vocabulary, (recipe.batch, recipe.length + 1), np.int32)
    if recipe.objective == "causal":
        ones = np.ones((recipe.batch, recipe.length), np.float32)
        return {"causal": {"tokens": tokens[:, :-1], "targets": tokens[:, 1:], "weights": ones}}
    count = max(1, round(recipe.mask_rate * recipe.length))
    places = np.sort(np.argsort(draw.random((recipe.batch, recipe.length)))[:, :count])
    part = {
        "tokens": tokens[:, :-1],
        "places": places.astype(np.int32),
        "targets": np.take_along_axis(tokens, places, 1),
        "weights": np.ones(places.shape, np.float32),
    }
    return {"masked": part}


def measure(
    name: str,
    normalizer: str,
    dtype: str,
    attention: str,
    rival: bool,
    blocks: int,
    batch: int | None,
) -> dict[str, Any]:
    """The times of both, and their ratio."""
    recipe = recipe_of(name, batch)
    ours, theirs = Ours(recipe, normalizer, dtype, attention), None
    ours.steps(1)
    (part,) = ours.batch.values()
    if rival and name in SHAPES:
        from rivals.language_model import Trainer

        theirs = Trainer(8, 8, 256, VOCABULARY, LENGTH, name == "decoder")
        part = {key: value for key, value in part.items() if key != "weights"}
        theirs.steps(part, 1)
    count = 1 if jax.default_backend() == "cpu" else 10
    mine, other, rates = [], [], []
    for _ in range(blocks):
        rates.append(ours.matrix_seconds())
        mine.append(ours.steps(count))
        if theirs is not None:
            other.append(theirs.steps(part, count))
    found: dict[str, Any] = {"tokens_per_s": 0}
    for i, kind in enumerate(("wall", "processor")):
        own = statistics.median(each[i] for each in mine)
        floor = ours.products() * statistics.median(each[i] for each in rates)
        found[kind] = {"seconds": round(own, 3), "share_of_floor": round(floor / own, 3)}
        if other:
            ratios = [b[i] / a[i] for a, b in zip(mine, other, strict=True)]
            found[kind]["torch_seconds"] = round(statistics.median(b[i] for b in other), 3)
            found[kind]["times_torch"] = round(statistics.median(ratios), 3)
            found[kind]["spread"] = [round(min(ratios), 3), round(max(ratios), 3)]
    found["tokens_per_s"] = round(recipe.batch * recipe.length / found["wall"]["seconds"], 1)
    return found


@command
def main(
    *,
    models: Annotated[tuple[str, ...], Commas(metavar="NAME,NAME")] = ("decoder", "encoder"),
    normalizers: Annotated[tuple[str, ...], Commas(metavar="NAME,NAME")] = ("softmax", "ssa"),
    dtype: Literal["float32", "bfloat16"] = "float32",
    attention: Literal["auto", "xla", "blocks", "chunked", "pallas"] = "auto",
    rival: bool = True,
    blocks: int = 5,
    batch: int | None = None,
) -> None:
    """Time pretraining.

    Args:
        models: decoder, encoder, or recipes
        normalizers: of the attention
        dtype: of the products; torch computes in float32
        attention: implementation of ours
        rival: time torch too, beside softmax
        blocks: of each, in turns
        batch: rows of a step; by default 32, or as in the recipe

    Raises:
        InputError: a number is below 1, or a name is unknown.
    """
    if blocks < 1 or (batch is not None and batch < 1):
        raise InputError("--blocks and --batch must be above 0")
    table: dict[str, Any] = {}
    for name in models:
        for normalizer in normalizers:
            beside = rival and normalizer == "softmax"
            row = measure(name, normalizer, dtype, attention, beside, blocks, batch)
            first = table.get(f"{name} {normalizers[0]}")
            if first is not None:
                times = row["processor"]["seconds"] / first["processor"]["seconds"]
                row["times_first_normalizer"] = round(times, 3)
            table[f"{name} {normalizer}"] = row
            print(name, normalizer, row, flush=True)
    print(jax.devices()[0].device_kind)
    print(json.dumps(table))


if __name__ == "__main__":
    run_script(main)
