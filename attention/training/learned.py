"""What normalizers learn in each layer over a training: logged with the metrics, then plotted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from attention import files
from attention.choices import resolve
from attention.errors import InputError
from attention.normalizers import NORMALIZERS
from attention.transformer import TransformerConfig, normalizer_params

if TYPE_CHECKING:  # matplotlib is slow to import, and training draws nothing
    from matplotlib.figure import Figure

PREFIX = "normalizer"


def learned_values(
    config: TransformerConfig,
) -> Callable[[Mapping[str, PyTree]], dict[str, Float[Array, ""]]]:
    """Log what a normalizer learns: ``fit(…, watch=learned_values(config))``.

    Args:
        config: of the model that is trained.

    Returns:
        A function from the model's parameters, stacked or unstacked, to the effective values of the
        learned parameters.  They are called ``normalizer/n/0``, ``normalizer/n/1``, … by layer,
        ``normalizer/n`` if all layers share one, and ``normalizer/n/0/3`` for head 3 if each head
        has its own.
    """
    row = NORMALIZERS.pick(config.normalizer)
    learned = [name for name, parameter in row.parameters.items() if parameter.learned]

    def watch(params: Mapping[str, PyTree]) -> dict[str, Array]:
        found: dict[str, Array] = {}
        if not learned or not config.attending:
            return found
        unstacked = isinstance(params["layers"], tuple)
        effective = row.constrain(normalizer_params(params))
        for name in learned:
            values = jnp.asarray(effective[name])
            places: dict[tuple[int, ...], Array] = {(): values}
            if row.per != "model":
                ranks = {i: rank if unstacked else i for rank, i in enumerate(config.attending)}
                places = {(i,): values[rank] for i, rank in ranks.items()}
            for place, value in places.items():
                for head in np.ndindex(value.shape):
                    found["/".join([PREFIX, name, *map(str, (*place, *head))])] = value[head]
        return found

    return watch


def history(path: str | Path) -> tuple[list[int], dict[str, dict[str, list[float]]]]:
    """Read what a normalizer learned from the ``metrics.jsonl`` of a run.

    Args:
        path: the file, or the folder of the run.

    Returns:
        The steps, and ``{parameter: {layer: values}}``; a value is the mean over a layer's heads.

    Raises:
        InputError: there is no such file, or it has no learned parameters of a normalizer.
    """
    try:
        lines = resolve("attention.training.metric_lines:read_metrics")(path)
        steps, found = [line["step"] for line in lines], _by_layer(lines)
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: no metrics of a training run ({error})") from None
    if not found:
        raise InputError(
            f"{path}: no learned parameters of a normalizer; fit logs them with "
            "watch=learned_values(config)"
        )
    return steps, found


def _by_layer(lines: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, list[float]]]:
    """The mean over heads of each learned parameter, by its name and layer."""
    found: dict[str, dict[str, list[float]]] = {}
    for line in lines:
        heads: dict[tuple[str, str], list[float]] = {}
        for key, value in line.items():
            prefix, *place = key.split("/")
            if prefix == PREFIX:
                name, layer, *_ = (*place, "all")
                heads.setdefault((name, layer), []).append(float(value))
        for (name, layer), values in heads.items():
            found.setdefault(name, {}).setdefault(layer, []).append(sum(values) / len(values))
    return found


def plot_learned(path: str | Path, out: str | Path) -> None:
    """Draw what the normalizer of a run learned: one panel for each parameter.

    Args:
        path: the run's ``metrics.jsonl``, or its folder.
        out: the picture; its name ends in .svg, .png or .pdf.

    Raises:
        InputError: nothing was learned, or no picture of that kind can be written.
    """
    files.save_figure(lambda: learned_figure(*history(path)), out)


def learned_figure(steps: list[int], parameters: dict[str, dict[str, list[float]]]) -> Figure:
    """Draw what `history` returns: one panel for each parameter, with one curve for each layer."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.5 * len(parameters) + 1, 3.8), layout="constrained")
    axes = figure.subplots(1, len(parameters), squeeze=False)[0]
    for panel, (name, layers) in zip(axes, parameters.items(), strict=True):
        colours = colormaps["viridis"]
        in_order = sorted(layers.items(), key=lambda each: (len(each[0]), each[0]))  # 9 before 10
        for i, (layer, values) in enumerate(in_order):
            colour = colours(0.9 * i / max(1, len(layers) - 1))
            label = "all layers" if layer == "all" else f"layer {layer}"
            panel.plot(steps, values, color=colour, label=label, linewidth=1.6)
        panel.set_xlabel("step")
        panel.set_ylabel(name)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="outside right center",
        fontsize=8,
        ncols=1 + (len(labels) - 1) // 16,
    )
    return figure
