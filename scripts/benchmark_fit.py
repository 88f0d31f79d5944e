"""What ``fit`` costs beside a plain jitted loop, on steps of about 3 ms.

    python scripts/benchmark_fit.py [--size 384] [--rounds 15]   # a minute on 2 CPU cores

Both train the same four layers with AdamW on the same batches.  Blocks of steps alternate in one
process, and each pair gives a ratio, of which the median counts.  Processor seconds (all
threads) are disturbed less by a busy machine than wall seconds.  ``fit`` does more: it computes the
norms of gradient and update, keeps the old state where a step is not finite, and logs some steps.
The last line is JSON.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from attention.command_line import Result, run_script
from attention.training import fit

LAYERS, ROWS, BLOCK = 4, 128, 100


def loss(params: dict[str, Any], batch: dict[str, Any], key: Any) -> tuple[Any, int]:
    """The squared error of a few layers."""
    del key
    x = batch["x"]
    for weights in params.values():
        x = jnp.tanh(x @ weights)
    return jnp.sum((x - batch["y"]) ** 2), x.size


class Plain:
    """A jitted step in a loop."""

    def __init__(self, params: dict[str, Any], optimizer: optax.GradientTransformation):
        def step(state: Any, batch: Any) -> tuple[Any, Any]:
            def mean(params: Any) -> Any:
                total, count = loss(params, batch, None)
                return total / count

            value, gradients = jax.value_and_grad(mean)(state[0])
            updates, own = optimizer.update(gradients, state[1], state[0])
            return (optax.apply_updates(state[0], updates), own), value

        self.step = jax.jit(step, donate_argnums=0)
        copied = jax.tree.map(jnp.copy, params)
        self.state = (copied, optimizer.init(copied))

    def run(self, batches: list[Any]) -> None:
        """Train on a block of batches."""
        for t in range(BLOCK):
            self.state, _ = self.step(self.state, batches[t % len(batches)])
        jax.block_until_ready(self.state)


def now() -> np.ndarray:
    """Wall and processor seconds."""
    return np.array([time.perf_counter(), time.process_time()])


def measure(size: int, rounds: int) -> dict[str, float]:
    """Seconds of a step of both, and the medians of their ratios.

    Args:
        size: of the layers.
        rounds: pairs of blocks, after a first one that compiles.
    """
    draw = np.random.default_rng(0)
    normal = lambda *shape: draw.normal(size=shape).astype(np.float32)  # noqa: E731
    params = {f"w{i}": jnp.asarray(normal(size, size) / size**0.5) for i in range(LAYERS)}
    batches = [{"x": normal(ROWS, size), "y": normal(ROWS, size)} for _ in range(8)]
    optimizer = optax.adamw(1e-4)
    plain = Plain(params, optimizer)
    found: list[tuple[np.ndarray, np.ndarray]] = []
    mark = [now()]

    def evaluate(step: int, params: Any) -> None:
        jax.block_until_ready(params)
        fitted = now() - mark[0]
        begun = now()
        plain.run(batches)
        if step > BLOCK:
            found.append((fitted, now() - begun))
        mark[0] = now()

    fit(
        loss, params, optimizer, lambda t: batches[t % len(batches)], steps=BLOCK * (rounds + 1),
        key=jax.random.key(0), quiet=True, evaluate=evaluate, evaluate_every=BLOCK,
    )  # fmt: skip
    ratios = np.array([ours / theirs for ours, theirs in found])
    times = np.median(np.array(found), axis=0) / BLOCK
    return {
        "fit_ms": 1e3 * times[0, 0], "plain_ms": 1e3 * times[1, 0],
        "fit_processor_ms": 1e3 * times[0, 1], "plain_processor_ms": 1e3 * times[1, 1],
        "ratio": statistics.median(ratios[:, 0]),
        "processor_ratio": statistics.median(ratios[:, 1]),
    }  # fmt: skip


def main(size: int = 384, rounds: int = 15) -> Result:
    """Compare fit with a plain loop.

    Args:
        size: of the four layers; 384 takes about 3 ms a step on two Zen 4 cores
        rounds: pairs of blocks of 100 steps
    """
    found = {name: round(float(value), 3) for name, value in measure(size, rounds).items()}
    text = ", ".join(f"{name} {value}" for name, value in found.items())
    return Result(found, text)


if __name__ == "__main__":
    run_script(main)
