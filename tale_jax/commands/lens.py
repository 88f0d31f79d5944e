"""What the model would answer if it stopped after a layer: ``tale lens``.

    y_l = softmax(W · norm(h_l))

Each state goes through the final norm (or not) and the head.  Reading after layer l is the same as
dropping all layers behind it.  Choices are read off the states of all layers in one pass; what is
generated feeds back, so that each layer takes a pass of its own, of one compiled program.

Source: TELL-TALE, arXiv 2510.22767, on the logit lens.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from attention.errors import InputError
from attention.files import BLUE, VERMILION, save_figure, write_table
from attention.likelihood import Arrays, Row, RowBatches, score_targets
from tale_jax.commands.information import EMBEDDING, variants
from tale_jax.models import Model
from tale_jax.opening import model_and_layers, open_scorer
from tale_jax.options import Options
from tale_jax.runs import Terminal, measure
from tale_jax.scoring import Scorer, layer_states, without_layers
from tale_jax.tasks import Answer, Example, encode_choices
from tale_jax.units import Dropped, Unit, kept_layers, ordered

COLUMNS = "model layer split correct total accuracy low high".split()


def lens(
    model: str | None = None,
    task: str | None = None,
    *,
    run: str | Path | None = None,
    pick: str = "best",
    drop: Sequence[Unit] = (),
    split: str | None = None,
    final_norm: bool = True,
    out: str | Path | None = None,
    quiet: bool = True,
    **options: Any,
) -> list[dict[str, Any]]:
    """Accuracy of each layer read through the final norm and the head.

    Args:
        model: a local folder, a hub id, or ``demo``; None: that of the run.
        task: a JSONL file or a name; None: that of the run.
        run: directory of a finished search.
        pick: of the run: which layers to leave out.
        drop: layers to leave out, in place of a run.
        split: ``search`` or ``test``; None: test if there is one.
        final_norm: whether states go through the final norm before the head.
        out: directory for ``lens.csv`` and ``.svg``/``.png``; None: that of the run, or none.
        quiet: show nothing.
        options: fields of :class:`tale_jax.options.Options`; those of the run count if the task is
            the run's.

    Returns:
        The rows of ``lens.csv`` with Wilson intervals; ``model`` is "full" or "without 3, 5", and
        layer −1 is the state before the first layer.

    Raises:
        InputError: for everything that the user can mend.
    """
    asked = (model, task, run, pick, drop, Options(**options))
    opened, loaded, dropped, chosen = model_and_layers(*asked)
    terminal = Terminal(quiet)
    if not final_norm:
        opened = dataclasses.replace(
            opened, config=dataclasses.replace(opened.config, final_norm=False)
        )
    scorer = open_scorer(opened, loaded, chosen, terminal)
    split = split or ("test" if "test" in scorer.examples else "search")
    if split not in scorer.examples:
        raise InputError(f"{loaded.name} has no split {split!r}")
    examples, rows = scorer.examples[split], []
    for name, without in variants(dropped):
        depth = opened.config.num_hidden_layers
        layers = kept_layers(without, depth)
        if not scorer.protocol.writes:
            read = _read_choices(opened, scorer, examples, without)
        else:
            read = [
                _read_written(scorer, split, without, layer, depth)
                for layer in (EMBEDDING, *layers)
            ]
        for layer, answers in zip((EMBEDDING, *layers), read, strict=True):
            found = measure(sum(answer.correct for answer in answers), len(answers))
            rows.append({"model": name, "layer": layer, "split": split, **found})
    terminal.table(
        f"{loaded.name}: accuracy on the {split} split, read after each layer "
        f"{'through' if final_norm else 'without'} the final norm",
        ["layer", *(name for name, _ in variants(dropped))],
        _lines(rows),
        words=1,
    )
    if (directory := out or run) is not None:
        files = [Path(directory) / f"lens.{kind}" for kind in ("csv", "svg", "png")]
        write_table(files[0], rows, COLUMNS)
        save_figure(lambda: lens_figure(rows), *files[1:])
        terminal.message(f"written: {', '.join(map(str, files))}")
    return rows


def _read_choices(
    model: Model, scorer: Scorer, examples: Sequence[Example], dropped: Dropped
) -> list[list[Answer]]:
    """Answers read before the first layer and after each layer kept, in one pass."""
    protocol = scorer.protocol
    choices_of = encode_choices(model.tokenizer, examples)
    asked = [Row.choices([choice]) for choices in choices_of for choice in choices]
    loaded = RowBatches(asked, scorer.batch_tokens, model.batch_sharding)
    log_probs_RL = loaded.run(_lens_program(model, dropped))
    ends = np.cumsum([len(choices) for choices in choices_of])[:-1]
    return [protocol.answers(examples, np.split(column, ends)) for column in log_probs_RL.T]


def _lens_program(model: Model, dropped: Dropped) -> Any:
    config, kept_params = without_layers(model.config, model.params, dropped)

    @jax.jit
    def read(params: Any, arrays: Arrays) -> Float[jax.Array, "B L+1"]:
        states_LBTD = layer_states(config, params, arrays.tokens, arrays.where)
        read_LBUD = jnp.take_along_axis(states_LBTD, arrays.places[None, :, :, None], axis=2)

        def log_probability(states_BUD: jax.Array) -> jax.Array:
            scores = score_targets(config, params, states_BUD, arrays.targets, arrays.reads)
            return jnp.sum(jnp.where(arrays.target_where, scores.log_probs, 0), axis=1)

        return jax.lax.map(log_probability, read_LBUD).T

    return functools.partial(read, kept_params)


def _read_written(
    scorer: Scorer, split: str, dropped: Dropped, layer: int, depth: int
) -> list[Answer]:
    """What is written from the state after a layer: all layers behind it are dropped."""
    return scorer.answers(split, ordered((*dropped, *range(layer + 1, depth))))


def _lines(rows: Sequence[dict[str, Any]]) -> list[list[str]]:
    cells: dict[int, dict[str, str]] = {}
    for row in rows:
        interval = f"[{100 * row['low']:.1f}, {100 * row['high']:.1f}]"
        cells.setdefault(row["layer"], {})[row["model"]] = f"{100 * row['accuracy']:.1f} {interval}"
    names = dict.fromkeys(row["model"] for row in rows)
    return [
        ["before" if layer == EMBEDDING else str(layer), *(of.get(name, "–") for name in names)]
        for layer, of in sorted(cells.items())
    ]


def lens_figure(rows: Sequence[dict[str, Any]]) -> Figure:
    """Accuracy in per cent against the layer it is read after."""
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
