"""Learning rates by name, such as ``warmup_cosine_decay_schedule:warmup_steps=10``."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import optax

from attention.errors import InputError

SCHEDULES = (
    "constant_schedule",
    "linear_schedule",
    "polynomial_schedule",
    "exponential_decay",
    "cosine_decay_schedule",
    "cosine_onecycle_schedule",
    "linear_onecycle_schedule",
    "warmup_constant_schedule",
    "warmup_cosine_decay_schedule",
    "warmup_exponential_decay_schedule",
    "warmup_linear_decay_schedule",
)
WARMUP = 0.03  # share of the steps, unless the text gives a number of steps


def make_schedule(text: str, learning_rate: float, steps: int) -> optax.Schedule:
    """Make the schedule that a text names: of optax, or one of ``OWN``.

    A parameter that the text does not give has a default.  The largest rate is ``learning_rate``, a
    length is ``steps``, a warm-up takes 3 % of the steps and starts from 0.  Any other parameter
    has optax's default; an end value without one is 0.

    Args:
        text: ``name`` or ``name:parameter=value,parameter=value``; names are in ``SCHEDULES``.
        learning_rate: the largest rate.
        steps: updates of the whole training.

    Returns:
        The rate as a function of the step.

    Raises:
        InputError: the name or a parameter is unknown, or does not fit the number of steps.
    """
    name, _, given = text.partition(":")
    if name not in SCHEDULES:
        raise InputError(f"unknown schedule {name!r}; there are {', '.join(SCHEDULES)}")
    make: Any = OWN.get(name) or getattr(optax, name)
    accepted = inspect.signature(make).parameters
    peak = "peak_value" if "peak_value" in accepted else "init_value"
    usual: dict[str, float] = {
        "value": learning_rate,
        peak: learning_rate,
        "decay_steps": steps,
        "transition_steps": steps,
        "warmup_steps": min(max(1, round(WARMUP * steps)), steps - 1),
        "end_value": 0.0,
        "power": 1.0,
        "decay_rate": 0.5,
    }
    if peak == "peak_value":
        usual["init_value"] = 0.0
    arguments = {
        key: value
        for key, value in usual.items()
        if key in accepted
        and (accepted[key].default is inspect.Parameter.empty or key.endswith("_steps"))
    }
    try:
        return make(**arguments | _parameters(name, given, accepted))
    except ValueError as error:  # of optax, such as a warm-up that is longer than the training
        raise InputError(f"{text} does not go with {steps} steps: {error}") from None


def warmup_linear_decay_schedule(
    init_value: float,
    peak_value: float,
    warmup_steps: int,
    decay_steps: int,
    end_value: float = 0.0,
) -> optax.Schedule:
    """Two straight lines, as BERT's: from ``init_value`` up to ``peak_value``, then to the end.

    Args:
        init_value: at step 0.
        peak_value: at step ``warmup_steps``.
        warmup_steps: of the first line.
        decay_steps: of both lines.
        end_value: from step ``decay_steps`` on.

    Raises:
        ValueError: the first line is longer than both.
    """
    if not warmup_steps < decay_steps:
        raise ValueError(f"decay_steps must be more than warmup_steps={warmup_steps}")
    up = optax.linear_schedule(init_value, peak_value, max(1, warmup_steps))
    down = optax.linear_schedule(peak_value, end_value, decay_steps - warmup_steps)
    return optax.join_schedules([up, down], [warmup_steps])


OWN = {"warmup_linear_decay_schedule": warmup_linear_decay_schedule}
"""Schedules that optax has not."""


def _parameters(
    name: str, given: str, accepted: Mapping[str, inspect.Parameter]
) -> dict[str, float]:
    found: dict[str, float] = {}
    for item in filter(None, given.split(",")):
        key, _, value = item.partition("=")
        key, counts = key.strip(), key.strip().endswith("_steps")
        if key not in accepted:
            raise InputError(f"{name} has no parameter {key!r}; it has {', '.join(accepted)}")
        try:
            found[key] = int(value) if counts else float(value)
        except ValueError:
            raise InputError(f"{name}: {key} is {value!r}, not a number") from None
        if counts and found[key] < 0:
            raise InputError(f"{name}: {key} must be at least 0, not {value}")
    return found
