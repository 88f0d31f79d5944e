"""What the model would answer if it stopped after a layer.

    y_l = softmax(W · norm(h_l))

Each state goes through the final norm (or not) and the head. Reading after layer l is the same as
dropping all layers behind it. Choices are read off the states of all layers in one pass. What is
written feeds back, so that each layer takes a pass of its own, of one compiled program.

Source: TELL-TALE, arXiv 2510.22767, on the logit lens.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from attention.files import BLUE, VERMILION
from attention.terminal import Steps, no_steps
from tale_jax.analysis.by_layer import EMBEDDING, variants
from tale_jax.models import LoadedModel
from tale_jax.runs import measure
from tale_jax.scoring import NAN, NotFiniteError, Runner, Scorer
from tale_jax.units import Dropped, kept_halves, kept_layers, ordered

LENS_COLUMNS = "model layer split correct total accuracy low high".split()


def read_layers(
    model: LoadedModel, scorer: Scorer, split: str, dropped: Dropped, steps: Steps = no_steps
) -> list[dict[str, Any]]:
    """The accuracy of each layer, of the full model and of the one without some layers.

    Args:
        model: the whole model.
        scorer: that model, ready to be scored on the task.
        split: one that the scorer has.
        dropped: layers and half-layers to leave out.
        steps: shows progress, as :meth:`attention.terminal.Terminal.steps`.

    Returns:
        Rows of ``lens.csv`` with Wilson intervals; ``model`` is "full" or "without 3, 5", and layer
        −1 is the state before the first layer.
    """
    depth, rows = model.config.num_hidden_layers, []
    for name, without in variants(dropped):
        layers = [EMBEDDING, *kept_layers(without, depth)]
        if not scorer.protocol.writes:
            program = functools.partial(Runner.after_each, keep=kept_halves(without, depth))
            found = scorer.run(split, program, f"read after each layer, {name}", steps)
            if not without and not scorer.protocol.finite(found[-1]):
                raise NotFiniteError(NAN)
            read = [scorer.protocol.answers(scorer.examples[split], each) for each in found]
        else:  # dropping all layers behind one is reading after it
            read = []
            with steps(f"written after each layer, {name}", len(layers)) as advance:
                for layer in layers:
                    behind = (*without, *range(layer + 1, depth))
                    read.append(scorer.answers(split, ordered(behind)))
                    advance()
        for layer, answers in zip(layers, read, strict=True):
            found = measure(sum(answer.correct for answer in answers), len(answers))
            rows.append({"model": name, "layer": layer, "split": split, **found})
    return rows


def lens_figure(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Accuracy in per cent against the layer that it is read after."""
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.subplots()
    names = list(dict.fromkeys(row["model"] for row in rows))
    for name, color in zip(names, (BLUE, VERMILION), strict=False):
        mine = [row for row in rows if row["model"] == name]
        layers = [row["layer"] for row in mine]
        values = {n: 100 * np.array([row[n] for row in mine]) for n in ("accuracy", "low", "high")}
        axes.plot(layers, values["accuracy"], color=color, marker="o", markersize=4, label=name)
        axes.fill_between(layers, values["low"], values["high"], color=color, alpha=0.15,
                          linewidth=0)  # fmt: skip
    axes.set_xlabel("read after layer (−1: before the first)")
    axes.set_ylabel("accuracy (%), 95 % intervals")
    axes.grid(axis="y", alpha=0.25)
    figure.legend(loc="outside upper center", ncols=2)
    return figure
