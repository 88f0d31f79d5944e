"""What a search would cost, before it begins; nothing is written."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from rich.table import Table
from rich.text import Text

from attention.files import Record
from attention.terminal import plain_table
from tale_jax.criteria import CRITERIA
from tale_jax.elimination import STRATEGIES
from tale_jax.scoring import amounts, program_bytes, scorers_of, time_passes
from tale_jax.searches.job import OpenedJob
from tale_jax.units import count_layers

GIB = 2**30


class Rounds(NamedTuple):
    """The largest search that the rules allow.

    Attributes:
        rounds: how many there are.
        candidates: of all rounds, without the baseline.
        whole: layers that all candidates have, the baseline included.
        shared: layers that are left to run if a candidate takes up the states of the model that it
            is made from.
    """

    rounds: int
    candidates: int
    whole: float
    shared: float


def largest_search(opened: OpenedJob) -> Rounds:
    """Count what a search runs if the floor never stops it; a half counts as half a layer."""
    rules, units = opened.job.layers, opened.basis.units
    start = units.start(rules.initial)
    depth = units.num_layers - count_layers((*start, *units.missing))
    each = 1.0 if units.granularity == "layer" else 0.5
    left, most = len(units.left(start)), units.most - len(start)
    rounds = most if rules.max_drops is None else min(most, rules.max_drops)
    if rules.target_layers is not None:
        rounds = min(rounds, max(0, math.ceil((depth - rules.target_layers) / each)))
    tries_all = CRITERIA.pick(opened.job.ranking.criterion).tries_all
    width = (STRATEGIES.pick(rules.strategy).width or 1) if tries_all else 1
    candidates, whole, shared = 0, depth, depth
    for round_ in range(rounds):
        tried = (left - round_ if tries_all else 1) * (1 if round_ == 0 else width)
        has = depth - (round_ + 1) * each
        candidates += tried
        whole += tried * has
        shared += tried * has / 2  # the dropped one is in the middle, on average
    return Rounds(rounds, candidates, whole, shared)


def foresee(opened: OpenedJob) -> Record:
    """What a search would ask, hold and take at most.

    The time is that of a short measurement, without early rejection, which asks most candidates
    only a part; so the search takes less.

    Args:
        opened: the search.

    Returns:
        ``rounds``, ``candidates``; by task ``examples`` and ``tokens`` of a pass; ``token_layers``
        whole, with shared prompts, and with shared states; ``memory`` in GiB; ``programs``;
        ``seconds`` to compile and to search.
    """
    largest, scorers = largest_search(opened), scorers_of(opened.scorer)
    every = {name: amounts(scorer) for name, scorer in scorers.items()}
    compile_s = search_s = 0.0
    for name, scorer in scorers.items():
        found = every[name]
        first, a_token = time_passes(scorer)
        compile_s += first * max(1, len(scorer.shapes))
        prompts, new = (found.padded - found.new) * largest.shared, found.new * largest.whole
        search_s += a_token * (prompts + new) / opened.basis.units.num_layers
    memory = {
        "parameters": max(found.parameters for found in every.values()) / GIB,
        "states": sum(min(f.cache, f.states * largest.shared) for f in every.values()) / GIB,
        "batch": max(program_bytes(scorer) for scorer in scorers.values()) / GIB,
    }
    return {
        "rounds": largest.rounds,
        "candidates": 1 + largest.candidates,
        "tasks": {
            name or next(iter(opened.job.tasks)): {
                "examples": found.examples,
                "tokens": found.tokens + found.new,
                "shared_tokens": found.shared + found.new,
            }
            for name, found in every.items()
        },
        "token_layers": {
            "whole": sum((f.tokens + f.new) * largest.whole for f in every.values()),
            "shared_prompts": sum((f.shared + f.new) * largest.whole for f in every.values()),
            "shared_states": sum(
                f.shared * largest.shared + f.new * largest.whole for f in every.values()
            ),
        },
        "memory_gib": memory,
        "programs": sum(found.programs for found in every.values()),
        "seconds": {"compile": compile_s, "search": search_s},
    }


def describe_forecast(found: Record) -> Iterator[str | Table | Text]:
    """Describe what :func:`foresee` returned."""
    yield f"at most {found['rounds']} rounds, {found['candidates']:,} models; nothing is written"
    yield plain_table(
        ["task", "search examples", "tokens a pass", "with shared prompts"],
        [
            [name, f"{t['examples']:,}", f"{t['tokens']:,}", f"{t['shared_tokens']:,}"]
            for name, t in found["tasks"].items()
        ],
        words=1,
    )
    layers = {name: f"{count / 1e6:,.1f} M" for name, count in found["token_layers"].items()}
    yield Text(
        f"token-layers: {layers['whole']} choice by choice, {layers['shared_prompts']} with shared "
        f"prompts, {layers['shared_states']} with shared states too"
    )
    parts = ", ".join(f"{name} {size:.2f}" for name, size in found["memory_gib"].items())
    yield Text(f"memory: {sum(found['memory_gib'].values()):.2f} GiB ({parts})")
    seconds = found["seconds"]
    yield Text(
        f"programs: at most {found['programs']}, compiled in about {_span(seconds['compile'])}"
    )
    yield Text(
        f"time: at most {_span(seconds['search'])} besides, on this machine; candidates that are "
        "rejected early take less, and the floor may end the search before"
    )


def _span(seconds: float) -> str:
    """`40 s`, `12 min` or `3.1 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
