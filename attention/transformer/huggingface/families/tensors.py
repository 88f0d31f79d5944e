"""Which tensor of a checkpoint is which parameter: rows of a table, with named transforms.

Each family has a ``Table``.  A row's name is a template: ``{i}`` stands for the layer, and ``{h}``
for the head where each head has a tensor of its own.  A transform has two directions and is written
for arrays of NumPy and JAX alike; loading never copies.

The learned parameters of a normalizer, which Hugging Face's models have not, stand where the
attention of their layer stands, as float32 numbers before they are constrained (``Normalizer``):

    model.layers.3.self_attn.normalizer.n                 Llama, Qwen, Mistral
    transformer.h.3.attn.normalizer.n                     GPT-2
    bert.encoder.layer.3.attention.self.normalizer.n      BERT and, with ``roberta.``, RoBERTa
    model.normalizer.n                                    of ``per=model``, with the family's prefix

Each is ``[]``, or ``[head]`` with ``per=head``.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from attention.normalizers import NORMALIZERS
from attention.transformer.config import TransformerConfig

Shape = tuple[int, ...]
ATTENTION = "layers/attention"  # the path of a layer's attention in the parameters


@dataclasses.dataclass(frozen=True)
class Transform:
    """``load(tensor, shapes)`` gives the parameters, ``save(parameters)`` the tensor again."""

    load: Callable[[Any, Sequence[Shape]], list[Any]]
    save: Callable[[Sequence[Any]], Any]


def _flat(parameter: Any) -> Any:
    return parameter.reshape(-1)


def _in_first(parameter: Any) -> Any:
    return parameter.reshape(parameter.shape[0], -1)


def _out_last(parameter: Any) -> Any:
    return parameter.reshape(-1, parameter.shape[-1])


def _reshape(tensor: Any, shapes: Sequence[Shape]) -> list[Any]:
    return [tensor.reshape(shapes[0])]


def _transpose(tensor: Any, shapes: Sequence[Shape]) -> list[Any]:
    return [tensor.T.reshape(shapes[0])]


def _split(tensor: Any, shapes: Sequence[Shape]) -> list[Any]:
    size = tensor.shape[-1] // len(shapes)
    return [tensor[..., i * size : (i + 1) * size].reshape(shape) for i, shape in enumerate(shapes)]


def _halves_apart(parameter: Any) -> Any:
    """Heads, on the last axis, whose rotary pairs stand side by side → pairs (i, i + H/2)."""
    pairs = parameter.reshape(*parameter.shape[:-1], -1, 2)
    return pairs.swapaxes(-1, -2).reshape(parameter.shape)


def _side_by_side(parameter: Any) -> Any:
    """The inverse of ``_halves_apart``."""
    halves = parameter.reshape(*parameter.shape[:-1], 2, -1)
    return halves.swapaxes(-1, -2).reshape(parameter.shape)


def _parts(tensor: Any, shapes: Sequence[Shape]) -> list[Any]:
    ends = np.cumsum([math.prod(shape[1:]) for shape in shapes])
    return [
        tensor[end - math.prod(shape[1:]) : end].T.reshape(shape)
        for end, shape in zip(ends, shapes, strict=True)
    ]


def _by_head(tensor: Any, shapes: Sequence[Shape]) -> list[Any]:
    *lead, size = shapes[0]
    heads = tensor.T.reshape(*lead, len(shapes), size)
    return [heads[..., i, :] for i in range(len(shapes))]


def _join_heads(parameters: Sequence[Any]) -> Any:
    heads = jnp.stack(list(parameters), axis=-2)
    return _in_first(heads).T if heads.ndim == 4 else _flat(heads)


TRANSFORMS: dict[str, Transform] = {
    "copy": Transform(_reshape, lambda parameters: parameters[0]),
    "flat": Transform(_reshape, lambda parameters: _flat(parameters[0])),
    # torch's nn.Linear stores [out, in]; heads are split off one of the two
    "linear": Transform(_transpose, lambda parameters: _in_first(parameters[0]).T),
    "linear_out": Transform(_transpose, lambda parameters: _out_last(parameters[0]).T),
    # queries and keys of Cohere
    "pairs": Transform(
        lambda tensor, shapes: [_halves_apart(tensor.reshape(shapes[0]))],
        lambda parameters: _side_by_side(parameters[0]),
    ),
    "flat_pairs": Transform(
        lambda tensor, shapes: [_halves_apart(tensor.reshape(shapes[0]))],
        lambda parameters: _flat(_side_by_side(parameters[0])),
    ),
    "linear_pairs": Transform(
        lambda tensor, shapes: [_halves_apart(tensor.T.reshape(shapes[0]))],
        lambda parameters: _in_first(_side_by_side(parameters[0])).T,
    ),
    # several nn.Linear in one: side by side, or for each head query, key and value
    "linear_parts": Transform(_parts, lambda ps: jnp.concatenate([_in_first(p) for p in ps], 1).T),
    "by_head": Transform(_by_head, _join_heads),
    # GPT-2's Conv1D stores [in, out]; query, key and value in one
    "conv1d": Transform(_reshape, lambda parameters: _out_last(parameters[0])),
    "conv1d_qkv": Transform(_split, lambda ps: jnp.concatenate([_in_first(p) for p in ps], 1)),
    "flat_qkv": Transform(_split, lambda ps: jnp.concatenate([_flat(p) for p in ps])),
}


@dataclasses.dataclass(frozen=True)
class Row:
    """One tensor's name template, the parameters it holds and how."""

    name: str
    paths: tuple[str, ...]
    transform: str = "copy"

    @property
    def layered(self) -> bool:
        """Whether there is such a tensor for every layer."""
        return "{i}" in self.name

    @property
    def leading(self) -> int:
        """How many first axes of the parameters the name counts: layers, heads."""
        return self.layered + ("{h}" in self.name)


