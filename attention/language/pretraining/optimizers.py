"""Optimizers by name, of optax and optax.contrib, such as ``adamw:b2=0.95``."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Literal

import jax
import optax
from jax.tree_util import KeyEntry
from jaxtyping import PyTree

from attention.errors import InputError
from attention.training import decayed

Decay = Literal["matrices", "scales"]
"""What weight decay shrinks: kernels and embeddings; or also the scales of norms, which then are
stored less one."""
OPTIMIZERS = (
    *"adabelief adam adamw adamax adamaxw adan adafactor amsgrad lamb lion nadam nadamw".split(),
    *"radam rmsprop sgd yogi".split(),
    *"ademamix adopt muon".split(),
)
DECAY = ("weight_decay", "weight_decay_rate")


def make_optimizer(
    text: str,
    schedule: optax.Schedule,
    *,
    weight_decay: float = 0.0,
    decay: Decay = "matrices",
    clip: float | None = None,
    logged: bool = True,
) -> optax.GradientTransformation:
    """Make the optimizer that a text names.

    Args:
        text: ``name`` or ``name:parameter=value,…`` with parameters of optax; names are in
            ``OPTIMIZERS``.
        schedule: the learning rate by step.
        weight_decay: of an optimizer that has it.
        decay: what it shrinks.  Biases and the parameters of normalizers never decay.
        clip: largest global norm of a gradient; None: no limit.
        logged: whether its state holds the learning rate, which ``fit`` then logs.

    Raises:
        InputError: the name or a parameter is unknown, or the optimizer has no weight decay.
    """
    name, _, given = text.partition(":")
    if name not in OPTIMIZERS:
        raise InputError(f"unknown optimizer {name!r}; there are {', '.join(OPTIMIZERS)}")
    make = getattr(optax, name, None) or getattr(optax.contrib, name)
    accepted = inspect.signature(make).parameters
    arguments = _parameters(name, given, accepted)
    if weight_decay:
        rate = next((each for each in DECAY if each in accepted), None)
        if rate is None:
            raise InputError(f"{name} has no weight decay: take another optimizer, or 0")
        mask = next(each for each in ("weight_decay_mask", "mask") if each in accepted)
        arguments |= {rate: weight_decay, mask: lambda params: decaying(params, decay)}
        if "adam_weight_decay" in accepted:  # of what muon leaves to Adam
            arguments["adam_weight_decay"] = weight_decay
    elif "weight_decay" in accepted:
        arguments["weight_decay"] = 0.0
    if "muon_weight_dimension_numbers" in accepted:
        arguments["muon_weight_dimension_numbers"] = _matrix_axes

    def built(learning_rate: Any) -> optax.GradientTransformation:
        return make(learning_rate, **arguments)

    made = optax.inject_hyperparams(built)(learning_rate=schedule) if logged else built(schedule)
    return made if clip is None else optax.chain(optax.clip_by_global_norm(clip), made)


def each_seed(optimizer: optax.GradientTransformation) -> optax.GradientTransformation:
    """The same optimizer for parameters ``[seed, …]``: each seed has its own norms and moments."""

    def update(updates: PyTree, state: PyTree, params: PyTree = None) -> tuple[PyTree, PyTree]:
        return jax.vmap(optimizer.update)(updates, state, params)

    return optax.GradientTransformation(jax.vmap(optimizer.init), update)


def decaying(params: PyTree, decay: Decay) -> PyTree:
    """Say which parameters decay; see ``Decay``."""
    if decay == "matrices":
        return decayed(params)

    def also(path: tuple[KeyEntry, ...], matrix: bool) -> bool:
        return matrix or getattr(path[-1], "key", None) == "scale"

    return jax.tree.map_with_path(also, decayed(params))


def _matrix_axes(params: PyTree) -> PyTree:
    """Over which axes a kernel is a matrix, for Muon; None where Adam takes over.

    Muon is for the matrices between states: not for embeddings, heads and vectors.
    """

    def axes(path: tuple[KeyEntry, ...], leaf: jax.Array) -> Any:
        names = [str(getattr(entry, "key", "")) for entry in path]
        if names[-1] != "kernel" or "layers" not in names or leaf.ndim not in (2, 3):
            return None
        into = (0, 1) if leaf.ndim == 3 and "out" in names else (0,)
        out = tuple(i for i in range(leaf.ndim) if i not in into)
        return optax.contrib.MuonDimensionNumbers(into, out)

    return jax.tree.map_with_path(axes, params)


def _parameters(name: str, given: str, accepted: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in filter(None, given.split(",")):
        key, _, value = (part.strip() for part in item.partition("="))
        if key not in accepted or key == "learning_rate":
            known = ", ".join(each for each in accepted if each != "learning_rate")
            raise InputError(f"{name} has no parameter {key!r}; it has {known}")
        words = {"true": True, "false": False}
        try:
            found[key] = words[value.lower()] if value.lower() in words else float(value)
        except ValueError:
            raise InputError(f"{name}: {key} is {value!r}, not a number") from None
    return found
