"""What a model thinks of text that it was not trained on: nats a token, perplexity, bits a byte."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import jax
import numpy as np
from jaxtyping import Array, PyTree

from attention.files import (
    check_shape,
    read_json,
    read_json_lines,
    tell,
    write_json,
    write_json_lines,
)
from attention.language.corpora import RowSource
from attention.language.labelled_texts import Split
from attention.language.ngrams import fit_floors
from attention.language.pretraining.loss import batch_loss
from attention.language.pretraining.material import Material
from attention.language.run_files import Line, Perplexity
from attention.transformer import TransformerConfig

HELD_OUT, FLOORS_FILE = "heldout.jsonl", "floors.json"
MOST_FLOOR_TOKENS = 50_000_000  # of a corpus whose n-grams are counted


@functools.partial(jax.jit, static_argnums=0)
def _sums(config: TransformerConfig, params: PyTree, batch: PyTree) -> tuple[Array, Array]:
    _, weight, loss = batch_loss(config, params, batch, 0.0)
    return loss, weight


def evaluate(
    config: TransformerConfig,
    params: Mapping[str, PyTree],
    material: Material,
    rows: RowSource,
    most: int,
) -> dict[str, Any]:
    """The loss over rows that are spread evenly over a split, always the same ones.

    Args:
        config: of the model.
        params: of the model.
        material: what the model is asked.
        rows: of the split.
        most: number of rows that are read at most.

    Returns:
        ``loss`` in nats a token, ``perplexity`` = exp(loss), and ``bits_per_byte`` = loss / ln 2 /
        (bytes a token of the split).  A masked token is predicted from both sides: there ``loss``
        is that of masked tokens, and ``bits_per_byte`` is None.
    """
    count = min(most, len(rows))
    batch = min(material.recipe.batch, count)
    which = np.linspace(0, len(rows) - 1, count - count % batch).round().astype(int)
    if material.recipe.layout == "sentence":  # rows of like length share a width
        which = np.sort(which)
    total = weight = 0.0
    for draw, part in enumerate(which.reshape(-1, batch)):
        sums = _sums(config, params, material.asked(rows, part, draw))
        total, weight = total + float(sums[0]), weight + float(sums[1])
    loss = total / max(weight, 1.0)
    per_byte = None
    if set(material.asked(rows, which[:batch], 0)) == {"causal"}:
        per_byte = loss / math.log(2) / rows.files.bytes_per_token(rows.split)
    perplexity = math.exp(loss) if loss < 700 else math.inf
    return {"loss": loss, "perplexity": perplexity, "bits_per_byte": per_byte}


def note(folder: Path, step: int, values: Mapping[str, Any]) -> None:
    """Write what was found after a number of updates; each number has one line, in order."""
    path = folder / HELD_OUT
    kept = [line for line in read_lines(path) if line["step"] < step]
    write_json_lines(path, [*kept, {"step": step, **values}])
    tell("metrics", {f"held_out_{name}": value for name, value in values.items()}, step)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The lines of ``heldout.jsonl``; none if there is no such file."""
    lines = read_json_lines(path) if path.exists() else []
    check_shape(lines, list[Line], path)
    return lines


def floors(material: Material) -> dict[Split, dict[str, float]]:
    """Perplexity of n-gram models of the training split on the held-out ones, by their names.

    They see the same tokens as a causal model, each unit for itself, and predict all but its first
    one.  Nothing is counted for very large corpora, and for models that read other things.  What
    was found lies beside the tokens, for later runs of the same text.
    """
    counts = material.files.counts
    if material.objective.masks or counts["train"]["tokens"] > MOST_FLOOR_TOKENS:
        return {}
    kept = material.files.folder / FLOORS_FILE
    if kept.is_file():
        before = read_json(kept)
        check_shape(before, dict[Split, dict[str, Perplexity]], kept)
        return cast("dict[Split, dict[str, float]]", before)
    models = fit_floors(_units(material, "train"), material.files.vocabulary)
    found: dict[Split, dict[str, float]] = {}
    for split in ("validation", "test"):
        if counts[split]["tokens"] > counts[split]["units"]:
            asked = _units(material, split)
            found[split] = {name: model.perplexity(asked) for name, model in models.items()}
    write_json(kept, found)
    return found


def _units(material: Material, split: Split) -> list[np.ndarray]:
    tokens, starts = material.files.tokens(split), material.files.units(split)
    return [tokens[int(first) + 1 : int(last)] for first, last in itertools.pairwise(starts)]


def as_line(values: Mapping[str, Any]) -> str:
    """One line for a terminal."""
    bits = values["bits_per_byte"]
    shown = (
        f"held-out loss {values['loss']:.4f} nats a token, perplexity {values['perplexity']:.1f}"
    )
    return shown if bits is None else f"{shown}, {bits:.4f} bits a byte"
