"""How much faster a model is without some of its layers."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

from tale_jax.elimination import Dropped
from tale_jax.scoring import Scorer


def speed_ups(scorer: Scorer, models: Sequence[Dropped], rounds: int = 7) -> list[float]:
    """Time of the first model over that of each, on the longest batch of the search split.

    The models take turns, so that a machine whose speed drifts is fair to all; the median over
    rounds of each ratio counts, after one round that does not.
    """
    times: list[list[float]] = []
    for _ in range(rounds + 1):
        times.append([])
        for dropped in models:
            start = time.perf_counter()
            scorer.run_once(dropped)
            times[-1].append(time.perf_counter() - start)
    return [statistics.median(line[0] / line[i] for line in times[1:]) for i in range(len(models))]
