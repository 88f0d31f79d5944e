"""The total matching of a checkpoint's tensors with a model's parameters, both ways."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, Self

import jax
import jax.numpy as jnp
import numpy as np

from attention.errors import InputError
from attention.transformer.config import TransformerConfig
from attention.transformer.huggingface.families import TRANSFORMS, Row, Table, tensor_table
from attention.transformer.huggingface.safetensor_files import DTYPES
from attention.transformer.stacking import belongs

Place = tuple[int, ...]
"""The place of a tensor in its parameters: nothing, the layer, or the layer and the head."""


class Stored(Protocol):
    """A tensor on disk, in safetensors or in GGUF."""

    @property
    def dtype(self) -> str: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    def open(self) -> np.ndarray:
        """The tensor, mapped into memory or dequantised."""
        ...

    def same(self, other: Self, /) -> bool:
        """Whether both have the same values."""
        ...


def match_tensors(
    config: TransformerConfig,
    abstract: Mapping[str, jax.ShapeDtypeStruct],
    stored: Mapping[str, Stored],
    folder: Path,
) -> list[tuple[Row, Place, Stored]]:
    """Pair tensors with parameters, totally.

    Args:
        config: of the model.
        abstract: shape and dtype of each parameter, by its path.
        stored: the tensors of the checkpoint, by name.
        folder: the checkpoint, for the message.

    Raises:
        InputError: a tensor is missing, unknown, stored twice, or of the wrong shape or dtype; one
            message names up to five of them.
    """
    names = tensor_table(config)
    wanted = {
        names.bare(name): found for name, found in wanted_tensors(config, names, abstract).items()
    }
    placed, problems = [], []
    bare: dict[str, str] = {}
    for name in stored:
        first = bare.setdefault(_bare(name, names), name)
        if first != name:
            problems.append(f"one tensor is stored twice, as {first} and {name}")
    _place_copies(names, wanted, bare, stored)
    for name, (row, place) in wanted.items():
        if name not in bare:
            problems.append(f"{name} is missing")
            continue
        tensor = stored[bare[name]]
        shapes = [abstract[path].shape[row.leading :] for path in row.paths]
        expected = _stored_shape(row, shapes)
        if tensor.dtype not in DTYPES:
            problems.append(f"{name} has dtype {tensor.dtype}, expected {'/'.join(DTYPES)}")
        elif tensor.shape != expected:
            problems.append(f"{name} has shape {tensor.shape}, expected {expected}")
        else:
            placed.append((row, place, tensor))
    repeated = {name for name, _ in names.tied}
    problems += [
        f"{bare[name]} is not known"
        for name in sorted(bare.keys() - wanted.keys() - repeated)
        if not any(re.fullmatch(pattern, name) for pattern in names.ignored)
    ]
    if problems:
        more = f" (and {len(problems) - 5} more)" if len(problems) > 5 else ""
        raise InputError(f"{folder}: {'; '.join(problems[:5])}{more}")
    return placed


def wanted_tensors(
    config: TransformerConfig, names: Table, abstract: Mapping[str, Any]
) -> dict[str, tuple[Row, Place]]:
    """Tensor name → its row and place, for the parameters that this model has.

    Raises:
        InputError: checkpoints of the family have no place for a parameter.
    """
    wanted = {}
    rows = [row for row in names.rows if all(path in abstract for path in row.paths)]
    for row in rows:
        layers = [0]
        if row.layered:  # what a layer is without is in no checkpoint
            part = row.paths[0].split("/")[1]
            layers = [i for i, has in enumerate(config.halves) if belongs(part, has)]
            if not config.first_norm and part == "attention_norm":
                layers = [i for i in layers if i > 0]
        heads = abstract[row.paths[0]].shape[row.layered] if "{h}" in row.name else 1
        for i, head in itertools.product(layers, range(heads)):
            name = row.name.replace("{i}", str(i)).replace("{h}", str(head))
            wanted[name] = row, (i, head)[: row.leading]
    covered = {path for row in rows for path in row.paths}
    if uncovered := sorted(abstract.keys() - covered):
        raise InputError(f"{config.family} checkpoints have no place for {', '.join(uncovered)}")
    return wanted


def _bare(name: str, names: Table) -> str:
    # The oldest BERT checkpoints call a norm's scale and bias gamma and beta.
    name = re.sub(r"LayerNorm\.gamma$", "LayerNorm.weight", name)
    name = re.sub(r"LayerNorm\.beta$", "LayerNorm.bias", name)
    return names.bare(name)


def with_own_head(config: TransformerConfig, stored: Mapping[str, Stored]) -> TransformerConfig:
    """The config of what is stored: a head that differs from the embedding is not tied to it.

    Checkpoints whose config ties both and that store both happen; torch computes with the head.
    """
    names = tensor_table(config)
    heads = {names.bare(r.name) for r in names.rows if r.paths == ("lm_head/kernel",)}
    bare = {_bare(name, names): tensor for name, tensor in stored.items()}
    both = [pair for pair in names.tied if pair[0] in heads and {*pair} <= bare.keys()]
    if config.tie_word_embeddings and any(not bare[one].same(bare[two]) for one, two in both):
        return dataclasses.replace(config, tie_word_embeddings=False)
    return config


def _place_copies(
    names: Table,
    wanted: dict[str, tuple[Row, Place]],
    bare: dict[str, str],
    stored: Mapping[str, Stored],
) -> None:
    """Let a repeated tensor stand for its original, where that is missing or another one.

    Of the two biases of BERT's vocabulary, torch adds the decoder's.
    """
    for copy, original in names.tied:
        if copy in wanted or copy not in bare or original not in wanted:
            continue
        bias = wanted[original][0].paths == ("head/bias",)
        differs = original in bare and not stored[bare[copy]].same(stored[bare[original]])
        if original not in bare or (bias and differs):
            bare[original] = bare.pop(copy)


def _stored_shape(row: Row, shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    parameters = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    return jax.eval_shape(TRANSFORMS[row.transform].save, parameters).shape
