"""Training speed against plain torch, in turns in one run.

    python scripts/benchmark_icl.py                        # 1l1ah and 12l8ah, 4 minutes on 2 cores
    python scripts/benchmark_icl.py --seeds 8 --no-rival   # several seeds at once

Same model (GPT-2 without its vocabulary, 512 positions), same step (Adam, batch 64, 41 points,
prompts drawn inside), all threads. Medians of interleaved blocks; the last line is JSON.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path

import jax
import optax

sys.path.insert(0, str(Path(__file__).parent))

from attention.command_line import run_script
from attention.training.step import TrainState, make_step
from icl.experiments import Experiment
from icl.training import data_key, draw_of, init, loss_of, parts_of

SECONDS = 4.0  # of a block, roughly


class Ours:
    """Our training of ``preset``, ``count`` steps a dispatch."""

    def __init__(self, architecture: str, seeds: int, precision: str | None, count: int):
        experiment = Experiment(f"linear-{architecture}", seeds=seeds, precision=precision)
        self.config, self.count = experiment.config(), count
        each = [init(self.config, seed) for seed in range(seeds)]
        params = each[0] if seeds == 1 else jax.tree.map(lambda *x: jax.numpy.stack(x), *each)
        optimizer = optax.adam(1e-4)
        task, each = experiment.task(), range(seeds)
        self.run = make_step(
            loss_of(self.config, task, each),
            optimizer,
            parts_of(experiment),
            dispatch=count,
            draw=draw_of(task, experiment.batch, each),
        )
        self.state = TrainState(jax.numpy.int32(0), params, optimizer.init(params))

    def steps_per_s(self, dispatches: int = 1) -> float:
        """Rate over some dispatches."""
        start = time.perf_counter()
        for _ in range(dispatches):
            self.state, _ = self.run(self.state, None, data_key(0))
        jax.block_until_ready(self.state)
        return dispatches * self.count / (time.perf_counter() - start)


def measure(
    architecture: str, seeds: int, precision: str | None, rival: bool, blocks: int, seconds: float
) -> dict[str, float | list[float]]:
    """Rates of both, and their ratio."""
    rates = {"1l1ah": 60.0, "12l8ah": 0.5} if jax.default_backend() == "cpu" else {}
    count = max(1, round(rates.get(architecture, 250.0) * seconds))
    ours, theirs = Ours(architecture, seeds, precision, count), None
    ours.steps_per_s()
    if rival:
        from rivals.icl_gpt2 import Trainer

        c = ours.config
        theirs = Trainer(c.num_hidden_layers, c.num_attention_heads, c.hidden_size)
        theirs.steps_per_s(2)
    mine, other = [], []
    for _ in range(blocks):
        mine.append(ours.steps_per_s())
        if theirs is not None:
            other.append(theirs.steps_per_s(max(min(count, 2), count // 5)))
    found: dict[str, float | list[float]] = {"steps_per_s": round(statistics.median(mine), 3)}
    if other:
        ratios = [a / b for a, b in zip(mine, other, strict=True)]
        found["torch_steps_per_s"] = round(statistics.median(other), 3)
        found["ratio"] = round(statistics.median(mine) / statistics.median(other), 3)
        found["spread"] = [round(min(ratios), 3), round(max(ratios), 3)]
    return found


def main(
    *,
    models: str = "1l1ah,12l8ah",
    seeds: int = 1,
    precision: str | None = None,
    rival: bool = True,
    blocks: int = 5,
    seconds: float = SECONDS,
) -> None:
    """Times training.

    Args:
        models: architectures, between commas
        seeds: of ours, trained at once
        precision: of ours; None is float32 throughout
        rival: time torch too
        blocks: of each, in turns
        seconds: about how long a block takes
    """
    table = {}
    for name in models.split(","):
        table[name.upper()] = row = measure(name, seeds, precision, rival, blocks, seconds)
        print(name, row, flush=True)
    print(f"{jax.devices()[0].device_kind}, precision {precision or 'highest'}, {seeds} seed(s)")
    print(json.dumps(table))


if __name__ == "__main__":
    run_script(main)
