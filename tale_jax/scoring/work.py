"""How much a scorer has to compute for a candidate; known before anything is searched."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import NamedTuple

import jax

from tale_jax.scoring.joint import JointScorer
from tale_jax.scoring.scorer import Scorer


class Amounts(NamedTuple):
    """The work of one candidate on the search split, and the memory of a search.

    Attributes:
        examples: on the search split.
        tokens: with every choice behind a prompt of its own.
        shared: tokens with one prompt for all choices of an example, and with the beginning of all
            examples once.
        new: tokens that the model writes at most, if it does.
        padded: tokens in the batches, and new ones.
        programs: that are compiled at most.
        states: bytes that are kept after one layer: states, and keys and values of who writes.
        parameters: bytes.
        cache: bytes of states that may be kept.
    """

    examples: int
    tokens: int
    shared: int
    new: int
    padded: int
    programs: int
    states: int
    parameters: int
    cache: float


def amounts(scorer: Scorer) -> Amounts:
    """The amounts of a scorer; nothing runs."""
    config, params = scorer._runner.programs._config, scorer._runner.programs._params
    rows, front = scorer._rows["search"], scorer._runner.programs.front
    before = 0 if front is None else front.tokens.size
    new = scorer.protocol.new_tokens * len(rows)
    tokens = 0
    for row in rows:
        prompt = row.branches.count(0)
        tokens += len({*row.owners} or {0}) * (before + prompt) + len(row.tokens) - prompt
    padded = sum(batch.arrays.tokens.size for batch in scorer._batches["search"])
    leaves = jax.tree.leaves(params)
    numbers = config.hidden_size
    if scorer.protocol.writes:
        numbers += 2 * config.key_value_heads * config.head_size
    width = numbers * jax.numpy.dtype(config.dtype).itemsize
    return Amounts(
        len(rows),
        tokens,
        sum(len(row.tokens) for row in rows) + before,
        new,
        padded + new,
        scorer.most_compilations,
        padded * width,
        sum(leaf.nbytes for leaf in leaves),
        scorer._runner.cache_bytes,
    )


def time_passes(scorer: Scorer, rounds: int = 3) -> tuple[float, float]:
    """Time the longest batch of the search split in the whole model.

    Returns:
        Seconds of the first pass, which compiles, and of a later one for each padded token.
    """
    start = time.perf_counter()
    scorer.run_once(())
    first, times = time.perf_counter() - start, []
    for _ in range(rounds):
        start = time.perf_counter()
        tokens = scorer.run_once(())
        times.append((time.perf_counter() - start) / tokens)
    return first, min(times)


def program_bytes(scorer: Scorer) -> int:
    """The most bytes that a program compiled so far holds besides its arguments."""
    compiled = scorer._runner.programs._compiled.values()
    held = (future.result().memory_analysis() for future in compiled if future.done())
    return max((each.temp_size_in_bytes for each in held if each is not None), default=0)


def scorers_of(scorer: Scorer | JointScorer) -> Mapping[str, Scorer]:
    """The scorers of a search by task; the name of a task alone is empty."""
    return scorer.scorers if isinstance(scorer, JointScorer) else {"": scorer}
