"""How one deviant draws attention to itself: largest weight and entropy against its magnitude."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from matplotlib.figure import Figure

from attention.normalizers import normalize
from attention.transformer import Transformer, TransformerConfig
from icl.tasks import TASKS, inputs_and_places, with_deviant
from icl.training import Params

MAGNITUDES = np.geomspace(1, 1e4, 25)
POINTS = 21
Curve = Float[np.ndarray, "M 2"]
"""For each of ``MAGNITUDES`` the largest weight and the entropy."""


def spread(weights: Float[np.ndarray, "*B S"]) -> tuple[float, float]:
    """The largest weight and the entropy (nats) of rows of attention, means over rows.

    Args:
        weights: rows of weights, which are scaled to the sum 1 first.
    """
    shares = weights / np.maximum(weights.sum(-1, keepdims=True), 1e-30)
    logs = np.log(np.maximum(shares, 1e-30))
    return float(shares.max(-1).mean()), float(-(shares * logs).sum(-1).mean())


@functools.partial(jax.jit, static_argnames="config")
def last_weights(
    config: TransformerConfig,
    params: Params,
    x_BTD: Float[Array, "B T d"],
    y_BT: Float[Array, "B T"],
) -> Float[Array, "L B N S"]:
    """The attention weights of a prompt's last query, in every layer and head.

    Args:
        config: of the model.
        params: of the model.
        x_BTD: inputs.
        y_BT: values.
    """
    tokens, _ = inputs_and_places(x_BTD, y_BT)
    found: Any = Transformer(config).apply(
        {"params": params}, tokens, capture=("attention_weights",)
    )
    return found[1]["attention_weights"][:, :, :, -1]


def collapse_of_scores(normalizer: str) -> Curve:
    """The curve of a normalizer on 64 rows of 32 scores, with one deviant in each row."""
    scores = np.random.default_rng(0).normal(size=(64, 32)).astype(np.float32)
    found = []
    for magnitude in MAGNITUDES:
        scores[:, 7] = magnitude
        found.append(spread(np.asarray(normalize(normalizer, jnp.asarray(scores)))))
    return np.array(found)


def collapse_of_model(config: TransformerConfig, params: Params) -> Curve:
    """The curve of models that learned ``every``: the last query, with one deviant input.

    Args:
        config: of the models.
        params: of several seeds, stacked ``[seed, …]``.

    Returns:
        The means over prompts, layers, heads and seeds.
    """
    task, key = TASKS.pick("every").make(points=POINTS), jax.random.key(9)
    of_seeds = jax.vmap(functools.partial(last_weights, config), (0, None, None))
    found = []
    for magnitude in MAGNITUDES:
        change = functools.partial(with_deviant, position=POINTS // 2, value=float(magnitude))
        given = task.sample(key, 0, 32, change)
        found.append(spread(np.asarray(of_seeds(params, given.x_BTD, given.y_BT))))
    return np.array(found)


def draw(panels: Mapping[str, Mapping[str, Curve]]) -> Figure:
    """Draw the curves: largest weight above, entropy below, a column for each panel.

    A curve that equals one drawn before it is left out; a temperature of 1, say, is softmax.

    Args:
        panels: for each title the curves by their names.
    """
    figure = Figure(figsize=(4.6 * len(panels) + 2.2, 6.4), layout="constrained")
    axes = figure.subplots(2, len(panels), squeeze=False, sharex=True, sharey="row")
    names = list(dict.fromkeys(name for curves in panels.values() for name in curves))
    looks = {name: (f"C{i % 6}", ("-", "--", ":")[i // 6 % 3]) for i, name in enumerate(names)}
    lines: dict[str, Any] = {}
    for j, (title, curves) in enumerate(panels.items()):
        drawn: list[Curve] = []
        for name, curve in curves.items():
            if any(np.allclose(curve, other, atol=1e-6) for other in drawn):
                continue
            drawn.append(curve)
            color, style = looks[name]
            for k in range(2):
                (line,) = axes[k, j].plot(MAGNITUDES, curve[:, k], style, color=color)
                line.set_zorder(2 + 1 / len(drawn))  # the first above those that cover it
                lines.setdefault(name, line)
        axes[0, j].set_title(title, fontsize=10)
        axes[1, j].set_xlabel("deviant's magnitude")
        axes[0, j].set_xscale("log")
    axes[0, 0].set_ylabel("largest weight, share of the row")
    axes[1, 0].set_ylabel("entropy of the weights, nats")
    shown = [name for name in names if name in lines]
    handles = [lines[name] for name in shown]
    figure.legend(handles, shown, loc="outside right center", fontsize=8)
    return figure
