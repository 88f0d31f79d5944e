"""How much faster and smaller a model is without some of its layers."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from attention.errors import InputError
from attention.files import write_table
from attention.transformer import TransformerConfig, jitted_generate, unstack_layers
from tale_jax.scoring import Scorer, without_layers
from tale_jax.units import Dropped

MIB = 2**20
COLUMNS = (
    "model dropped batch prompt_length new_tokens first_token_ms first_token_ms_p90 "
    "decode_tokens_s total_ms parameters_mib cache_mib program_mib first_token_ratio "
    "decode_ratio total_ratio memory_ratio"
).split()


def speed_ups(scorer: Scorer, models: Sequence[Dropped], rounds: int = 7) -> list[float]:
    """Time of the first model over that of each, on the longest batch of the search split.

    The models take turns, so that a machine whose speed drifts is fair to all; the median over
    rounds of each ratio counts, after one round that does not.  A model named twice is timed once.
    """
    asked, models = models, list(dict.fromkeys(models))
    times: list[list[float]] = []
    for _ in range(rounds + 1):
        times.append([])
        for dropped in models:
            start = time.perf_counter()
            scorer.run_once(dropped)
            times[-1].append(time.perf_counter() - start)
    places = map(models.index, asked)
    return [statistics.median(line[0] / line[i] for line in times[1:]) for i in places]


@dataclasses.dataclass(frozen=True)
class Workload:
    """What is generated: ``batch`` prompts of random tokens, greedily, with no stop token."""

    batch: int = 1
    prompt_length: int = 128
    new_tokens: int = 32
    rounds: int = 7
    warmup: int = 2

    def check(self, positions: int) -> None:
        """Raise InputError unless it can be run and timed."""
        if min(self.batch, self.prompt_length, self.rounds) < 1 or self.warmup < 0:
            raise InputError("batch, prompt length and rounds must be at least 1")
        if self.new_tokens < 2:
            raise InputError("the speed of decoding takes at least 2 new tokens")
        if self.prompt_length + self.new_tokens > positions:
            raise InputError(
                f"{self.prompt_length} prompt tokens and {self.new_tokens} new ones are more than "
                f"the model's {positions} positions"
            )


USUAL_WORK = Workload()


class Deployed:
    """A physically shorter model with its two compiled programs: first token, and all of them."""

    def __init__(
        self,
        config: TransformerConfig,
        unstacked: Mapping[str, Any],
        dropped: Dropped,
        work: Workload,
    ):
        self.config, self.params = without_layers(config, unstacked, dropped)
        shape = (work.batch, work.prompt_length)
        tokens = np.random.default_rng(0).integers(0, config.vocab_size or 0, shape, np.int32)
        stop_V = np.zeros(config.vocab_size or 0, bool)
        self._arrays = (tokens, np.ones(shape, bool), stop_V)
        self._first, self._whole = self._compile(1), self._compile(work.new_tokens)
        cached = sum(attention for attention, _ in self.config.halves)
        cells = cached * work.batch * (work.prompt_length + work.new_tokens)
        each = 2 * config.key_value_heads * config.head_size
        self.cache_bytes = cells * each * np.dtype(config.dtype).itemsize
        self.parameter_bytes = sum(leaf.nbytes for leaf in jax.tree.leaves(self.params))
        held = self._whole.memory_analysis()
        self.program_bytes = (
            held.argument_size_in_bytes + held.output_size_in_bytes + held.temp_size_in_bytes
        )

    def _compile(self, new_tokens: int) -> Any:
        lowered = jitted_generate.lower(self.config, self.params, *self._arrays, new_tokens)
        return lowered.compile()

    def times(self) -> tuple[float, float]:
        """Seconds to the first token, and to the last."""
        return self._time(self._first), self._time(self._whole)

    def _time(self, program: Callable[..., Any]) -> float:
        start = time.perf_counter()
        jax.block_until_ready(program(self.params, *self._arrays))
        return time.perf_counter() - start


def measure_models(
    config: TransformerConfig, params: Mapping[str, Any], models: Sequence[Dropped], work: Workload
) -> list[dict[str, Any]]:
    """Latency, speed and memory of each model, and ratios to the first.

    The models take turns; times are medians over ``work.rounds`` rounds after ``work.warmup`` that
    do not count, and ratios medians of each round's ratio.

    Args:
        config: of the full model.
        params: stacked or unstacked.
        models: layers that each goes without; the first is what the others are compared with.
        work: what is generated.
    """
    work.check(config.max_position_embeddings)
    unstacked = unstack_layers(params)
    unique = {dropped: Deployed(config, unstacked, dropped, work) for dropped in models}
    rounds = [
        {dropped: model.times() for dropped, model in unique.items()}
        for _ in range(work.warmup + work.rounds)
    ][work.warmup :]
    reference = models[0]
    return [_measured(unique, dropped, reference, rounds, work) for dropped in models]


def _measured(
    unique: Mapping[Dropped, Deployed],
    dropped: Dropped,
    reference: Dropped,
    rounds: Sequence[Mapping[Dropped, tuple[float, float]]],
    work: Workload,
) -> dict[str, Any]:
    first = [times[dropped][0] for times in rounds]
    whole = [times[dropped][1] for times in rounds]

    def ratio(of: Callable[[tuple[float, float]], float]) -> float:
        return statistics.median(of(times[dropped]) / of(times[reference]) for times in rounds)

    def decoding(times: tuple[float, float]) -> float:
        return max(times[1] - times[0], 1e-9)  # noise may make it negative

    model, base = unique[dropped], unique[reference]
    tokens = work.batch * (work.new_tokens - 1)
    return {
        "dropped": dropped,
        "batch": work.batch,
        "prompt_length": work.prompt_length,
        "new_tokens": work.new_tokens,
        "first_token_ms": 1000 * statistics.median(first),
        "first_token_ms_p90": 1000 * float(np.percentile(first, 90)),
        "decode_tokens_s": tokens / statistics.median(decoding(times[dropped]) for times in rounds),
        "total_ms": 1000 * statistics.median(whole),
        "parameters_mib": model.parameter_bytes / MIB,
        "cache_mib": model.cache_bytes / MIB,
        "program_mib": model.program_bytes / MIB,
        "first_token_ratio": ratio(lambda times: times[0]),
        "decode_ratio": 1 / ratio(decoding),
        "total_ratio": ratio(lambda times: times[1]),
        "memory_ratio": model.program_bytes / base.program_bytes,
    }


def write_measurements(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """``benchmark.csv``: a row a model and batch."""
    write_table(path, rows, COLUMNS)
