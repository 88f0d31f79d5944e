"""Measures how much faster and smaller a model is without some of its layers."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from attention.errors import InputError
from attention.meshes import mesh_parts
from attention.transformer import decoding_form, jitted_generate
from tale_jax.models import LoadedModel
from tale_jax.options import Workload
from tale_jax.scoring import JointScorer, Scorer, without_layers
from tale_jax.units import Dropped, Units

MIB = 2**20
Times = tuple[float, float]
LATENCY_COLUMNS = (
    "model dropped batch prompt_length new_tokens first_token_ms first_token_ms_p90 "
    "decode_tokens_s total_ms parameters_mib cache_mib program_mib first_token_ratio "
    "decode_ratio total_ratio memory_ratio"
).split()


def speed_ups(
    scorer: Scorer | JointScorer, models: Sequence[Dropped], rounds: int = 7
) -> list[float]:
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


def time_parts(scorer: Scorer | JointScorer, units: Units, rounds: int = 5) -> dict[str, float]:
    """The seconds of a pass over the longest batch, with all parts and without one kind of them.

    The three take turns, and medians count, after one round that does not.

    Args:
        scorer: of the task.
        units: of the model.
        rounds: that count.

    Returns:
        The fields of `tale_jax.elimination.PartTimes` that are times.
    """

    def every(half: str) -> Dropped:
        named = (f"{layer}.{half}" for layer in range(units.num_layers))
        return tuple(name for name in named if name not in units.missing)

    names = ("whole", "without_attention", "without_mlp")
    models = ((), every("attention"), every("mlp"))
    times: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds + 1):
        for name, dropped in zip(names, models, strict=True):
            start = time.perf_counter()
            scorer.run_once(dropped)
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(found[1:]) for name, found in times.items()}


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
        model: LoadedModel,
        unstacked: Mapping[str, Any],
        dropped: Dropped,
        work: Workload,
        batch: int,
    ):
        """Compile both programs.

        Args:
            model: the full model.
            unstacked: its parameters, a tree for each layer.
            dropped: the layers and half-layers to leave out.
            work: what is generated.
            batch: prompts at a time.
        """
        self.config, self.params = without_layers(model.config, unstacked, dropped)
        vocabulary, shape = model.config.vocab_size or 0, (batch, work.prompt_length)
        tokens_BT = np.random.default_rng(0).integers(0, vocabulary, shape, np.int32)
        given: Any = (tokens_BT, np.ones(shape, bool))
        if model.batch_sharding is not None:
            given = jax.device_put(given, model.batch_sharding)
        self._arrays = (*given, np.zeros(vocabulary, bool))  # no token stops the text
        self._first, self._whole = self._compile(1), self._compile(work.new_tokens)
        cached = sum(attention for attention, _ in self.config.halves)
        cells = cached * batch * (work.prompt_length + work.new_tokens)
        each = 2 * self.config.key_value_heads * self.config.head_size
        self.cache_bytes = cells * each * np.dtype(self.config.dtype).itemsize
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


def devices_of(model: LoadedModel) -> str:
    """What a model is on, such as ``cpu`` or ``4 x NVIDIA H200``."""
    kind = jax.devices()[0].device_kind
    return kind if model.batch_sharding is None else f"{model.batch_sharding.num_devices} x {kind}"


def check_workload(model: LoadedModel, work: Workload, batch: int) -> None:
    """Check that a model can generate what is to be timed.

    Args:
        model: that is timed.
        work: what is generated.
        batch: prompts at a time.

    Raises:
        InputError: it has too few positions, or the prompts cannot be divided over its devices.
    """
    if work.prompt_length + work.new_tokens > model.config.longest_text:
        raise InputError(
            f"{work.prompt_length} prompt tokens and {work.new_tokens} new ones are more than "
            f"the model's {model.config.longest_text} positions"
        )
    if model.batch_sharding is not None:
        assert model.placement is not None  # both or neither
        parts = mesh_parts(model.placement, "batch")
        if batch % parts:
            raise InputError(f"a batch of {batch} cannot be divided over data={parts} devices")


def measure_models(
    model: LoadedModel,
    variants: Sequence[Dropped],
    work: Workload,
    batch: int = 1,
) -> list[dict[str, Any]]:
    """Measure the latency, speed and memory of a model without some of its layers.

    The variants take turns.  Times are medians over ``work.rounds`` rounds, after ``work.warmup``
    rounds that do not count.  Ratios are medians of each round's ratio.

    Args:
        model: the full model.
        variants: what each goes without; the others are compared with the first.
        work: what is generated.
        batch: prompts at a time.

    Returns:
        A row for each variant, with the keys of ``LATENCY_COLUMNS`` but for ``model``.  Times are
        in milliseconds and sizes in MiB.  A ratio below 1 means less time or memory;
        ``decode_ratio`` compares speeds: above 1 is faster.  ``decode_tokens_s`` and
        ``decode_ratio`` are None where the time after the first token cannot be told from noise.

    Raises:
        InputError: the model has too few positions, or the batch cannot be divided over its
            devices.
    """
    check_workload(model, work, batch)
    unstacked = decoding_form(model.params)
    unique = {dropped: Deployed(model, unstacked, dropped, work, batch) for dropped in variants}
    rounds = [
        {dropped: deployed.times() for dropped, deployed in unique.items()}
        for _ in range(work.warmup + work.rounds)
    ][work.warmup :]
    shape = {
        "batch": batch,
        "prompt_length": work.prompt_length,
        "new_tokens": work.new_tokens,
    }
    base = unique[variants[0]]
    return [
        {"dropped": dropped, **shape}
        | _timed(
            [times[dropped] for times in rounds],
            [times[variants[0]] for times in rounds],
            batch * (work.new_tokens - 1),
        )
        | unique[dropped].sizes()
        | {"memory_ratio": unique[dropped].program_bytes / base.program_bytes}
        for dropped in variants
    ]


def _timed(
    times: Sequence[Times], reference: Sequence[Times], decoded: int
) -> dict[str, float | None]:
    """Medians of the times of a model, and of their ratios to those of the reference.

    Args:
        times: seconds to the first token and to the last, of each round.
        reference: the same of the model to compare with.
        decoded: tokens written after the first of each prompt.
    """

    def ratio(part: Callable[[Times], float]) -> float:
        pairs = zip(times, reference, strict=True)
        return statistics.median(part(own) / part(other) for own, other in pairs)

    first, whole = zip(*times, strict=True)
    own = decoding(times)
    known = own is not None and decoding(reference) is not None
    return {
        "first_token_ms": 1000 * statistics.median(first),
        "first_token_ms_p90": 1000 * float(np.percentile(first, 90)),
        "decode_tokens_s": None if own is None else decoded / own,
        "total_ms": 1000 * statistics.median(whole),
        "first_token_ratio": ratio(lambda pair: pair[0]),
        "decode_ratio": 1 / ratio(lambda pair: max(pair[1] - pair[0], 1e-9)) if known else None,
        "total_ratio": ratio(lambda pair: pair[1]),
    }


def decoding(times: Sequence[Times]) -> float | None:
    """Seconds from the first token to the last, the median over rounds.

    Args:
        times: seconds to the first token and to the last, of each round.

    Returns:
        None if noise hides it: a quarter of the rounds gives less than half of the median.
    """
    after = [whole - first for first, whole in times]
    middle = statistics.median(after)
    return middle if np.percentile(after, 25) > middle / 2 else None