@dataclasses.dataclass(frozen=True)
class Table:
    """A family's tensors.

    Attributes:
        prefix: precedes the names of the base model's tensors in a checkpoint with a head.
        attention: template of the name of a layer's attention.
        rows: one for each tensor of the base model, or for each tensor of a layer.  Rows of
            parameters that a config has not are passed over.
        heads: the further rows of each head, by its name in ``TransformerConfig.head``.  Their
            names are whole: the prefix stands there where a checkpoint has it.
        ignored: regular expressions of buffers, which are not read.
        tied: tensors that repeat the embedding or the head's bias, with the tensor they repeat.
    """

    prefix: str
    attention: str
    rows: tuple[Row, ...]
    heads: Mapping[str, tuple[Row, ...]]
    ignored: tuple[str, ...] = ()
    tied: tuple[tuple[str, str], ...] = ()

    def of(self, config: TransformerConfig) -> Table:
        """The tensors that a model with this head and normalizer may have, by their whole names."""
        scoring = NORMALIZERS.pick(config.normalizer)
        name, path = (
            ("normalizer", "normalizer")
            if scoring.per == "model"
            else (f"{self.attention}.normalizer", f"{ATTENTION}/normalizer")
        )
        learned = [row(f"{name}.{each}", f"{path}/{each}") for each in scoring.parameters]
        prefix = "" if config.head == "none" else self.prefix
        base = (dataclasses.replace(row, name=prefix + row.name) for row in (*self.rows, *learned))
        return dataclasses.replace(self, rows=(*base, *self.heads.get(config.head, ())))

    def bare(self, name: str) -> str:
        """A tensor's name without the prefix of the base model."""
        return name.removeprefix(self.prefix)


def row(name: str, path: str | tuple[str, ...], transform: str = "copy") -> Row:
    """A tensor that holds one parameter or several."""
    return Row(name, (path,) if isinstance(path, str) else path, transform)


def linear(name: str, path: str, transform: str = "linear") -> tuple[Row, Row]:
    """The two tensors of torch's ``nn.Linear``.

    ``linear_out`` where heads are its inputs, ``linear_pairs`` where its outputs are heads whose
    rotary pairs stand side by side.
    """
    bias = {"linear": "flat", "linear_out": "copy", "linear_pairs": "flat_pairs"}[transform]
    return row(f"{name}.weight", f"{path}/kernel", transform), row(
        f"{name}.bias", f"{path}/bias", bias
    )


def norm(name: str, path: str) -> tuple[Row, Row]:
    """The two tensors of a norm; one that has no bias stores the first alone."""
    return row(f"{name}.weight", f"{path}/scale"), row(f"{name}.bias", f"{path}/bias")
