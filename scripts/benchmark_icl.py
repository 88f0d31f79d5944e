r"""Training speed against plain torch, in turns in one run.

    python scripts/benchmark_icl.py                  # 1l1ah and 12l8ah, 4 minutes on 2 cores
    python scripts/benchmark_icl.py --models 12l8ah --seeds 1,8 --steps 20000 \
        --precision tensorfloat32                    # for an accelerator: 5 minutes there

Both have the same model (GPT-2 without its vocabulary, 512 positions), the same step (Adam, batch
64, 41 points, prompts drawn inside) and all threads.  Rates are medians of interleaved blocks; the
last line is JSON.  ``matrix_share`` is the rate of a step's matrix products, over the rate at which
the device does the largest of them alone at the same precision.
"""

from __future__ import annotations

import functools
import json
import statistics
import time
from typing import Annotated

import jax
import jax.numpy as jnp
import optax

from attention.command_line import Commas, command, run_script
from attention.errors import InputError
from attention.training import TrainState, make_step
from icl.training import Experiment, data_key, draw_of, init_all, loss_of, parts_of


class Ours:
    """Our training of an architecture, ``count`` steps in a dispatch."""

    def __init__(self, architecture: str, seeds: int, precision: str | None, count: int):
        experiment = Experiment(f"linear-{architecture}", seeds=seeds, precision=precision)
        self.experiment, self.config, self.count = experiment, experiment.config(), count
        task, each = experiment.task(), experiment.all_seeds
        params = init_all(self.config, each)
        optimizer = optax.adam(1e-4)
        self.run = make_step(
            loss_of(self.config, task, each),
            optimizer,
            parts_of(experiment),
            dispatch=count,
            draw=draw_of(task, experiment.batch, each),
        )
        self.state = TrainState(jnp.int32(0), params, optimizer.init(params))

    def steps_per_s(self, dispatches: int = 1) -> float:
        """Rate over some dispatches."""
        start = time.perf_counter()
        for _ in range(dispatches):
            self.state, _ = self.run(self.state, None, data_key(0))
        jax.block_until_ready(self.state)
        return dispatches * self.count / (time.perf_counter() - start)

    def products(self) -> float:
        """Operations of a step's matrix products: 2 for a weight and token, and twice that back.

        At places that are not read, the last layer computes keys and values alone.  Attention's own
        products are left out.
        """
        c, points = self.config, self.experiment.points
        square, wide = c.hidden_size**2, c.hidden_size * c.intermediate_size
        tokens = 2 * points - 1
        of_a_prompt = (4 * square + 2 * wide) * (c.num_hidden_layers - 1) * tokens
        of_a_prompt += 2 * square * tokens + (2 * square + 2 * wide) * points
        return 6.0 * of_a_prompt * self.experiment.batch * self.experiment.seeds

    def matrix_rate(self) -> float:
        """Operations per second of the MLP's two products alone, one after the other."""
        c, e = self.config, self.experiment
        rows = e.batch // parts_of(e) * (2 * e.points - 1)
        up = jnp.ones((e.seeds, c.hidden_size, c.intermediate_size)) / c.hidden_size
        down = jnp.ones((e.seeds, c.intermediate_size, c.hidden_size)) / c.intermediate_size
        times = 10 if jax.default_backend() == "cpu" else 1000

        @jax.jit
        def run(x):
            dot = functools.partial(jnp.matmul, precision=c.precision)
            return jax.lax.fori_loop(0, times, lambda _, x: dot(dot(x, up), down), x)

        x = jnp.ones((e.seeds, rows, c.hidden_size))
        jax.block_until_ready(run(x))
        seconds = []
        for _ in range(3):
            start = time.perf_counter()
            jax.block_until_ready(run(x))
            seconds.append(time.perf_counter() - start)
        return times * 4.0 * up.size * rows / statistics.median(seconds)


def measure(
    architecture: str,
    seeds: int,
    precision: str | None,
    rival: bool,
    blocks: int,
    steps: int | None,
) -> dict[str, float | list[float]]:
    """The rates of both, and their ratio."""
    usual = {"1l1ah": 240, "12l8ah": 3} if jax.default_backend() == "cpu" else {}
    count = max(1, usual.get(architecture, 1000) // seeds if steps is None else steps // blocks)
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
    rate, products = statistics.median(mine), ours.products()
    found: dict[str, float | list[float]] = {
        "steps_per_s": round(rate, 3),
        "matrix_share": round(rate * products / ours.matrix_rate(), 3),
    }
    if other:
        ratios = [a / b for a, b in zip(mine, other, strict=True)]
        found["torch_steps_per_s"] = round(statistics.median(other), 3)
        found["ratio"] = round(rate / statistics.median(other), 3)
        found["spread"] = [round(min(ratios), 3), round(max(ratios), 3)]
    return found


@command
def main(
    *,
    models: Annotated[tuple[str, ...], Commas(metavar="NAME,NAME")] = ("1l1ah", "12l8ah"),
    seeds: Annotated[tuple[int, ...], Commas(metavar="N,N")] = (1,),
    precision: str | None = None,
    rival: bool = True,
    blocks: int = 5,
    steps: int | None = None,
) -> None:
    """Time training.

    Args:
        models: architectures
        seeds: how many are trained at once; torch trains one
        precision: of ours; by default float32 throughout
        rival: time torch too, beside one seed
        blocks: of each, in turns
        steps: of ours in all blocks; by default blocks take some seconds

    Raises:
        InputError: a number is below 1.
    """
    several = sorted(seeds)
    if several[0] < 1 or blocks < 1 or (steps is not None and steps < blocks):
        raise InputError("--seeds, --blocks and steps of a block must be whole numbers above 0")
    table = {}
    for name in models:
        for count in several:
            row = measure(name, count, precision, rival and count == 1, blocks, steps)
            if count > 1 and name.upper() in table:
                one = table[name.upper()]["steps_per_s"]
                row["times_one_seed"] = round(count * row["steps_per_s"] / one, 2)
            table[name.upper() + (f" x{count}" if count > 1 else "")] = row
            print(f"{name}, {count} seed(s)", row, flush=True)
    print(f"{jax.devices()[0].device_kind}, precision {precision or 'highest'}")
    print(json.dumps(table))


if __name__ == "__main__":
    run_script(main)
