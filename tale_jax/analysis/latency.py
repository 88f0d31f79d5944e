"""Measures how much faster and smaller a model is without some of its layers."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from attention.errors import InputError
from attention.transformer import TransformerConfig, jitted_generate, unstack_layers
from tale_jax.options import Workload
from tale_jax.scoring import Scorer, without_layers
from tale_jax.units import Dropped

MIB = 2**20
Times = tuple[float, float]
LATENCY_COLUMNS = (
    "model dropped batch prompt_length new_tokens first_token_ms first_token_ms_p90 "
    "decode_tokens_s total_ms parameters_mib cache_mib program_mib first_token_ratio "
    "decode_ratio total_ratio memory_ratio"
).split()


def speed_ups(scorer: Scorer, models: Sequence[Dropped], rounds: int = 7) -> list[float]:
    """The time of the first model over that of each, on the longest batch of the search split.

    The models take turns, so that a machine whose speed drifts is fair to all. The median over the
    rounds of each ratio counts, after one round that does not. A model named twice is timed once.

    Args:
        scorer: of the task.
        models: what each goes without.
        rounds: that count.
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


class Deployed:
    """A physically shorter model with two compiled programs: for the first token, and for all.

    Attributes:
        config: of the shorter model.
        params: its parameters.
        cache_bytes: of the keys and values of all tokens.
        parameter_bytes: of the parameters.
        program_bytes: that the program for all tokens holds: arguments, outputs and temporaries.
    """

    def __init__(
        self,
        config: TransformerConfig,
        unstacked: Mapping[str, Any],
        dropped: Dropped,
        work: Workload,
        batch: int,
    ):
        """Compile both programs.

        Args:
            config: of the full model.
            unstacked: its parameters, a tree for each layer.
            dropped: the layers and half-layers to leave out.
            work: what is generated.
            batch: prompts at a time.
        """
        self.config, self.params = without_layers(config, unstacked, dropped)
        shape = (batch, work.prompt_length)
        tokens = np.random.default_rng(0).integers(0, config.vocab_size or 0, shape, np.int32)
        stop_V = np.zeros(config.vocab_size or 0, bool)
        self._arrays = (tokens, np.ones(shape, bool), stop_V)
        self._first, self._whole = self._compile(1), self._compile(work.new_tokens)
        cached = sum(attention for attention, _ in self.config.halves)
        cells = cached * batch * (work.prompt_length + work.new_tokens)
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

    def times(self) -> Times:
        """Seconds to the first token, and to the last."""
        return self._time(self._first), self._time(self._whole)

    def sizes(self) -> dict[str, float]:
        """What the model holds, in MiB."""
        return {
            "parameters_mib": self.parameter_bytes / MIB,
            "cache_mib": self.cache_bytes / MIB,
            "program_mib": self.program_bytes / MIB,
        }

    def _time(self, program: Callable[..., Any]) -> float:
        start = time.perf_counter()
        jax.block_until_ready(program(self.params, *self._arrays))
        return time.perf_counter() - start


def device_kind() -> str:
    """What is computed on, such as ``cpu`` or ``NVIDIA H200``."""
    return jax.devices()[0].device_kind


def check_workload(config: TransformerConfig, work: Workload) -> None:
    """Raise InputError if the model has too few positions for what is generated."""
    if work.prompt_length + work.new_tokens > config.longest_text:
        raise InputError(
            f"{work.prompt_length} prompt tokens and {work.new_tokens} new ones are more than "
            f"the model's {config.longest_text} positions"
        )


def measure_models(
    config: TransformerConfig,
    params: Mapping[str, Any],
    models: Sequence[Dropped],
    work: Workload,
    batch: int = 1,
) -> list[dict[str, Any]]:
    """The latency, speed and memory of each model, and ratios to the first.

    The models take turns. Times are medians over ``work.rounds`` rounds, after ``work.warmup`` that
    do not count, and ratios are medians of each round's ratio.

    Args:
        config: of the full model.
        params: its parameters, stacked or unstacked.
        models: what each goes without; the first is what the others are compared with.
        work: what is generated.
        batch: prompts at a time.

    Returns:
        A row for each model, with the keys of ``LATENCY_COLUMNS`` but for ``model``. Ratios below 1
        are faster (times) or smaller (memory); ``decode_ratio`` is one of speeds.

    Raises:
        InputError: the model has too few positions.
    """
    check_workload(config, work)
    unstacked = unstack_layers(params)
    unique = {dropped: Deployed(config, unstacked, dropped, work, batch) for dropped in models}
    rounds = [
        {dropped: model.times() for dropped, model in unique.items()}
        for _ in range(work.warmup + work.rounds)
    ][work.warmup :]
    shape = {
        "batch": batch,
        "prompt_length": work.prompt_length,
        "new_tokens": work.new_tokens,
    }
    base = unique[models[0]]
    return [
        {"dropped": dropped, **shape}
        | _timed(
            [times[dropped] for times in rounds],
            [times[models[0]] for times in rounds],
            batch * (work.new_tokens - 1),
        )
        | unique[dropped].sizes()
        | {"memory_ratio": unique[dropped].program_bytes / base.program_bytes}
        for dropped in models
    ]


def _timed(times: Sequence[Times], reference: Sequence[Times], decoded: int) -> dict[str, float]:
    """Medians of the times of a model, and of their ratios to those of the reference.

    Args:
        times: seconds to the first token and to the last, of each round.
        reference: the same of the model to compare with.
        decoded: tokens written after the first of each prompt.
    """

    def ratio(part: Callable[[Times], float]) -> float:
        pairs = zip(times, reference, strict=True)
        return statistics.median(part(own) / part(other) for own, other in pairs)

    def decoding(pair: Times) -> float:
        return max(pair[1] - pair[0], 1e-9)  # noise may make it negative

    first, whole = zip(*times, strict=True)
    return {
        "first_token_ms": 1000 * statistics.median(first),
        "first_token_ms_p90": 1000 * float(np.percentile(first, 90)),
        "decode_tokens_s": decoded / statistics.median(map(decoding, times)),
        "total_ms": 1000 * statistics.median(whole),
        "first_token_ratio": ratio(lambda pair: pair[0]),
        "decode_ratio": 1 / ratio(decoding),
        "total_ratio": ratio(lambda pair: pair[1]),
    }
