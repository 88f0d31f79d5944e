"""How a deviant draws all attention to itself: largest weight and entropy against its size."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from attention.normalizers import normalize
from attention.transformer import Transformer, TransformerConfig
from icl.papers import deviated
from icl.tasks import Normal, Quantifiers, inputs_and_places

MAGNITUDES = np.geomspace(1, 1e4, 25)


def spread(weights: np.ndarray) -> tuple[float, float]:
    """Largest weight, and entropy in nats, of rows of weights scaled to sum 1; means."""
    shares = weights / np.maximum(weights.sum(-1, keepdims=True), 1e-30)
    logs = np.log(np.maximum(shares, 1e-30))
    return float(shares.max(-1).mean()), float(-(shares * logs).sum(-1).mean())


def collapse_of_scores(normalizer: str) -> np.ndarray:
    """``[magnitude, (largest weight, entropy)]`` of 64 rows of 32 scores, one the deviant."""
    scores = np.random.default_rng(0).normal(size=(64, 32)).astype(np.float32)
    found = []
    for magnitude in MAGNITUDES:
        scores[:, 7] = magnitude
        found.append(spread(np.asarray(normalize(normalizer, jnp.asarray(scores)))))
    return np.array(found)


def collapse_of_model(config: TransformerConfig, params: Any) -> np.ndarray:
    """The same of trained models' last query, over layers, heads, seeds; an input deviates."""
    given = Quantifiers("every", Normal(0.0, 1.0), 21).sample(jax.random.key(9), 0, 32)

    @jax.jit
    def weights(x_BTD: Any, y_BT: Any) -> Any:
        tokens, _ = inputs_and_places(x_BTD, y_BT, True)

        def one(params: Any) -> Any:
            apply = functools.partial(Transformer(config).apply, {"params": params})
            return apply(tokens, capture=("attention_weights",))[1]["attention_weights"]

        return jax.vmap(one)(params)[..., -1, :]

    found = []
    for magnitude in MAGNITUDES:
        with_it = deviated("every", given, float(magnitude))
        found.append(spread(np.asarray(weights(with_it.x_BTD, with_it.y_BT))))
    return np.array(found)


def draw(panels: dict[str, dict[str, np.ndarray]], out: Path) -> None:
    """Largest weight above, entropy below; a column of each kind of deviant.

    A curve that equals one drawn before it (a temperature of 1 is softmax) is left out.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6 * len(panels) + 2.2, 6.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, len(panels), squeeze=False, sharex=True, sharey="row")
    names = list(dict.fromkeys(name for curves in panels.values() for name in curves))
    looks = {name: (f"C{i % 10}", ("-", "--", ":")[i // 5 % 3]) for i, name in enumerate(names)}
    lines: dict[str, Any] = {}
    for j, (title, curves) in enumerate(panels.items()):
        drawn: list[np.ndarray] = []
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
    figure.legend(
        [lines[name] for name in shown], shown, loc="outside right center", frameon=False,
        fontsize=8,
    )  # fmt: skip
    for panel in axes.flat:
        panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(out, dpi=120)
