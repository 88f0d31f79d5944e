"""What the model would answer if it stopped after a layer.

    y_l = softmax(W · norm(h_l))

Each state goes through the final norm (or not) and the head. Reading after layer l is the same as
dropping all layers behind it. Choices are read off the states of all layers in one pass. What is
written feeds back, so that each layer takes a pass of its own, of one compiled program.

Source: TELL-TALE, arXiv 2510.22767, on the logit lens.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from matplotlib.figure import Figure

from attention.files import BLUE, VERMILION
from attention.likelihood import Arrays, Row, RowBatches, score_targets
from tale_jax.analysis.by_layer import EMBEDDING, variants
from tale_jax.models import LoadedModel
from tale_jax.runs import measure
from tale_jax.scoring import Scorer, layer_states, without_layers
from tale_jax.tasks import Answer, encode_choices
from tale_jax.units import Dropped, kept_layers, ordered

LENS_COLUMNS = "model layer split correct total accuracy low high".split()


def read_layers(
    model: LoadedModel, scorer: Scorer, split: str, dropped: Dropped
) -> list[dict[str, Any]]:
    """The accuracy of each layer, of the full model and of the one without some layers.

    Args:
        model: the whole model.
        scorer: that model, ready to be scored on the task.
        split: one that the scorer has.
        dropped: layers and half-layers to leave out.

    Returns:
        Rows of ``lens.csv`` with Wilson intervals; ``model`` is "full" or "without 3, 5", and layer
        −1 is the state before the first layer.
    """
    depth, rows = model.config.num_hidden_layers, []
    for name, without in variants(dropped):
        layers = [EMBEDDING, *kept_layers(without, depth)]
        if not scorer.protocol.writes:
            read = _read_choices(model, scorer, split, without)
        else:  # dropping all layers behind one is reading after it
            behind = ((*without, *range(layer + 1, depth)) for layer in layers)
            read = [scorer.answers(split, ordered(gone)) for gone in behind]
        for layer, answers in zip(layers, read, strict=True):
            found = measure(sum(answer.correct for answer in answers), len(answers))
            rows.append({"model": name, "layer": layer, "split": split, **found})
    return rows


def _read_choices(
    model: LoadedModel, scorer: Scorer, split: str, dropped: Dropped
) -> list[list[Answer]]:
    """Answers read before the first layer and after each layer kept, in one pass."""
    examples = scorer.examples[split]
    choices_of = encode_choices(model.tokenizer, examples)
    asked = [Row.choices([choice]) for choices in choices_of for choice in choices]
    loaded = RowBatches(asked, scorer.batch_tokens, model.batch_sharding)
    log_probs_RL = loaded.run(_lens_program(model, dropped))
    ends = np.cumsum([len(choices) for choices in choices_of])[:-1]
    return [scorer.protocol.answers(examples, np.split(column, ends)) for column in log_probs_RL.T]


def _lens_program(
    model: LoadedModel, dropped: Dropped
) -> Callable[[Arrays], Float[Array, "R L+1"]]:
    """Rows → the log-probability of each row's targets, read after every layer."""
    config, kept_params = without_layers(model.config, model.params, dropped)

    @jax.jit
    def read(params: Any, arrays: Arrays) -> Float[Array, "R L+1"]:
        states_LRTD = layer_states(config, params, arrays.tokens, arrays.where)
        read_LRUD = jnp.take_along_axis(states_LRTD, arrays.places[None, :, :, None], axis=2)

        def log_probability(states_RUD: Float[Array, "R U D"]) -> Float[Array, " R"]:
            scores = score_targets(config, params, states_RUD, arrays.targets, arrays.reads)
            return jnp.sum(jnp.where(arrays.target_where, scores.log_probs, 0), axis=1)

        return jax.lax.map(log_probability, read_LRUD).T

    return functools.partial(read, kept_params)


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
